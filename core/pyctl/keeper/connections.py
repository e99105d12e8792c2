"""The keeper's side of one client's connection: request lines with descriptors in, reply lines out."""

from __future__ import annotations

import _socket
import json
import os

from .wire import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop

    Reply = dict[str, object]
    Answer = Callable[[bytes, list[int], "Connection"], Reply | None]

_REQUEST_LIMIT = 1 << 20


class Connection:
    """One client. Owns the descriptors it received until a request takes them."""

    def __init__(
        self, loop: Loop, sock: _socket.socket, peer_pid: int, answer: Answer, closed: Callable[[Connection], None]
    ) -> None:
        self.peer_pid = peer_pid
        self.on_close: list[Callable[[], None]] = []
        self._loop, self._sock, self._answer, self._closed = loop, sock, answer, closed
        self._buffer = b""
        self._fds: list[int] = []
        self.is_closed = False
        sock.setblocking(False)
        loop.watch(sock.fileno(), self._read)

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._sock.recvmsg(65536, _socket.CMSG_SPACE(32), _socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, ancillary = b"", []
        for level, kind, payload in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                self._fds += unpack(payload)
        if not data or len(self._buffer) > _REQUEST_LIMIT:
            self.close()
            return
        self._buffer += data
        while b"\n" in self._buffer:
            line, self._buffer = self._buffer.split(b"\n", 1)
            reply = self._answer(line, self._fds, self)
            self._close_fds()
            if reply is not None:
                self._send(reply)
            if self.is_closed:
                return

    def _send(self, reply: Reply) -> None:
        data = json.dumps(reply).encode() + b"\n"
        try:
            if self._sock.send(data) < len(data):
                raise BlockingIOError  # a client that does not read its replies
        except OSError:
            self.close()

    def promise(self) -> Callable[..., None]:
        """A call that answers the request at hand, once, if there still is somebody to answer to; given nothing, with ok."""
        is_open = True

        def answer(reply: Reply | None = None) -> None:
            nonlocal is_open
            if is_open and not self.is_closed:
                self._send(reply or {"ok": True})
            is_open = False

        return answer

    def _close_fds(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()

    def close(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        self._loop.forget(self._sock.fileno())
        self._close_fds()
        self._sock.close()
        self._closed(self)
        for call in self.on_close:
            call()
