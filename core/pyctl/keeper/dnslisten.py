"""Port 53 of one address: questions in by UDP and TCP, answers out."""

from __future__ import annotations

import _socket
import errno
import struct
import time

from .dnswire import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .dns import Resolvers
    from .loop import Loop

    Reply = Callable[[bytes], None]

_AT_A_TIME = 16  # datagrams, before somebody else has a turn: logs are written by the same process
_MOST_CLIENTS, _MOST_CLIENTS_EACH = 64, 8
_IDLE_S = 10.0
_IPV6_FREEBIND, _IP_FREEBIND = 78, 15
_LONGEST_UDP = 4096  # a question has a few dozen bytes


class Listener:
    """Both sockets of an address. With ``freely`` the address need not be there yet.

    Raises:
        OSError: somebody else has the port, or the address is not on this host.
    """

    def __init__(self, loop: Loop, address: str, port: int, handler: Resolvers, *, freely: bool = False) -> None:
        self.address = address
        self._loop, self._handler = loop, handler
        self._clients: set[_Client] = set()
        self._udp = _bound(address, port, _socket.SOCK_DGRAM, freely=freely)
        try:
            # A port chosen by the kernel is for tests: both sockets shall have the same one.
            self.port: int = self._udp.getsockname()[1]
            self._tcp = _bound(address, self.port, _socket.SOCK_STREAM, freely=freely)
        except OSError:
            self._udp.close()
            raise
        loop.watch(self._udp.fileno(), self._read)
        loop.watch(self._tcp.fileno(), self._accept)

    def close(self) -> None:
        for sock in (self._udp, self._tcp):
            self._loop.forget(sock.fileno())
            sock.close()
        for client in list(self._clients):
            client.close()

    def _read(self) -> None:
        for _ in range(_AT_A_TIME):
            try:
                data, source = self._udp.recvfrom(_LONGEST_UDP + 1)
            except BlockingIOError:
                return
            except OSError:
                continue  # word of an earlier answer that did not arrive
            query = parse(data) if len(data) <= _LONGEST_UDP else None
            if query is not None:
                self._handler.handle(query, data, source[0], self._answerer(source), by_tcp=False)

    def _answerer(self, source: tuple[str, int]) -> Reply:
        def reply(answer: bytes) -> None:
            try:
                self._udp.sendto(answer, source)
            except OSError:
                return  # gone, full, or closed meanwhile: by UDP one asks again

        return reply

    def _accept(self) -> None:
        try:
            fd, source = self._tcp._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._loop.forget(self._tcp.fileno())
                self._loop.later(1.0, self._resume)
            return
        sock = _socket.socket(fileno=fd)
        sock.setblocking(False)
        mine = sum(client.source == source[0] for client in self._clients)
        if len(self._clients) >= _MOST_CLIENTS or mine >= _MOST_CLIENTS_EACH or not self._handler.is_known(source[0]):
            sock.close()
            return
        self._clients.add(_Client(self._loop, sock, source[0], self._handler, self._clients.discard))

    def _resume(self) -> None:
        if self._tcp.fileno() >= 0:
            self._loop.watch(self._tcp.fileno(), self._accept)


class _Client:
    """One TCP connection: a question at a time, in the order they came."""

    def __init__(
        self, loop: Loop, sock: _socket.socket, source: str, handler: Resolvers, closed: Callable[[_Client], None]
    ) -> None:
        self.source = source
        self._loop, self._sock, self._handler, self._closed = loop, sock, handler, closed
        self._incoming = b""
        self._outgoing = b""
        self._is_closed = False
        self._touched = time.monotonic()
        loop.watch(sock.fileno(), self._read)
        loop.later(_IDLE_S, self._check_idle)

    def _check_idle(self) -> None:
        if self._is_closed:
            return
        left_s = self._touched + _IDLE_S - time.monotonic()
        if left_s > 0:
            self._loop.later(left_s, self._check_idle)
        else:
            self.close()

    def _read(self) -> None:
        try:
            piece = self._sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.close()
            return
        self._incoming += piece
        self._next()

    def _next(self) -> None:
        """Serve the next whole question; nothing is read while one is under way."""
        if len(self._incoming) < 2:
            return
        length = int.from_bytes(self._incoming[:2], "big")
        if len(self._incoming) < 2 + length:
            return
        data, self._incoming = self._incoming[2 : 2 + length], self._incoming[2 + length :]
        self._touched = time.monotonic()
        query = parse(data)
        if query is None:
            self.close()
            return
        self._loop.forget(self._sock.fileno())
        self._handler.handle(query, data, self.source, self._answer, by_tcp=True)

    def _answer(self, answer: bytes) -> None:
        if self._is_closed:
            return
        self._outgoing = struct.pack(">H", len(answer)) + answer
        self._loop.watch(self._sock.fileno(), self._write, until_writable=True)

    def _write(self) -> None:
        try:
            sent = self._sock.send(self._outgoing)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._outgoing = self._outgoing[sent:]
        if not self._outgoing:
            self._touched = time.monotonic()
            self._loop.forget(self._sock.fileno())
            self._loop.watch(self._sock.fileno(), self._read)
            self._next()

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._loop.forget(self._sock.fileno())
            self._sock.close()
            self._closed(self)


def _bound(address: str, port: int, kind: int, *, freely: bool) -> _socket.socket:
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    sock = _socket.socket(family, kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC, 0)
    try:
        if family == _socket.AF_INET6:
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        if freely:
            option = (_socket.IPPROTO_IPV6, _IPV6_FREEBIND) if family == _socket.AF_INET6 else (_socket.IPPROTO_IP, _IP_FREEBIND)
            sock.setsockopt(*option, 1)
        if kind == _socket.SOCK_STREAM:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
        sock.bind((address, port))
        if kind == _socket.SOCK_STREAM:
            sock.listen(64)
    except OSError:
        sock.close()
        raise
    return sock
