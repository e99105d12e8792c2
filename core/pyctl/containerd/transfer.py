"""A pull carried out by containerd itself (1.7 and later): its Transfer service, and the streams beside it.

The daemon asks for credentials and tells its progress over streams that we open first and name in the request.
"""

from __future__ import annotations

from _queue import SimpleQueue

from pyctl.containerd._api import common_pb2, transfer_pb2
from pyctl.containerd.records import EMPTY
from pyctl.containerd.wire import descriptor, platform_message
from pyctl_hookspecs.errors import PyctlError, UnavailableError
from pyctl_hookspecs.resolve_image import PullProgress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pyctl.containerd.calls import Calls
    from pyctl.containerd.message import Message
    from pyctl.containerd.transport import Stream

_TRANSFER = "/containerd.services.transfer.v1.Transfer/Transfer"
_STREAM = "/containerd.services.streaming.v1.Streaming/Stream"
_TYPES = "containerd.types.transfer."
_LAST_WORDS_S = 1.0

_STATES = {
    "waiting": "waiting",
    "downloading": "downloading",
    "already exists": "exists",
    "complete": "downloaded",
    "extracting": "unpacking",
    "extracted": "done",
}


def pull(
    calls: Calls,
    name: str,
    *,
    platforms: Iterable[str] = (),
    snapshotter: str = "",
    labels: Mapping[str, str] = EMPTY,
    hosts_dir: str = "",
    plain_http: bool = False,
    credentials: Callable[[str], tuple[str, str]] | None = None,
    progress: Callable[[PullProgress], None] | None = None,
) -> None:
    """Fetch ``name`` and store it under that name; unpack it with ``snapshotter`` unless that is empty.

    ``platforms`` are ``os/arch[/variant]``; none means all. ``credentials`` gets a registry's host and answers
    with user and secret (a refresh token when the user is empty; two empty texts: anonymous). Both callbacks
    run in threads of their own; what they raise ends the pull and is raised here.

    Raises:
        UnsupportedError: this containerd has no Transfer service.
        PyctlError: the daemon's own words.
    """
    streams: list[_Channel] = []
    try:
        resolver = transfer_pb2.RegistryResolver(host_dir=hosts_dir, default_scheme="http" if plain_http else "")
        options = transfer_pb2.TransferOptions()
        if credentials is not None:
            streams.append(_Credentials(calls, credentials))
            resolver.auth_stream = streams[-1].name
        if progress is not None:
            streams.append(_Progress(calls, progress))
            options.progress_stream = streams[-1].name
        wanted = [platform_message(platform) for platform in platforms]
        unpacks = [transfer_pb2.UnpackConfiguration(platform=platform, snapshotter=snapshotter) for platform in wanted]
        if not wanted and snapshotter:
            unpacks = [transfer_pb2.UnpackConfiguration(snapshotter=snapshotter)]
        store = transfer_pb2.ImageStore(
            name=name, labels=labels, platforms=wanted, all_metadata=not wanted, unpacks=unpacks if snapshotter else ()
        )
        request = transfer_pb2.TransferRequest(
            source=_any("OCIRegistry", transfer_pb2.OCIRegistry(reference=name, resolver=resolver)),
            destination=_any("ImageStore", store),
            options=options,
        )
        pending = calls.start_unary(_TRANSFER, request, common_pb2.Empty, ("image", name))
        for stream in streams:
            stream.start(pending.cancel)
        try:
            pending.result()
        except PyctlError:
            for stream in streams:
                if stream.failure is not None:
                    raise stream.failure from None
            raise
        finally:
            pending.cancel()
        if progress is not None:
            streams[-1].finish(_LAST_WORDS_S)
    finally:
        for stream in streams:
            stream.close()


class _Channel:
    """One stream between the daemon and us, registered under a name; a thread of ours reads it."""

    def __init__(self, calls: Calls, purpose: str) -> None:
        from os import urandom

        self.name = f"{purpose}-{urandom(12).hex()}"
        self.failure: BaseException | None = None
        self._requests: SimpleQueue[common_pb2.Any | None] = SimpleQueue()
        self._stream: Stream[common_pb2.Any] = calls.bidi(
            _STREAM, iter(self._requests.get, None), common_pb2.Any, ("stream", self.name)
        )
        init = transfer_pb2.StreamInit(id=self.name).SerializeToString()
        self._requests.put(common_pb2.Any(type_url="containerd.services.streaming.v1.StreamInit", value=init))
        try:
            next(self._stream)  # the daemon's word that the name is known
        except StopIteration:
            self.close()
            raise UnavailableError(f"containerd ended the stream {self.name} early") from None
        except BaseException:
            self.close()
            raise

    def start(self, on_failure: Callable[[], None]) -> None:
        """Begin to read; ``on_failure`` is called when a callback raised (see ``failure``)."""
        from threading import Thread

        self._thread = Thread(target=self._read, args=(on_failure,), name=self.name, daemon=True)
        self._thread.start()

    def finish(self, timeout_s: float) -> None:
        """Let what is still on its way arrive."""
        self._thread.join(timeout_s)

    def close(self) -> None:
        self._requests.put(None)
        self._stream.cancel()

    def _read(self, on_failure: Callable[[], None]) -> None:
        while True:
            try:
                message = next(self._stream)
            except (StopIteration, PyctlError):
                return  # the transfer's own answer says what is wrong
            try:
                self._take(message)
            except BaseException as error:
                self.failure = error  # it belongs to the thread that called pull
                on_failure()
                return

    def _take(self, message: common_pb2.Any) -> None:
        raise NotImplementedError


class _Credentials(_Channel):
    def __init__(self, calls: Calls, ask: Callable[[str], tuple[str, str]]) -> None:
        super().__init__(calls, "auth")
        self._ask = ask

    def _take(self, message: common_pb2.Any) -> None:
        user, secret = self._ask(transfer_pb2.AuthRequest.FromString(message.value).host)
        kind = transfer_pb2.NONE
        if secret:
            kind = transfer_pb2.CREDENTIALS if user else transfer_pb2.REFRESH
        self._requests.put(_any("AuthResponse", transfer_pb2.AuthResponse(auth_type=kind, username=user, secret=secret)))


class _Progress(_Channel):
    def __init__(self, calls: Calls, tell: Callable[[PullProgress], None]) -> None:
        super().__init__(calls, "progress")
        self._tell = tell

    def _take(self, message: common_pb2.Any) -> None:
        event = transfer_pb2.Progress.FromString(message.value)
        state = _STATES.get(event.event)
        if state is not None and event.desc.digest:
            blob = descriptor(event.desc)
            self._tell(
                PullProgress(
                    digest=blob.digest,
                    kind=kind_of(blob.media_type),
                    state=state,
                    done_bytes=event.progress,
                    total_bytes=event.total or blob.size_bytes,
                )
            )


def kind_of(media_type: str) -> str:
    """index, manifest, config or layer."""
    if media_type.endswith((".index.v1+json", ".manifest.list.v2+json")):
        return "index"
    if ".manifest." in media_type:
        return "manifest"
    if ".config." in media_type or ".container.image.v1+json" in media_type:
        return "config"
    return "layer"


def _any(kind: str, message: Message) -> common_pb2.Any:
    return common_pb2.Any(type_url=_TYPES + kind, value=message.SerializeToString())
