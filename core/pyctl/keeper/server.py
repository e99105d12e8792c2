"""The keeper itself: listens, answers, and ends when nothing needs it any more."""

from __future__ import annotations

import _socket
import errno
import fcntl
import json
import os
import resource
import signal
import struct
import sys
import time

from . import foreign
from . import ports as held_ports
from .children import Children
from .connections import Connection
from .guard import Guard
from .logs import ContainerLog
from .loop import Loop
from .notes import Notes
from .spool import STREAMS
from .watches import Watches
from .wire import keeper_dir, run_dir, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .children import Job
    from .dns import Resolvers

    Reply = dict[str, object]

IDLE_S = 5.0
_PATIENCE_S = 5.0  # the longest an ``unwatch`` or ``hold_ports`` waits


class Refusal(Exception):
    """Answered to the client as an error."""

    def __init__(self, message: str, code: str = "invalid_argument") -> None:
        super().__init__(message)
        self.code = code


class Server:
    """All state of one keeper. ``listener`` must be listening already."""

    def __init__(self, listener: _socket.socket, data_root: str, data_store: str, runtime_dir: str, build: str) -> None:
        self.data_store, self.build = data_store, build
        self.run_dir = run_dir(data_store, runtime_dir)
        base = keeper_dir(data_store)
        self.notes = Notes(f"{base}/keeper.log")
        self.loop = Loop()
        self.children = Children(self.loop, self.notes.fd)
        self.watches = Watches(
            self.loop, self.children, f"{base}/watch", data_root, exited=self._container_exited, note=self.notes.write
        )
        self.guard = Guard(self.loop, f"{runtime_dir}/bridges", self.watches.repair, self.notes.write)
        self.ports = held_ports.Ports()
        self._ports_dir = f"{base}/ports"
        os.makedirs(self._ports_dir, mode=0o700, exist_ok=True)
        self._names_dir = f"{base}/names"
        self._resolvers: Resolvers | None = None
        self.logs: dict[str, ContainerLog] = {}
        self._exited: dict[str, None] = {}  # containers whose exit came before their pipes, after a restart of ours
        self._let_in_now: dict[str, int] = {}  # containers that another tool is starting
        self.connections: set[Connection] = set()
        self.is_stopping = False
        self._listener = listener
        self._commands: dict[str, Callable[[Mapping[str, object], list[int], Connection], Reply | None]] = {
            "ping": self._ping,
            "status": self._status,
            "stop": self._stop,
            "log_pipes": self._log_pipes,
            "is_let_in": self._is_let_in,
            "attach": self._attach,
            "watch": self._watch,
            "unwatch": self._unwatch,
            "hold_ports": self._hold_ports,
            "release_ports": self._release_ports,
            "serve_names": self._serve_names,
            "forget_names": self._forget_names,
        }

    def serve(self) -> None:
        """Run until nothing needs the keeper for ``IDLE_S`` seconds, or ``stop``."""
        self._listener.setblocking(False)
        self.loop.watch(self._listener.fileno(), self._accept)
        self._load_ports()
        if os.path.isdir(self._names_dir) and os.listdir(self._names_dir):
            self.resolvers().load()
        self.watches.load()
        idle_since = time.monotonic()
        while not self.is_stopping:
            self.guard.set_needed(self.watches.running())
            if self.loop.turn(IDLE_S if self._is_needed() else 0.5):
                idle_since = time.monotonic()
            elif not self._is_needed() and time.monotonic() - idle_since >= IDLE_S:
                break
        self._leave()

    def _leave(self) -> None:
        """Take the volatile directory away, except for spools the next keeper needs. The lock is still ours."""
        try:
            os.unlink(f"{self.run_dir}/keeper.sock")
            if os.path.exists(f"{self.run_dir}/log"):
                os.rmdir(f"{self.run_dir}/log")
            os.rmdir(self.run_dir)
        except OSError:
            return  # in use, or somebody cleaned up before us

    def _is_needed(self) -> bool:
        held = self.ports.containers() or self._resolvers
        return bool(self.logs or len(self.watches) or held or self.children.count or self.connections)

    def _accept(self) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.notes.write(f"cannot accept: {error}")
            self.loop.forget(self._listener.fileno())
            self.loop.later(1.0, lambda: self.loop.watch(self._listener.fileno(), self._accept))
            return
        sock = _socket.socket(fileno=fd)
        pid, uid, _ = struct.unpack("3i", sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            sock.close()
            return
        self.connections.add(Connection(self.loop, sock, pid, self.answer, self.connections.discard))

    def answer(self, line: bytes, fds: list[int], connection: Connection) -> Reply | None:
        """Carry out one request; None when the answer comes later. Takes the descriptors it needs out of ``fds``."""
        try:
            request = json.loads(line)
            command = self._commands[request["command"]]
        except (ValueError, KeyError, TypeError):
            return {"error": "malformed request or unknown command", "code": "invalid_argument"}
        store = request.get("data_store", self.data_store)
        if store != self.data_store:
            return {"error": f"this keeper serves {self.data_store}", "code": "invalid_argument"}
        try:
            reply = command(request, fds, connection)
        except (Refusal, held_ports.PortError) as error:
            return {"error": str(error), "code": error.code}
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"malformed {request['command']} request: {error!r}", "code": "invalid_argument"}
        except OSError as error:
            return {"error": f"{request['command']}: {error}", "code": "unavailable"}
        return None if reply is None else {"ok": True, **reply}

    def _ping(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply:
        return {"pid": os.getpid(), "build": self.build}

    def _status(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply:
        return {
            "pid": os.getpid(),
            "build": self.build,
            "logs": sorted(self.logs),
            "watches": self.watches.status(),
            "ports": {key: self.ports.of(key) for key in self.ports.containers()},
            "names": self._resolvers.status() if self._resolvers else {},
            "children": self.children.count,
        }

    def _stop(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply:
        self.is_stopping = True
        return {}

    def _log_pipes(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply:
        key = _key(request)
        if not fds:
            raise Refusal("log_pipes needs descriptors")
        holder = os.pidfd_open(connection.peer_pid) if request.get("holder") else -1
        pipes = fds[:2]
        del fds[:2]
        is_again = bool(request.get("again"))
        old = self.logs.pop(key, None)
        if old and is_again:
            old.let_go()
        elif old:
            old.finish()
        container, namespace = str(request["container"]), str(request["namespace"])

        def done() -> None:
            self.logs.pop(key, None)

        log = ContainerLog(
            self.loop,
            f"{self.data_store}/containers/{namespace}/{container}",
            container,
            self._spool_dir(key),
            pipes,
            is_again=is_again,
            has_terminal=bool(request.get("terminal")),
            holder=holder,
            note=self.notes.write,
            done=done,
        )
        self.logs[key] = log
        if key in self._exited:
            del self._exited[key]
            if is_again:
                self.loop.later(0.0, lambda: self._drain(key, log))
        if is_again or holder < 0 or self.watches.is_running(key):
            return {}
        launcher = foreign.launcher(f"{self.data_store}/containers/{namespace}/{container}")
        return {"wait": True} if self._let_in(key, launcher, container, namespace, connection) else {}

    def _let_in(
        self, key: str, launcher: Mapping[str, object] | None, container: str, namespace: str, connection: Connection
    ) -> bool:
        """Another tool starts a container of ours: prepare what it lacks while the shim waits, then connect it."""
        if launcher is None:
            return False
        record = {**launcher, "container": container, "namespace": namespace}
        self._let_in_now[key] = self._let_in_now.get(key, 0) + 1

        def over() -> None:
            self._let_in_now[key] -= 1
            if not self._let_in_now[key]:
                del self._let_in_now[key]

        foreign.let_in(
            lambda verb, done: self.watches.launch(record, [verb, container], done),
            go=connection.promise(),
            over=over,
            note=lambda text: self.notes.write(f"{key}: {text}"),
        )
        return True

    def _is_let_in(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply:
        return {"is_let_in": _key(request) in self._let_in_now}

    def _attach(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply:
        log = self.logs.get(_key(request))
        if log is None:
            raise Refusal(f"container {request['container']} is not logged here", "not_found")
        for stream, fd in zip(STREAMS, fds, strict=False):
            log.audience.add(stream, fd)
        del fds[: len(STREAMS)]
        return {}

    def _spool_dir(self, key: str) -> str:
        return f"{self.run_dir}/log/{key}"

    def _drain(self, key: str, log: ContainerLog) -> None:
        if self.logs.get(key) is log:
            log.drain()

    def _container_exited(self, key: str) -> None:
        if self._resolvers:
            self._resolvers.hide(key)
        log = self.logs.get(key)
        if log:
            log.drain()
        else:
            self._exited[key] = None
            if len(self._exited) > 1000:
                del self._exited[next(iter(self._exited))]

    def _watch(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply:
        payload = {name: value for name, value in request.items() if name not in ("command", "data_store")}
        key = _key(request)
        self._exited.pop(key, None)
        self.watches.add(key, payload)
        return {}

    def _unwatch(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply | None:
        key = _key(request)
        job = self.watches.job(key)
        if job and job.pid == connection.peer_pid:
            return {}  # the very process that deals with the exit: its answer still counts
        pid = self.watches.pid(key)
        if request.get("while_connected"):
            connection.on_close.append(self.watches.rest(key))
        else:
            self.watches.remove(key)
        if job is None or job.is_over:
            return {"container": request["container"], "pid": pid} if pid else {}
        if request.get("holds_note"):
            job.kill()  # it has done with the container, or waits for the sender, who waits for it here
        answer = connection.promise()
        job.on_end.append(answer)
        self.loop.later(_PATIENCE_S, answer)
        return None

    def _hold_ports(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply | None:
        key = _key(request)
        wanted = held_ports.parse(request["ports"], json.loads)
        try:
            return {"ports": self._hold(key, wanted)}
        except held_ports.PortError as error:
            job = self._letting_go(key, wanted) if error.code == "conflict" else None
            if job is None:
                raise
            self._hold_after(job, key, wanted, connection, {"error": str(error), "code": error.code})
            return None

    def _hold(self, key: str, wanted: list[held_ports.Port]) -> list[held_ports.Port]:
        held = self.ports.hold(key, wanted)
        write_file(f"{self._ports_dir}/{key}.json", json.dumps({"wanted": wanted, "held": held}).encode())
        return held

    def _letting_go(self, key: str, wanted: list[held_ports.Port]) -> Job | None:
        """The process that is about to release one of these ports, because the container that has it came to its end."""
        for other in self.ports.containers():
            if other != key and {port[1:] for port in self.ports.of(other)} & {port[1:] for port in wanted}:
                job = self.watches.ending(other)
                if job:
                    return job
        return None

    def _hold_after(
        self, job: Job, key: str, wanted: list[held_ports.Port], connection: Connection, refusal: dict[str, object]
    ) -> None:
        """Hold the ports once ``job`` has ended, for a client that is still there and has not been refused meanwhile."""
        answer = connection.promise()
        until = time.monotonic() + _PATIENCE_S
        timer = self.loop.later(_PATIENCE_S, lambda: answer(refusal))

        def again() -> None:
            if connection.is_closed or time.monotonic() >= until:
                return
            try:
                reply: dict[str, object] = {"ok": True, "ports": self._hold(key, wanted)}
            except held_ports.PortError as error:
                following = self._letting_go(key, wanted)
                if following:
                    following.on_end.append(again)
                    return
                reply = {"error": str(error), "code": error.code}
            except OSError as error:
                reply = {"error": f"hold_ports: {error}", "code": "unavailable"}
            timer.cancel()
            answer(reply)

        job.on_end.append(again)

    def _release_ports(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply:
        key = _key(request)
        self.ports.release(key)
        try:
            os.unlink(f"{self._ports_dir}/{key}.json")
        except FileNotFoundError:
            pass
        return {}

    def resolvers(self) -> Resolvers:
        """Made when first needed: most data stores have none."""
        if self._resolvers is None:
            from .dns import Resolvers

            self._resolvers = Resolvers(self.loop, self._names_dir, self.data_store, self.notes.write)
        return self._resolvers

    def _serve_names(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> None:
        answer = connection.promise()
        self.resolvers().serve(
            _key(request), request, lambda served, failed: answer({"ok": True, "served": served, "failed": failed})
        )

    def _forget_names(self, request: Mapping[str, object], fds: list[int], connection: Connection) -> Reply:
        key = _key(request)
        if self._resolvers is not None:
            self._resolvers.forget(key)
        return {}

    def _load_ports(self) -> None:
        for name in os.listdir(self._ports_dir):
            if name.endswith(".json"):
                self._hold_again(name, tries=20)

    def _hold_again(self, name: str, tries: int) -> None:
        """The keeper before us may be a dying process whose sockets are closed in the next moment."""
        key = name.removesuffix(".json")
        try:
            with open(f"{self._ports_dir}/{name}", "rb") as file:
                record = json.loads(file.read())
            wanted = held_ports.parse(record["wanted"], json.loads)
            self.ports.hold(key, wanted, held_ports.parse(record["held"], json.loads))
        except FileNotFoundError:
            return  # released meanwhile
        except held_ports.PortError as error:
            if tries:
                self.loop.later(0.05, lambda: self._hold_again(name, tries - 1))
            else:
                self.notes.write(f"{name}: cannot hold its ports again: {error}")
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            self.notes.write(f"ports {name} are damaged and dropped: {error!r}")
            os.unlink(f"{self._ports_dir}/{name}")


def _key(request: Mapping[str, object]) -> str:
    """``<namespace>-<container>``, which is a file name too."""
    namespace, container = request["namespace"], request["container"]
    for word in (namespace, container):
        if not isinstance(word, str) or not word or "/" in word or word.startswith(".") or len(word) > 200:
            raise Refusal(f"not a name: {word!r}")
    return f"{namespace}-{container}"


def _listen(directory: str) -> _socket.socket:
    """The socket, 0600 in a directory of ours. Whoever holds the lock may replace what a killed one left."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    status = os.stat(directory)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(f"{directory}: must belong to us alone")
    path = f"{directory}/keeper.sock"
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, 0)
    os.umask(0o077)
    sock.bind(path)
    os.umask(0o022)  # the processes we start inherit it
    sock.listen(512)
    return sock


def _link(data_store: str, directory: str) -> None:
    """``keeper/socket`` in the data store leads people to the socket."""
    link = f"{keeper_dir(data_store)}/socket"
    try:
        if os.readlink(link) == f"{directory}/keeper.sock":
            return
        os.unlink(link)
    except FileNotFoundError:
        pass
    os.symlink(f"{directory}/keeper.sock", link)


def _leave_behind(keep: int) -> None:
    """Whatever the starter had: its descriptors (a shell's ``9>lock``, a shim's pipes) and its ignored signals."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != keep:
            try:
                os.close(int(name))
            except OSError:
                continue  # the one that listed the directory
    os.set_inheritable(keep, False)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def main(arguments: list[str]) -> None:
    """``DATAROOT DATASTORE RUNTIMEDIR LOCKFD``: listen, go to the background, serve. The lock came from the starter."""
    import gc

    data_root, data_store, runtime_dir, lock_text = arguments
    lock = int(lock_text)
    _leave_behind(keep=lock)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    build = os.path.basename(os.path.dirname(os.path.dirname(__file__))).removeprefix("keeper-")
    directory = run_dir(data_store, runtime_dir)
    notes = Notes(f"{keeper_dir(data_store)}/keeper.log")
    try:
        listener = _listen(directory)
        _link(data_store, directory)
    except OSError as error:
        notes.write(f"cannot listen: {error}")
        sys.exit(1)
    if os.fork():
        os._exit(0)
    os.chdir("/")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.freeze()
    server = Server(listener, data_root, data_store, runtime_dir, build)
    try:
        server.serve()
    except Exception:
        import traceback

        server.notes.write(traceback.format_exc())
        raise
    # The lock goes with the process; whoever was queued at the socket gets an end of file and starts anew.
