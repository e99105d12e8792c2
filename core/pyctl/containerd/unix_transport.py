"""The light transport: blocking calls over Unix sockets without grpcio, one connection for each call under way.

No thread, no event loop: a call takes a free connection or makes one (0.2 ms), and gives it back. Only calls whose two
directions know nothing of each other (``bidi``) go through grpcio, which is loaded then.
"""

from __future__ import annotations

from _thread import allocate_lock
from time import monotonic

from pyctl.containerd import dial, errors
from pyctl.containerd.h2 import Connection, StreamError, message_body, request_headers
from pyctl_hookspecs.errors import PyctlError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Self, TypeVar

    from pyctl.containerd.message import Message
    from pyctl.containerd.transport import About, GrpcTransport, Metadata, Stream

    R = TypeVar("R", bound=Message)

_IDLE = 8  # connections kept for the next call


class UnixTransport:
    """Implements ``Transport``; any thread may use it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._lock = allocate_lock()
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._closed = False
        self._path = ""
        self._grpc: GrpcTransport | None = None

    def unary(
        self, method: str, request: Message, reply: type[R], metadata: Metadata, about: About, timeout_s: float | None
    ) -> R:
        with self._call(method, request, metadata, about, timeout_s) as call:
            return _only(call, reply, about)

    def start_unary(self, method: str, request: Message, reply: type[R], metadata: Metadata, about: About) -> _Pending:
        return _Pending(self._call(method, request, metadata, about, None), reply, about)

    def server_stream(
        self, method: str, request: Message, reply: type[R], metadata: Metadata, about: About, timeout_s: float | None
    ) -> _Stream:
        return _Stream(self._call(method, request, metadata, about, timeout_s), reply)

    def exchange(self, method: str, reply: type[R], metadata: Metadata, about: About) -> _Exchange:
        return _Exchange(self._call(method, None, metadata, about, None), reply)

    def bidi(self, method: str, requests: Iterator[Message], reply: type[R], metadata: Metadata, about: About) -> Stream[R]:
        with self._lock:
            if self._grpc is None:
                from pyctl.containerd.transport import GrpcTransport

                self._grpc = GrpcTransport(self.address)
        return self._grpc.bidi(method, requests, reply, metadata, about)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            grpc, self._grpc = self._grpc, None
        for connection in idle:
            connection.close()
        for connection in busy:
            connection.shutdown()  # its own thread closes it
        if grpc is not None:
            grpc.close()

    def _call(self, method: str, request: Message | None, metadata: Metadata, about: About, timeout_s: float | None) -> _Call:
        """Send a request, or only begin it; over a fresh connection if a kept one turns out to be gone."""
        body = b"" if request is None else message_body(request.SerializeToString())
        deadline = None if timeout_s is None else monotonic() + timeout_s
        fields = metadata if timeout_s is None else (("grpc-timeout", f"{int(timeout_s * 1000)}m"), *metadata)
        headers = request_headers(method, fields)
        while True:
            connection, is_fresh = self._take()
            call = _Call(self, connection, about, deadline)
            try:
                call.hold_deadline()
                connection.begin(headers, body) if body else connection.open(headers)
                return call
            except StreamError as error:
                call.end()
                if is_fresh or error.was_begun:
                    raise self._broken(error) from error
            except TimeoutError as error:
                call.end()
                raise self._silent() from error
            except BaseException:
                call.end()
                raise

    def _take(self) -> tuple[Connection, bool]:
        with self._lock:
            if self._closed:
                raise UnavailableError("the connection to containerd is closed")
            while self._idle:
                connection = self._idle.pop()
                if connection.is_usable:
                    self._busy.add(connection)
                    return connection, False
        if not self._path:
            self._path = dial.socket_path(self.address)
        try:
            connection = Connection(self._path)
        except OSError as error:
            dial.check(self.address)  # says which of the reasons it is
            raise UnavailableError(f"cannot connect to containerd at {self._path}: {error.strerror}") from error
        with self._lock:
            self._busy.add(connection)
        return connection, True

    def give_back(self, connection: Connection, *, is_clean: bool) -> None:
        """The call is over; a connection that stands at the end of its answer serves the next one."""
        with self._lock:
            self._busy.discard(connection)
            if is_clean and connection.is_usable and not self._closed and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _broken(self, error: StreamError) -> PyctlError:
        if self._closed:
            return errors.error_for(errors.CANCELLED, "the call was cancelled")
        try:
            dial.check(self.address)  # a daemon that went away gets its own words
        except UnavailableError as gone:
            return gone
        return UnavailableError(
            f"containerd at {self._path} broke off the call ({error})",
            hint="is it containerd that listens there? look at its log",
        )

    def _silent(self) -> PyctlError:
        return UnavailableError(
            f"containerd at {self._path} accepts connections but did not answer in time",
            hint="is it containerd that listens there, and is it stopped or overloaded? look at its log",
        )


class _Call:
    """One request on its connection. ``end`` must be called, whatever happens; twice is once."""

    def __init__(self, transport: UnixTransport, connection: Connection, about: About, deadline: float | None) -> None:
        self._transport, self._connection = transport, connection
        self._about, self._deadline = about, deadline
        self._is_over = self._is_clean = False
        self.is_cancelled = False

    def hold_deadline(self) -> None:
        self._connection.set_timeout(None if self._deadline is None else max(0.001, self._deadline - monotonic()))

    def messages(self) -> Iterator[bytes]:
        """The answer's messages.

        Raises:
            PyctlError: the daemon's status, or what became of the connection.
        """
        try:
            yield from self._connection.messages()
            self._is_clean = True
            code, detail = self._connection.status()
        except StreamError as error:
            raise self._broken(error) from error
        except TimeoutError as error:
            raise self._transport._silent() from error
        if code:
            raise errors.error_for(code, detail, kind=self._about[0], ref=self._about[1])

    def send(self, head: bytes, data: bytes | memoryview) -> None:
        """One message of a request that was only begun."""
        try:
            self._connection.send_message(head, data)
        except StreamError as error:
            raise self._broken(error) from error

    def end_messages(self) -> None:
        try:
            self._connection.end_messages()
        except StreamError as error:
            raise self._broken(error) from error

    def cancel(self) -> None:
        """Wake whoever waits for the answer; callable from any thread."""
        self.is_cancelled = True
        if not self._is_over:
            self._connection.shutdown()

    def _broken(self, error: StreamError) -> PyctlError:
        if self.is_cancelled:
            return errors.error_for(errors.CANCELLED, "the call was cancelled")
        return self._transport._broken(error)

    def end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._transport.give_back(self._connection, is_clean=self._is_clean)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


def _only(call: _Call, reply: type[R], about: About) -> R:
    found = list(call.messages())
    if len(found) != 1:
        raise PyctlError(f"containerd sent {len(found)} answers about {about[0]} {about[1]}")
    return reply.FromString(found[0])


class _Pending:
    """A call under way. Whoever waits for it reads the answer itself; a thread does only where one is called back."""

    def __init__(self, call: _Call, reply: type[Message], about: About) -> None:
        self._call, self._reply, self._about = call, reply, about
        self._answer: Message | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._lock = allocate_lock()
        self._is_read = self._is_over = False
        self._gate = allocate_lock()  # free once it is over
        self._gate.acquire()

    def result(self, timeout_s: float | None = None) -> Any:
        if timeout_s is None and self._claim():
            self._read()
        else:
            self._read_aside()
            if not self._gate.acquire(timeout=-1 if timeout_s is None else timeout_s):
                raise TimeoutError
            self._gate.release()
        if self._error is not None:
            raise self._error
        assert self._answer is not None
        return self._answer

    def done(self) -> bool:
        self._read_aside()
        return self._is_over

    def cancel(self) -> None:
        self._call.cancel()
        if self._claim():
            self._read()  # at once: there is nothing any more to wait for

    def on_done(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self._is_over:
                self._callbacks.append(callback)
                callback = self._read_aside
        callback()

    def _claim(self) -> bool:
        """Is it the caller who has to read?"""
        with self._lock:
            was_read, self._is_read = self._is_read, True
        return not was_read

    def _read_aside(self) -> None:
        if self._claim():
            import threading

            threading.Thread(target=self._read, name="call", daemon=True).start()

    def _read(self) -> None:
        try:
            with self._call as call:
                self._answer = _only(call, self._reply, self._about)
        except PyctlError as error:
            self._error = error
        except BaseException as interruption:  # Ctrl-C: the connection may stand in the middle of the answer
            self._error = interruption
            raise
        finally:
            with self._lock:
                self._is_over = True
                callbacks, self._callbacks = self._callbacks, []
            self._gate.release()
            for callback in callbacks:
                callback()


class _Stream:
    def __init__(self, call: _Call, reply: type[Message]) -> None:
        self._call, self._reply = call, reply
        self._messages = call.messages()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            return self._reply.FromString(next(self._messages))
        except StopIteration:
            self._call.end()
            raise
        except PyctlError:
            self._call.end()
            if self._call.is_cancelled:
                raise StopIteration from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._call.end()

    def cancel(self) -> None:
        self._call.cancel()


class _Exchange:
    def __init__(self, call: _Call, reply: type[Message]) -> None:
        self._call, self._reply = call, reply
        self._answers = call.messages()

    def send(self, head: bytes, data: bytes | memoryview = b"") -> None:
        self._call.send(head, data)

    def receive(self) -> Any:
        try:
            return self._reply.FromString(next(self._answers))
        except StopIteration:
            return None

    def finish(self) -> None:
        try:
            self._call.end_messages()
            for _ in self._answers:
                pass
        finally:
            self._call.end()

    def cancel(self) -> None:
        self._call.cancel()
        self._call.end()
