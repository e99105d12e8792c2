"""The one door to gRPC: calls in, messages or our errors out.

``Transport`` is what the client needs; ``GrpcTransport`` does it with grpcio's blocking API. A lighter one for
unary calls can take its place without the services noticing.
"""

from __future__ import annotations

from _thread import allocate_lock
from typing import Generic, TypeVar  # grpc loads it anyway

from pyctl.containerd import dial, errors
from pyctl_hookspecs.errors import UnavailableError

R_co = TypeVar("R_co", covariant=True)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _queue import SimpleQueue
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol, Self

    import grpc

    from pyctl.containerd.message import Message
    from pyctl_hookspecs.errors import PyctlError

    R = TypeVar("R", bound=Message)

    Metadata = tuple[tuple[str, str], ...]
    About = tuple[str, str]  # kind and name of the object, for the error

    class Pending(Protocol[R_co]):
        """A call under way."""

        def result(self, timeout_s: float | None = None) -> R_co:
            """Wait for the answer.

            Raises:
                TimeoutError: not yet; the call goes on.
                CancelledError: somebody called ``cancel``.
            """

        def done(self) -> bool:
            """Is there an answer (or an error)?"""

        def cancel(self) -> None:
            """Give up; harmless when it is over."""

        def on_done(self, callback: Callable[[], None]) -> None:
            """Call back, from another thread, when it is over."""

    class Stream(Protocol[R_co]):
        """Messages from the daemon. Leaving the context, or ``cancel``, ends it; iteration then just stops."""

        def __iter__(self) -> Iterator[R_co]: ...

        def __next__(self) -> R_co: ...

        def __enter__(self) -> Self: ...

        def __exit__(self, *exc: object) -> None: ...

        def cancel(self) -> None: ...

    class Exchange(Protocol[R_co]):
        """A call whose request and answer are both streams, for one thread; ``finish`` or ``cancel`` ends it.

        After an interruption (KeyboardInterrupt) in any of these only ``cancel`` is left: a message may be half sent.
        """

        def send(self, head: bytes, data: bytes | memoryview = b"") -> None:
            """Send a message: the serialised fields in ``head`` and after them, never copied, those in ``data``.

            When the daemon has ended the call, ``receive`` says how.
            """

        def receive(self) -> R_co | None:
            """Wait for the next message; None at the end.

            Raises:
                PyctlError: the daemon's status.
            """

        def finish(self) -> None:
            """Say that there are no more messages, and wait for the daemon to end the call.

            Raises:
                PyctlError: the daemon's status.
            """

        def cancel(self) -> None:
            """Give up; harmless when it is over."""

    class Transport(Protocol):
        """Blocking calls over one connection; any thread may use it."""

        address: str

        def unary(
            self, method: str, request: Message, reply: type[R], metadata: Metadata, about: About, timeout_s: float | None
        ) -> R:
            """Send one message, return the answer."""

        def start_unary(self, method: str, request: Message, reply: type[R], metadata: Metadata, about: About) -> Pending[R]:
            """Send one message; the answer may take as long as it likes."""

        def server_stream(
            self, method: str, request: Message, reply: type[R], metadata: Metadata, about: About, timeout_s: float | None
        ) -> Stream[R]:
            """Send one message, get many."""

        def exchange(self, method: str, reply: type[R], metadata: Metadata, about: About) -> Exchange[R]:
            """Send and get messages in turns."""

        def bidi(self, method: str, requests: Iterator[Message], reply: type[R], metadata: Metadata, about: About) -> Stream[R]:
            """Send many, get many. Another thread consumes ``requests``, which must end when the stream does."""

        def close(self) -> None:
            """Hang up; calls under way end with CancelledError. Twice is once."""


MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # 500 containers are 7 MB; grpcio's own limit is 4 MiB

_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # The runtime's complaints travel in a header; above 8 KiB grpcio would drop it and the reason with it.
    ("grpc.max_metadata_size", 256 * 1024),
    ("grpc.absolute_max_metadata_size", 512 * 1024),
    ("grpc.use_local_subchannel_pool", 1),  # closing the channel closes its connection
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 10_000),  # also how long a new connection may take to answer
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcTransport:
    """One grpcio channel, opened by the first call.

    Never fork while it is open (starting another program is fine): close it first.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel: grpc.Channel | None = None
        self._lock = allocate_lock()
        self._closed = False
        self._has_answered = False

    def unary(
        self, method: str, request: Message, reply: type[R], metadata: Metadata, about: About, timeout_s: float | None
    ) -> R:
        call = self._open().unary_unary(method, _serialize, reply.FromString)
        import grpc

        try:
            answer: R = call(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self._translate(error, about) from error
        self._has_answered = True
        return answer

    def start_unary(self, method: str, request: Message, reply: type[R], metadata: Metadata, about: About) -> _Pending[R]:
        call = self._open().unary_unary(method, _serialize, reply.FromString)
        return _Pending(self, call.future(request, metadata=metadata), about)

    def server_stream(
        self, method: str, request: Message, reply: type[R], metadata: Metadata, about: About, timeout_s: float | None
    ) -> _Stream[R]:
        call = self._open().unary_stream(method, _serialize, reply.FromString)
        return _Stream(self, call(request, timeout=timeout_s, metadata=metadata), about)

    def bidi(self, method: str, requests: Iterator[Message], reply: type[R], metadata: Metadata, about: About) -> _Stream[R]:
        call = self._open().stream_stream(method, _serialize, reply.FromString)
        return _Stream(self, call(requests, metadata=metadata), about)

    def exchange(self, method: str, reply: type[R], metadata: Metadata, about: About) -> _Exchange[R]:
        from _queue import SimpleQueue

        requests: SimpleQueue[bytes | None] = SimpleQueue()
        call = self._open().stream_stream(method, None, reply.FromString)
        return _Exchange(requests, _Stream(self, call(iter(requests.get, None), metadata=metadata), about))

    def close(self) -> None:
        with self._lock:
            channel, self._channel, self._closed = self._channel, None, True
        if channel is not None:
            channel.close()

    def _open(self) -> grpc.Channel:
        channel = self._channel
        if channel is not None:
            return channel
        with self._lock:
            if self._closed:
                raise UnavailableError("the connection to containerd is closed")
            if self._channel is None:
                path = dial.check(self.address)
                grpc = load_grpc()
                self._channel = grpc.insecure_channel(f"unix:{path}", options=_OPTIONS)
            return self._channel

    def _translate(self, error: grpc.RpcError, about: About) -> PyctlError:
        code: int = error.code().value[0]
        detail = error.details() or ""
        if code not in (errors.UNAVAILABLE, errors.DEADLINE_EXCEEDED):
            return errors.error_for(code, detail, kind=about[0], ref=about[1])
        try:
            path = dial.check(self.address)  # a daemon that went away gets its own words
        except UnavailableError as gone:
            return gone
        if self._has_answered and code == errors.UNAVAILABLE:
            return errors.error_for(code, detail)
        words = "did not answer in time" if self._has_answered else "accepts connections but does not answer"
        return UnavailableError(
            f"containerd at {path} {words} ({detail})",
            hint="is it containerd that listens there, and is it stopped or overloaded? look at its log",
        )


def load_grpc() -> Any:
    """The grpc module: 70-150 ms, so only when we really dial.

    The one place that imports it. Quiet, because its C core writes its own log lines to standard error.
    """
    from os import environ

    environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    return grpc


class _Pending(Generic[R_co]):
    def __init__(self, transport: GrpcTransport, future: Any, about: About) -> None:
        self._transport, self._future, self._about = transport, future, about

    def result(self, timeout_s: float | None = None) -> R_co:
        import grpc

        try:
            answer: R_co = self._future.result(timeout_s)
        except grpc.FutureTimeoutError:
            raise TimeoutError from None
        except grpc.FutureCancelledError as error:
            raise errors.error_for(errors.CANCELLED, "the call was cancelled") from error
        except grpc.RpcError as error:
            raise self._transport._translate(error, self._about) from error
        return answer

    def done(self) -> bool:
        return bool(self._future.done())

    def cancel(self) -> None:
        self._future.cancel()

    def on_done(self, callback: Callable[[], None]) -> None:
        self._future.add_done_callback(lambda _future: callback())


class _Stream(Generic[R_co]):
    def __init__(self, transport: GrpcTransport, call: Any, about: About) -> None:
        self._transport, self._call, self._about = transport, call, about
        self._cancelled = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> R_co:
        import grpc

        try:
            message: R_co = next(self._call)
        except grpc.RpcError as error:
            if self._cancelled:
                raise StopIteration from None
            raise self._transport._translate(error, self._about) from error
        self._transport._has_answered = True
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        self._call.cancel()


class _Exchange(Generic[R_co]):
    def __init__(self, requests: SimpleQueue[bytes | None], stream: _Stream[R_co]) -> None:
        self._requests, self._stream = requests, stream

    def send(self, head: bytes, data: bytes | memoryview = b"") -> None:
        self._requests.put(head + data)

    def receive(self) -> R_co | None:
        return next(self._stream, None)

    def finish(self) -> None:
        self._requests.put(None)
        for _ in self._stream:
            pass

    def cancel(self) -> None:
        self._requests.put(None)  # ends the thread that feeds the call
        self._stream.cancel()


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
