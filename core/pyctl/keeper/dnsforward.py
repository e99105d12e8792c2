"""Questions passed on to other name servers: several under way at once, each with its own socket and number."""

from __future__ import annotations

import _socket
import errno
import os
import struct
import time

from .dnswire import REFUSED, SERVFAIL, is_answer_to, rcode_of, renumber

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .dnswire import Query
    from .loop import Loop, Timer

    Done = Callable[[bytes | None], None]

AT_ONCE = 512
AT_ONCE_EACH = 128  # for one asker
UDP_S, TCP_S = 1.5, 3.0  # for one server; clients give up after five seconds
_ROUNDS = 2
_MOST_SERVERS = 3
_RECHECK_S = 1.0
_STRANGERS = 100  # answers to something else, before a server's turn is over


class HostServers:
    """The name servers in the host's resolv.conf, read again when it changes. The host's loopback is ours too."""

    def __init__(self, path: str = "/etc/resolv.conf") -> None:
        self._path = path
        self._looked = -_RECHECK_S
        self._signature: tuple[int, int, int] | None = None
        self._servers: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        now = time.monotonic()
        if now - self._looked >= _RECHECK_S:
            self._looked = now
            self._look()
        return self._servers

    def _look(self) -> None:
        try:
            status = os.stat(self._path)
            signature = (status.st_mtime_ns, status.st_size, status.st_ino)
            if signature == self._signature:
                return
            with open(self._path, encoding="utf-8", errors="replace") as file:
                lines = [line.split() for line in file]
        except OSError:
            self._signature, self._servers = None, ()
            return
        self._signature = signature
        found = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
        self._servers = tuple(server for server in found if address_of(server, 53))[:_MOST_SERVERS]


def address_of(server: str, port: int) -> tuple[int, tuple[str, int] | tuple[str, int, int, int]] | None:
    """Family and socket address of a name server, with a zone if it has one; None for what is no address."""
    address, _, zone = server.partition("%")
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    try:
        _socket.inet_pton(family, address)
        if family == _socket.AF_INET:
            return family, (address, port)
        index = 0
        if zone:
            index = int(zone) if zone.isdecimal() else _socket.if_nametoindex(zone)
        return family, (address, port, 0, index)
    except OSError:
        return None


class Forwarder:
    """``ask`` calls ``done`` with the answer under the question's own number, or with None when nobody gave one."""

    def __init__(self, loop: Loop, *, port: int = 53) -> None:
        self.loop, self.port = loop, port
        self._flights: dict[_Flight, str] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def ask(self, asker: str, query: Query, data: bytes, servers: tuple[str, ...], done: Done, *, by_tcp: bool) -> None:
        """Ask ``servers`` one after the other, twice around. Never blocks; over the limits the answer is None at once."""
        if not servers or len(self._flights) >= AT_ONCE or list(self._flights.values()).count(asker) >= AT_ONCE_EACH:
            done(None)
            return
        kind = _TcpFlight if by_tcp else _Flight
        flight = kind(self, query, data, servers * _ROUNDS, done)
        self._flights[flight] = asker
        flight.start()

    def landed(self, flight: _Flight) -> None:
        del self._flights[flight]


class _Flight:
    """One question by UDP, and the base of one by TCP."""

    kind = _socket.SOCK_DGRAM
    patience_s = UDP_S

    def __init__(self, owner: Forwarder, query: Query, data: bytes, servers: tuple[str, ...], done: Done) -> None:
        self.owner, self.query, self.data, self.done = owner, query, data, done
        self.servers = list(servers)
        self.sock: _socket.socket | None = None
        self.number = 0
        self.worst: bytes | None = None  # what a server said that could not help
        self.strangers = 0
        self._timer: Timer | None = None

    def start(self) -> None:
        """Ask the next server that can be asked at all."""
        while self.servers:
            target = address_of(self.servers.pop(0), self.owner.port)
            if target is None:
                continue
            self.number = int.from_bytes(os.urandom(2), "big")
            self.strangers = 0
            try:
                # Connected: the kernel passes on only what comes from there, and chooses a port nobody can guess.
                self.sock = _socket.socket(target[0], self.kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC, 0)
                self.connect(self.sock, target[1])
            except OSError:
                self._hang_up()
                continue
            self._timer = self.owner.loop.later(self.patience_s, self.next)
            return
        self.finish(self.worst)

    def connect(self, sock: _socket.socket, target: tuple[str, int] | tuple[str, int, int, int]) -> None:
        sock.connect(target)
        sock.send(renumber(self.data, self.number))
        self.owner.loop.watch(sock.fileno(), self._read)

    def _read(self) -> None:
        assert self.sock
        try:
            response = self.sock.recv(65535)
        except BlockingIOError:
            return
        except OSError:  # nobody listens there, and its host says so
            self.next()
            return
        if is_answer_to(self.query, self.number, response):
            self.take(response)
            return
        self.strangers += 1
        if self.strangers > _STRANGERS:
            self.next()

    def take(self, response: bytes) -> None:
        if rcode_of(response) in (SERVFAIL, REFUSED) and self.servers:
            self.worst = response
            self.next()
        else:
            self.finish(response)

    def next(self) -> None:
        self._hang_up()
        self.start()

    def finish(self, response: bytes | None) -> None:
        self._hang_up()
        self.owner.landed(self)
        self.done(None if response is None else renumber(response, self.query.number))

    def _hang_up(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self.sock:
            self.owner.loop.forget(self.sock.fileno())
            self.sock.close()
            self.sock = None


class _TcpFlight(_Flight):
    kind = _socket.SOCK_STREAM
    patience_s = TCP_S

    def connect(self, sock: _socket.socket, target: tuple[str, int] | tuple[str, int, int, int]) -> None:
        self._outgoing = struct.pack(">H", len(self.data)) + renumber(self.data, self.number)
        self._incoming = b""
        code = sock.connect_ex(target)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        self.owner.loop.watch(sock.fileno(), self._write, until_writable=True)

    def _write(self) -> None:
        assert self.sock
        try:
            sent = self.sock.send(self._outgoing)
        except BlockingIOError:
            return
        except OSError:
            self.next()
            return
        self._outgoing = self._outgoing[sent:]
        if not self._outgoing:
            self.owner.loop.forget(self.sock.fileno())
            self.owner.loop.watch(self.sock.fileno(), self._read)

    def _read(self) -> None:
        assert self.sock
        try:
            piece = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.next()
            return
        self._incoming += piece
        if len(self._incoming) < 2:
            return
        length = int.from_bytes(self._incoming[:2], "big")
        if len(self._incoming) < 2 + length:
            return
        response = self._incoming[2 : 2 + length]
        if is_answer_to(self.query, self.number, response):
            self.take(response)
        else:
            self.next()
