"""A task that containerd was making, or deleting, when the one who had asked for it was killed.

The daemon then breaks off, and sometimes forgets the shim while it does: no task is listed, and the shim, with the log
binary it has started, would live until the next boot.
"""

from __future__ import annotations

import os
import signal

from pyctl_hookspecs.errors import UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl.ops.session import Session

_PATIENCE_S, _PAUSE_S = 10.0, 0.02
_DELETION_S = 3.0  # from when a task is not listed any more to its shim's end, on a machine that is busy
_DELETED = " (deleted)"


def await_creation(session: Session, container_id: str) -> None:
    """Return when the daemon has done with the task of a killed command: there is one now, or no shim any more.

    A shim whose bundle is gone is nobody's: it is ended here. containerd 2.1 takes the bundle away after five seconds, and
    then cannot delete runc's container any more. So nothing may keep it waiting that long: neither the killed command's end
    of a FIFO, nor the end of the output of a process that was made and not begun.

    Raises:
        UnavailableError: the daemon is still at it; the next command tries again.
    """
    import time

    from pyctl.ops.streams import stand_in
    from pyctl.ops.tasks import find_task

    give_up = time.monotonic() + _PATIENCE_S
    with stand_in(session.paths.fifo_dir(container_id)):
        while shims := list(_shims(session.namespace, container_id)):
            for pid in shims:
                _kill_children(pid, container_id)
                if _working_directory(pid).endswith(_DELETED):
                    _end(pid)
            if find_task(session.client, container_id) is not None:
                return
            if time.monotonic() > give_up:
                raise UnavailableError(f"containerd has not done with the task of container {container_id}")
            time.sleep(_PAUSE_S)
    _remove_socket(session, container_id)


def await_deletion(namespace: str, container_id: str, *, born_before: float = 0.0) -> None:
    """Return when a task that is not listed has no shim any more either; ``born_before`` (seconds since the epoch) any time.

    One that is being deleted goes by itself. One that does not is nobody's: it is ended here, and the daemon, which hears
    of that, clears away its bundle.

    Raises:
        UnavailableError: the daemon has not; the next command tries again.
    """
    import time

    from pyctl.ops.tasks import began_at

    for pid in _shims(namespace, container_id):
        if born_before and began_at(pid) > born_before:
            continue
        bundle = _working_directory(pid)
        if not _ends_within(pid, _DELETION_S):
            _end(pid)
        give_up = time.monotonic() + _PATIENCE_S
        while bundle and os.path.exists(bundle):
            if time.monotonic() > give_up:
                raise UnavailableError(f"containerd has not cleared away {bundle}")
            time.sleep(_PAUSE_S)


def _remove_socket(session: Session, container_id: str) -> None:
    """Remove the socket of a shim that never came to be: its program was ended between the two, and nobody knows of it.

    The name is a rule of containerd's shims (``SocketAddress`` in its ``pkg/shim``).
    """
    from hashlib import sha256

    daemon = session.address.removeprefix("unix://")
    name = sha256(f"{daemon}/{session.namespace}/{container_id}".encode()).hexdigest()
    try:
        os.unlink(f"/run/containerd/s/{name}")
    except FileNotFoundError:
        pass


def _ends_within(pid: int, seconds: float) -> bool:
    from pyctl.ops.tasks import await_end

    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(await_end({"shim": process}, seconds))
    finally:
        os.close(process)


def _shims(namespace: str, container_id: str) -> Iterator[int]:
    wanted = f"\0-namespace\0{namespace}\0-id\0{container_id}\0".encode()
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if wanted in words and b"shim" in words.partition(b"\0")[0]:
                yield int(name)


def _kill_children(shim: int, container_id: str) -> None:
    """SIGKILL for what the shim has as children in the container's control group: its log binary is not there."""
    from glob import glob

    children = [pid for path in glob(f"/proc/{shim}/task/*/children") for pid in _read(path).split()]
    for pid in map(int, children):
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if container_id.encode() in _read(f"/proc/{pid}/cgroup"):
                signal.pidfd_send_signal(process, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(process)


def _end(pid: int) -> None:
    """Kill a shim and take the sockets along that it listened on; the log binary ends with its pipes."""
    sockets = _sockets(pid)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for path in sockets:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def _read(path: str) -> bytes:
    """A file of ``/proc``; empty once its process is gone."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _working_directory(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _sockets(pid: int) -> list[str]:
    """The Unix sockets with a name in the file system that a process listens on."""
    inodes = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            if target.startswith("socket:["):
                inodes.add(target[len("socket:[") : -1])
    except (FileNotFoundError, ProcessLookupError):
        return []
    with open("/proc/net/unix") as file:
        rows = [line.split() for line in file]
    is_listening = "00010000"  # of the flags column: a socket that accepts
    return [row[7] for row in rows[1:] if len(row) > 7 and row[3] == is_listening and row[6] in inodes and row[7][0] == "/"]
