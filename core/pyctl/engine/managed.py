"""Start, stop and describe our own containerd.

Stopping ends the daemon only: containers belong to their shims and keep running, as they do when the system's
containerd is restarted, and the next start finds them again.
"""

from __future__ import annotations

import fcntl
import os

from pyctl.engine.find import is_vacant
from pyctl.engine.places import Places, Settings, places
from pyctl_hookspecs.errors import UnavailableError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import Mapping

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
_LOG_LIMIT_BYTES = 10 * 1024 * 1024
_INHERITED = ("HOME", "LANG", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Started(Record):
    """A running engine. ``was_started`` is False when it ran already."""

    address: str
    pid: int
    was_started: bool


class Status(Record):
    """Our engine, running or not. ``pid`` is 0 when it is not; ``containerd`` is empty when there is none on PATH."""

    is_running: bool
    address: str
    pid: int
    root: str
    state: str
    log_path: str
    containerd: str
    system_address: str
    is_system_running: bool


def status(settings: Settings) -> Status:
    """What there is: our engine and the system's. Changes nothing."""
    ours = places(settings)
    pid = _running(ours)
    return Status(
        is_running=bool(pid) and not is_vacant(ours.address),
        address=ours.address,
        pid=pid,
        root=ours.root,
        state=ours.state,
        log_path=ours.log,
        containerd=_which("containerd", _search_path(ours)),
        system_address=settings.address,
        is_system_running=not is_vacant(settings.address),
    )


def start(settings: Settings) -> Started:
    """Start our engine and return once it answers; one that runs already counts as success.

    However many processes ask at once, one starts it and the others wait for that.

    Raises:
        UnavailableError: a program is missing, or containerd did not come up; names the log.
    """
    ours = places(settings)
    try:
        os.makedirs(settings.data_root, mode=0o700, exist_ok=True)
        with _Locked(ours):
            pid = _running(ours)
            if pid and not is_vacant(ours.address):
                return Started(address=ours.address, pid=pid, was_started=False)
            if pid:
                _end(pid)  # alive, but nobody can reach it (its socket was removed)
            return Started(address=ours.address, pid=_spawn(ours), was_started=True)
    except OSError as error:
        raise UnavailableError(
            f"no containerd is running, and none can be started: {error.filename or 'containerd'}: {error.strerror}",
            hint="run as root, or name a daemon with --address",
            exit_code=125,
        ) from error


def stop(settings: Settings) -> bool:
    """End our engine; containers keep running. Was it running?

    Raises:
        UnavailableError: it did not end in ``STOP_TIMEOUT_S`` seconds, not even by SIGKILL.
    """
    ours = places(settings)
    if not os.path.isdir(ours.runtime):
        return False
    with _Locked(ours):
        pid = _running(ours)
        if pid:
            _end(pid)
        for path in (ours.address, f"{ours.address}.ttrpc", ours.pid_file):
            _remove(path)
    return bool(pid)


def restart(settings: Settings) -> Started:
    """Stop and start: a new binary or a new configuration comes into effect, containers keep running."""
    stop(settings)
    return start(settings)


class _Locked:
    """Held while an engine is started or stopped; the kernel lets go when its process dies."""

    def __init__(self, ours: Places) -> None:
        os.makedirs(ours.runtime, mode=0o711, exist_ok=True)
        self._file = os.open(ours.lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def _running(ours: Places) -> int:
    """Process ID of our engine, 0 if it does not run: the file may be stale and the number somebody else's by now."""
    try:
        with open(ours.pid_file) as file:
            pid, started = file.read().split()
    except (FileNotFoundError, ValueError):
        return 0
    return int(pid) if pid.isdigit() and _start_time(int(pid)) == started else 0


def _start_time(pid: int) -> str:
    """Clock ticks after boot at which the process started, empty if there is none (or only its remains)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def _search_path(ours: Places) -> str:
    return f"{ours.binaries}:{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _which(program: str, path: str) -> str:
    for folder in path.split(":"):
        candidate = f"{folder}/{program}"
        if folder and os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    return ""


def _programs(ours: Places) -> str:
    """Path of containerd, once all that it needs is there.

    Raises:
        UnavailableError: names what is missing.
    """
    path = _search_path(ours)
    missing = [program for program in ("containerd", "containerd-shim-runc-v2") if not _which(program, path)]
    runtime = _which("runc", path)
    if not runtime:
        runtime = _which("crun", path)
        if runtime:  # the shim runs "runc" unless a client says otherwise; crun takes the same arguments
            os.makedirs(ours.binaries, exist_ok=True)
            _remove(f"{ours.binaries}/runc")
            os.symlink(runtime, f"{ours.binaries}/runc")
        else:
            missing.append("runc or crun")
    if missing:
        raise UnavailableError(
            f"no containerd is running, and none can be started: {', '.join(missing)} not found",
            hint="install containerd and runc (apt-get install containerd runc), or name a daemon with --address",
            exit_code=125,
        )
    return _which("containerd", path)


def _spawn(ours: Places) -> int:
    """Start containerd, detached from this command, and wait until it says that it is ready."""
    import socket
    import subprocess

    from pyctl.engine.config import major_version, render

    containerd = _programs(ours)
    version = subprocess.run([containerd, "--version"], capture_output=True, text=True, timeout=START_TIMEOUT_S, check=True)
    for path in (ours.root, ours.state, ours.runc_root):
        os.makedirs(path, mode=0o711, exist_ok=True)
    with open(ours.config, "w") as config:
        config.write(render(ours, major_version(version.stdout)))
    for path in (ours.address, f"{ours.address}.ttrpc", ours.notify, ours.pid_file):
        _remove(path)
    if os.path.exists(ours.log) and os.path.getsize(ours.log) > _LOG_LIMIT_BYTES:
        os.rename(ours.log, f"{ours.log}.1")
    # containerd speaks systemd's start-up protocol: a datagram, once its sockets are open and its plug-ins loaded.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(ours.log, "ab") as log:
        ready.bind(ours.notify)
        process = subprocess.Popen(
            [containerd, "--config", ours.config],
            env=_environment(ours, os.environ),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            is_ready = _wait_ready(ready, process.pid)
        finally:
            _remove(ours.notify)
        if not is_ready:
            process.kill()
            process.wait()
            raise UnavailableError(
                f"containerd did not start: {_last_words(ours.log)}", hint=f"its log is {ours.log}", exit_code=125
            )
    temporary = f"{ours.pid_file}.new"
    with open(temporary, "w") as file:
        file.write(f"{process.pid} {_start_time(process.pid)}\n")
    os.rename(temporary, ours.pid_file)
    process.returncode = 0  # it outlives us on purpose: spare the warning about a child still running
    return process.pid


def _environment(ours: Places, environ: Mapping[str, str]) -> dict[str, str]:
    """Only what a daemon may need: it outlives the shell it was started from, whose secrets it must not keep."""
    kept = {name: environ[name] for name in _INHERITED if name in environ}
    return {**kept, "PATH": _search_path(ours), "NOTIFY_SOCKET": ours.notify}


def _wait_ready(ready: sockets.socket, pid: int) -> bool:
    """Did the daemon report within ``START_TIMEOUT_S`` seconds? A dead one is noticed at once."""
    import select
    import time

    died = os.pidfd_open(pid)
    give_up = time.monotonic() + START_TIMEOUT_S
    try:
        while (left_s := give_up - time.monotonic()) > 0:
            readable = select.select([ready, died], [], [], left_s)[0]
            if ready in readable:
                if b"READY=1" in ready.recv(4096).splitlines():
                    return True
            elif died in readable:
                return False
    finally:
        os.close(died)
    return False


def _last_words(path: str) -> str:
    """The newest complaint in containerd's log, or that it gave no reason."""
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 16384))
        lines = file.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        if "level=fatal" in line or "level=error" in line or line.startswith("containerd: "):
            return line.partition('msg="')[2].rstrip('"') or line
    return lines[-1] if lines else f"it gave no reason within {START_TIMEOUT_S:.0f} s"


def _end(pid: int) -> None:
    """SIGTERM, then SIGKILL, and wait until the process is gone."""
    import select
    import signal

    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(process, number)
            if select.select([process], [], [], STOP_TIMEOUT_S)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(process)
    raise UnavailableError(f"containerd (process {pid}) does not end", exit_code=125)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
