"""How to reach the keeper: its paths, its protocol, and how it is started when nobody answers.

One request is one line of JSON, ``{"command": ..., ...}``; its reply is one line too: ``{"ok": true, ...}`` or
``{"error": "...", "code": "conflict"}`` (the codes are those of ``pyctl_hookspecs.errors``). A connection
carries any number of requests; descriptors travel with the request as ``SCM_RIGHTS``. Both ends run as the
same user, and the keeper checks that. ``container`` and ``namespace`` name the container throughout.

=============  ================================================================================================
command        payload, and what comes back
=============  ================================================================================================
ping           -> ``pid``, ``build``
status         -> ``pid``, ``build``, ``logs``, ``watches``, ``ports``, ``names``, ``children``
stop           the keeper ends; holders of log pipes start a new one at once
log_pipes      descriptors: stdout, stderr (read ends). ``terminal`` (stderr never ends), ``again`` (the same task
               as before), ``holder`` (the sender waits on this connection and is ended when the log is complete).
               -> ``wait`` true if another tool starts the container: a second reply follows when it may go on
is_let_in      -> ``is_let_in``: does another tool start this container at the moment?
attach         descriptors: stdout, stderr (write ends); they get a copy of what is logged from now on, until its end
watch          ``pid``, ``python``; optional ``args`` (global flags of the process to start), ``env``, ``stdin``
               (a FIFO whose write end is held open until the exit). Anything else is kept with it. Replaces an
               earlier watch of the container
unwatch        forgets the watch and any restart that was waiting -> ``container`` and ``pid`` if the process has not ended.
               With ``while_connected`` it only rests, and goes on if this connection ends before it is forgotten.
               If a process is dealing with the container at this moment, the reply comes when that one has ended (at
               most 5 s later, after those to later requests), so what is seen then is final; from that process itself
               this changes nothing. With ``holds_note`` (the sender has the container's note in ``pending``, so that
               process only waits for it) it is killed first
hold_ports     ``ports`` [[ip, port, protocol]...], port 0: choose -> ``ports``. The same call again changes nothing. A
               port of a container that has just ended is waited for (at most 5 s)
release_ports  closes them
serve_names    ``gateways``: answer this container's questions on port 53 of these addresses; optional ``upstreams`` to
               pass others on to (else the host's), ``forward`` false for none -> ``served``, ``failed`` {address: why}
forget_names   no longer; with the last container of an address its sockets are closed
=============  ================================================================================================
"""

from __future__ import annotations

import _socket
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = "_NERDCTL_INTERNAL_LOGGING"
LAUNCHER = "pyctl-launcher.json"  # in a container's state directory
_DEFAULT_RUNTIME_DIR = "/run/pyctl"
_LINE_LIMIT = 1 << 20
BOOT = "import sys; sys.path.insert(0, sys.argv[2]); from pyctl_keeper.{module} import main; main(sys.argv[3:])"


_ENVIRONMENT = (
    "HOME", "PATH", "LANG", "TMPDIR", "PYTHONPATH", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
    "NERDCTL_TOML", "PYCTL_TOML", "PYCTL_PLUGINS_OFF", "CNI_PATH", "NETCONFPATH", "DOCKER_CONFIG", "CONTAINERD_SNAPSHOTTER",
)  # fmt: skip


def launcher(args: Sequence[str]) -> dict[str, object]:
    """How the keeper starts a pyctl like this one. ``args`` are its global flags but ``--namespace``."""
    env = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {"python": sys.executable, "args": list(args), "env": env}


class KeeperGoneError(OSError):
    """No keeper answered, or it went away before it did; every request may be sent again."""


def keeper_dir(data_store: str) -> str:
    """Where the keeper keeps what must outlive it; made by whoever needs it first."""
    return f"{data_store}/keeper"


def run_dir(data_store: str, runtime_dir: str) -> str:
    """The keeper's volatile directory. Short, because a socket path has 107 bytes; apart for each data root."""
    from binascii import crc32

    store = data_store.rstrip("/")
    return f"{runtime_dir}/keeper/{os.path.basename(store)[:16]}-{crc32(os.fsencode(store)):08x}"


def remember_runtime_dir(data_store: str, runtime_dir: str) -> None:
    """Leave a note for the log binary, which has no environment, when the run-time directory is not the usual one."""
    if runtime_dir == _DEFAULT_RUNTIME_DIR:
        return
    if recorded_runtime_dir(data_store) != runtime_dir:
        os.makedirs(keeper_dir(data_store), mode=0o700, exist_ok=True)
        write_file(f"{keeper_dir(data_store)}/runtime-dir", os.fsencode(runtime_dir))


def recorded_runtime_dir(data_store: str) -> str:
    try:
        with open(f"{keeper_dir(data_store)}/runtime-dir", "rb") as file:
            return os.fsdecode(file.read())
    except FileNotFoundError:
        return _DEFAULT_RUNTIME_DIR


def write_file(path: str, content: bytes, mode: int = 0o600) -> None:
    """Replace a file atomically."""
    temporary = f"{os.path.dirname(path)}/.tmp-{os.path.basename(path)}-{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
    os.rename(temporary, path)


def encode_path(text: str) -> str:
    """Percent-encode a path for a URI: what has a meaning there may stand in the name of a directory."""
    safe = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/"
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in os.fsencode(text))


def connect(socket_path: str) -> _socket.socket:
    """A connection to a keeper that listens.

    Raises:
        KeeperGoneError: nobody does.
    """
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, 0)
    try:
        sock.connect(socket_path)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        sock.close()
        raise KeeperGoneError(*error.args) from error
    except OSError:
        sock.close()
        raise
    return sock


def exchange(sock: _socket.socket, request: bytes, fds: Sequence[int], timeout_s: float) -> bytes:
    """Send request lines with descriptors and return as many reply lines.

    Raises:
        KeeperGoneError: the connection ended, or nothing came within ``timeout_s``.
    """
    sock.settimeout(timeout_s)
    try:
        sent = sock.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _pack(fds))] if fds else [])
        while sent < len(request):
            sent += sock.send(request[sent:])
        reply = b""
        while reply.count(b"\n") < request.count(b"\n"):
            piece = sock.recv(65536)
            if not piece or len(reply) > _LINE_LIMIT:
                raise KeeperGoneError("the keeper closed the connection")
            reply += piece
    except KeeperGoneError:
        raise
    except OSError as error:  # a time-out is one too
        raise KeeperGoneError(*error.args) from error
    return reply


def _pack(fds: Sequence[int]) -> bytes:
    return b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)


def unpack(data: bytes) -> list[int]:
    """The descriptors of one ``SCM_RIGHTS`` message."""
    return [int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, len(data) - len(data) % 4, 4)]


def start(code_dir: str, python: str, data_root: str, data_store: str, runtime_dir: str) -> bool:
    """Start a keeper unless one is there or on its way; True when this call did, and it listens.

    The lock is taken here and inherited by the keeper, so however many ask at once, one process is started.

    Raises:
        KeeperGoneError: the process could not be started or ended before it listened.
    """
    import fcntl

    os.makedirs(keeper_dir(data_store), mode=0o700, exist_ok=True)
    lock = os.open(f"{keeper_dir(data_store)}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.set_inheritable(lock, True)
        boot = BOOT.format(module="server")
        argv = [python, "-I", "-S", "-c", boot, "pyctl.keeper", code_dir, data_root, data_store, runtime_dir, str(lock)]
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        try:
            actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
            pid = os.posix_spawn(python, argv, {"PATH": os.defpath}, file_actions=actions, setsid=True)
        except OSError as error:
            raise KeeperGoneError(error.errno, f"cannot start {python}: {error.strerror}") from error
        finally:
            os.close(null)
        # It listens, forks and leaves: the one that stays is nobody's child, so nobody must wait for it.
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise KeeperGoneError(f"the keeper did not start; see {keeper_dir(data_store)}/keeper.log")
        return True
    finally:
        os.close(lock)
