"""HTTP/2 as far as a gRPC client on a Unix socket needs it: one connection, one call at a time.

Frames are RFC 9113's, header compression RFC 7541's. We tell the daemon to keep no header table, so every header block
stands alone: requests are literals, a successful answer is recognised by its bytes, and only another one costs the
``hpack`` library (10 ms of import). Calls at the same time take connections of their own (``UnixTransport``).
"""

from __future__ import annotations

import _socket
from _thread import allocate_lock
from struct import pack, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK, PADDED, PRIORITY = 0x1, 0x4, 0x1, 0x8, 0x20
_MAX_FRAME = 16384
_MAX_PIECES = 256  # buffers for one system call; the kernel takes 1024
_CONNECT_S = 5
_FIRST_READ, _READ = 8 * 1024, 256 * 1024  # most answers are small, and memory for a large one is mapped for every read
_WINDOW = 1 << 30  # what may be under way to us: more than any answer
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW = 1, 2, 4
# grpc-status: 0 and an empty grpc-message, as Go's encoder writes them; behind a change of table size or not.
_OK_BLOCK = bytes.fromhex("00889acac8b21234da8f013000899acac8b5254207317f00")
# The same behind :status 200 and content-type application/grpc: a stream that ended before its first message.
_EMPTY_OK_BLOCK = bytes.fromhex("880f108b1d75d0620d263d4c4d6564") + _OK_BLOCK
_PLAIN_OK = frozenset(start + block for block in (_OK_BLOCK, _EMPTY_OK_BLOCK) for start in (b"", b"\x20"))


class StreamError(OSError):
    """The connection broke, or the daemon reset the call. ``was_begun`` is False when it certainly never saw the request."""

    def __init__(self, message: str, *, was_begun: bool = True) -> None:
        super().__init__(message)
        self.was_begun = was_begun


class Connection:
    """A connected socket that has said hello. Not for two threads at once."""

    def __init__(self, path: str) -> None:
        """Connect; the greeting goes out with the first call.

        Raises:
            OSError: nobody listens, or the queue of those who wait stayed full.
        """
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            # The kernel waits for room in the queue as long as this says; a Python timeout would not wait at all.
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, pack("ll", _CONNECT_S, 0))
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        self._timeout: tuple[int, int] | None = None  # seconds, microseconds
        settings = pack(">HIHIHI", _HEADER_TABLE_SIZE, 0, _ENABLE_PUSH, 0, _INITIAL_WINDOW, _WINDOW)
        self._unsent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings)
        self._unsent += frame(WINDOW_UPDATE, 0, 0, pack(">I", _WINDOW - 65535))
        self._buffer = b""
        self._at = 0  # how far it has been read
        self._wanted = _FIRST_READ
        self._stream = -1
        self._peer_window = 65535  # a new stream's
        self._send_window = 0  # this stream's
        self._connection_window = 65535
        self._received = 0
        self._early: list[tuple[int, int, bytes]] = []  # frames of the answer that came while we were sending
        self._guard = allocate_lock()
        self._in_use = False  # a thread is inside a system call on the socket
        self._is_shut = False
        self.is_usable = True

    def set_timeout(self, timeout_s: float | None) -> None:
        """How long the kernel lets one system call wait, whole seconds if it is more than one; Python would poll before each."""
        if timeout_s is None:
            timeout = (0, 0)
        else:
            timeout = (int(-(-timeout_s // 1)), 0) if timeout_s > 1 else (0, max(1, int(timeout_s * 1_000_000)))
        if timeout == self._timeout:
            return
        try:
            for option in (_socket.SO_RCVTIMEO, _socket.SO_SNDTIMEO):
                self._socket.setsockopt(_socket.SOL_SOCKET, option, pack("ll", *timeout))
        except OSError as error:
            raise StreamError(str(error), was_begun=False) from error  # closed meanwhile
        self._timeout = timeout

    def begin(self, headers: bytes, body: bytes) -> None:
        """Send one request whole.

        Raises:
            StreamError: the connection is gone; nothing was begun.
            TimeoutError: the daemon does not take it.
        """
        self._next_stream()
        stream = self._stream
        out = [self._unsent, frame(HEADERS, END_HEADERS, stream, headers)]
        self._unsent = b""
        view = memoryview(body)
        if len(body) <= min(self._send_window, self._connection_window):
            while len(view) > _MAX_FRAME:
                out.append(frame(DATA, 0, stream, view[:_MAX_FRAME]))
                view = view[_MAX_FRAME:]
            out.append(frame(DATA, END_STREAM, stream, view))
            self._took(len(body))
            self._send(b"".join(out), was_begun=False)
            return
        self._send(b"".join(out), was_begun=False)
        while view and (room := self._room()):
            piece, view = view[: min(room, _MAX_FRAME)], view[min(room, _MAX_FRAME) :]
            self._took(len(piece))
            self._send(frame(DATA, 0 if view else END_STREAM, stream, piece))

    def open(self, headers: bytes) -> None:
        """Begin a request whose messages come one by one; ``end_messages`` ends it.

        Raises:
            StreamError: the connection is gone; nothing was begun.
        """
        self._next_stream()
        out, self._unsent = self._unsent, b""
        self._send(out + frame(HEADERS, END_HEADERS, self._stream, headers), was_begun=False)

    def send_message(self, head: bytes, data: bytes | memoryview) -> None:
        """Send one message, given in two parts so that ``data`` need not be copied. For connections without a time-out.

        Returns early when the daemon has ended the call already: ``messages`` says how.

        Raises:
            StreamError: the connection broke.
        """
        stream = self._stream.to_bytes(4, "big")
        full = _MAX_FRAME.to_bytes(3, "big") + b"\0\0" + stream
        for part in (message_head(len(head) + len(data)) + head, data):
            view, at, end = memoryview(part), 0, len(part)
            while at < end:
                room = self._room()
                if not room:
                    return
                stop = min(at + room, end, at + _MAX_PIECES // 2 * _MAX_FRAME)
                self._took(stop - at)
                rest = (stop - at) % _MAX_FRAME
                whole = range(at, stop - rest, _MAX_FRAME)
                out = [piece for begin in whole for piece in (full, view[begin : begin + _MAX_FRAME])]
                if rest:
                    out += (rest.to_bytes(3, "big") + b"\0\0" + stream, view[stop - rest : stop])
                at = stop
                self._send_pieces(out)

    def end_messages(self) -> None:
        """No more messages; the daemon may end the call."""
        self._send(frame(DATA, END_STREAM, self._stream, b""))

    def messages(self) -> Iterator[bytes]:
        """The messages of the answer, then ``trailers``.

        Raises:
            StreamError: reset, or the connection broke.
            TimeoutError: nothing came in time.
        """
        self.trailers = b""
        pending = bytearray()
        while True:
            kind, flags, payload = self._answer_frame()
            if kind == DATA:
                pending += _unpadded(flags, payload)
                while len(pending) >= 5:
                    (size,) = unpack_from(">I", pending, 1)
                    if len(pending) < 5 + size:
                        break
                    message = bytes(pending[5 : 5 + size])
                    del pending[: 5 + size]
                    yield message
            elif kind == HEADERS:
                self.trailers = self._header_block(flags, payload)
            elif kind == RST_STREAM:
                raise StreamError(f"the daemon reset the call ({unpack_from('>I', payload)[0]})")
            if flags & END_STREAM and kind in (DATA, HEADERS):
                return

    def status(self) -> tuple[int, str]:
        """The gRPC status code and message of the answer that has ended."""
        if self.trailers in _PLAIN_OK:
            return 0, ""
        from pyctl.containerd.header_block import plain_fields

        fields = plain_fields(self.trailers)
        if fields is None or "grpc-status" not in fields:
            fields = _all_fields(self.trailers)
        code = fields.get("grpc-status")
        if code is None:
            return 2, f"the daemon answered without a gRPC status ({fields.get(':status', '?')})"
        return int(code), _percent_decoded(fields.get("grpc-message", "").encode("latin-1"))

    def shutdown(self) -> None:
        """End the connection and wake whoever waits in it; callable from any thread.

        Closing under a thread that is in a system call would let it go on with somebody else's descriptor,
        so that thread closes; without one we do.
        """
        with self._guard:
            self.is_usable = False
            self._is_shut = True
            if not self._in_use:
                self._socket.close()
                return
        try:
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass  # the daemon, or the thread we woke, was faster

    def close(self) -> None:
        self.is_usable = False
        self._socket.close()

    def _next_stream(self) -> None:
        self._stream += 2
        self._send_window = self._peer_window
        self._early.clear()

    def _room(self) -> int:
        """How many bytes the daemon takes now, having waited for at least one; 0 when it has ended the call."""
        while (room := min(self._send_window, self._connection_window)) <= 0:
            if self._early and (self._early[-1][0] == RST_STREAM or self._early[-1][1] & END_STREAM):
                return 0
            kind, flags, stream, payload = self._next_frame()
            if stream == self._stream:
                self._early.append((kind, flags, payload))
        return room

    def _answer_frame(self) -> tuple[int, int, bytes]:
        if self._early:
            return self._early.pop(0)
        while True:
            kind, flags, stream, payload = self._next_frame()
            if stream == self._stream:  # or the rest of one that was given up
                return kind, flags, payload

    def _took(self, size: int) -> None:
        self._send_window -= size
        self._connection_window -= size

    def _enter(self) -> None:
        with self._guard:
            if self._is_shut:
                raise StreamError("the connection was closed")
            self._in_use = True

    def _leave(self) -> None:
        with self._guard:
            self._in_use = False
            if self._is_shut:
                self._socket.close()

    def _send(self, data: bytes, *, was_begun: bool = True) -> None:
        self._enter()
        try:
            self._socket.sendall(data)
        except BlockingIOError as error:
            self.is_usable = False
            raise TimeoutError from error
        except OSError as error:
            self.is_usable = False
            raise StreamError(str(error), was_begun=was_begun) from error
        finally:
            self._leave()

    def _send_pieces(self, pieces: list[bytes | memoryview]) -> None:
        self._enter()
        try:
            sent = self._socket.sendmsg(pieces)
            if sent < sum(map(len, pieces)):  # a signal came in between
                self._socket.sendall(memoryview(b"".join(pieces))[sent:])
        except OSError as error:
            self.is_usable = False
            raise StreamError(str(error)) from error
        finally:
            self._leave()

    def _header_block(self, flags: int, payload: bytes) -> bytes:
        block = _unpadded(flags, payload)
        if flags & PRIORITY:
            block = block[5:]
        while not flags & END_HEADERS:
            _, flags, more = self._answer_frame()
            block += more
        return block

    def _next_frame(self) -> tuple[int, int, int, bytes]:
        """The next frame that is about a stream; the connection's own are dealt with here."""
        while True:
            head = self._read(9)
            size = int.from_bytes(head[:3], "big")
            kind, flags = head[3], head[4]
            stream = int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
            payload = self._read(size)
            if kind == DATA:
                self._account(size)
            elif kind == SETTINGS:
                if not flags & ACK:
                    self._apply_settings(payload)
                    self._send(frame(SETTINGS, ACK, 0, b""))
                continue
            elif kind == PING:
                if not flags & ACK:
                    self._send(frame(PING, ACK, 0, payload))
                continue
            elif kind == GOAWAY:
                self.is_usable = False
                last = unpack_from(">I", payload)[0] & 0x7FFFFFFF
                if last < self._stream:
                    raise StreamError("the daemon is going away", was_begun=False)
                continue
            elif kind == WINDOW_UPDATE:
                (more,) = unpack_from(">I", payload)
                if stream == 0:
                    self._connection_window += more
                elif stream == self._stream:
                    self._send_window += more
                return kind, 0, -1, b""
            return kind, flags, stream, payload

    def _apply_settings(self, payload: bytes) -> None:
        for offset in range(0, len(payload) - 5, 6):
            name, value = unpack_from(">HI", payload, offset)
            if name == _INITIAL_WINDOW:
                self._send_window += value - self._peer_window
                self._peer_window = value

    def _account(self, size: int) -> None:
        """Give back what we have read long before the daemon runs out of room."""
        self._received += size
        if self._received > _WINDOW // 4:
            update = pack(">I", self._received)
            self._send(frame(WINDOW_UPDATE, 0, 0, update) + frame(WINDOW_UPDATE, 0, self._stream, update))
            self._received = 0

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < self._at + size:
            self._enter()
            try:
                chunk = self._socket.recv(max(self._wanted, size))
            except BlockingIOError as error:
                self.is_usable = False
                raise TimeoutError from error
            except OSError as error:
                self.is_usable = False
                raise StreamError(str(error)) from error
            finally:
                self._leave()
            if not chunk:
                self.is_usable = False
                raise StreamError("the daemon closed the connection")
            if len(chunk) >= self._wanted:
                self._wanted = _READ  # there is more
            self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        start, self._at = self._at, self._at + size
        return self._buffer[start : self._at]


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview) -> bytes:
    """One frame as bytes."""
    return pack(">I", len(payload))[1:] + bytes((kind, flags)) + pack(">I", stream) + payload


def request_headers(method: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """The header block of a gRPC request: static table entries and literals that are never indexed."""
    block = b"\x83\x86" + b"\x04" + _text(method) + b"\x01" + _text("localhost")  # POST, http, :path, :authority
    block += b"\x0f\x10" + _text("application/grpc") + b"\x00" + _text("te") + _text("trailers")
    for name, value in fields:
        block += b"\x00" + _text(name) + _text(value)
    return block


def message_body(message: bytes) -> bytes:
    """A message as gRPC sends it: uncompressed, its length in front."""
    return message_head(len(message)) + message


def message_head(size: int) -> bytes:
    """What goes in front of an uncompressed message of so many bytes."""
    return b"\0" + pack(">I", size)


def _text(value: str) -> bytes:
    """A string literal without Huffman coding; its length in HPACK's variable form with a prefix of seven bits."""
    raw = value.encode()
    size = len(raw)
    if size < 127:
        return bytes((size,)) + raw
    head, size = b"\x7f", size - 127
    while size >= 128:
        head += bytes((size % 128 | 128,))
        size //= 128
    return head + bytes((size,)) + raw


def _unpadded(flags: int, payload: bytes) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & PADDED else payload


def _all_fields(block: bytes) -> dict[str, str]:
    from hpack import Decoder

    decoder = Decoder()
    decoder.max_header_list_size = 1 << 20
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in decoder.decode(block, raw=True)}


def _percent_decoded(raw: bytes) -> str:
    pieces = raw.split(b"%")
    out = pieces[0]
    for piece in pieces[1:]:
        try:
            out += bytes((int(piece[:2], 16),)) + piece[2:]
        except ValueError:
            out += b"%" + piece
    return out.decode("utf-8", "replace")
