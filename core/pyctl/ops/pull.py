"""Bring an image into containerd through the configured provider, under a lease."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from pyctl.ops.images import ImageConfig
    from pyctl.ops.session import Session
    from pyctl_hookspecs.resolve_image import ImageRequest, PullProgress, ResolvedImage


def request_for(
    session: Session,
    text: str,
    *,
    platforms: tuple[str, ...] = (),
    all_platforms: bool = False,
    unpack: bool = True,
    progress: Callable[[PullProgress], None] | None = None,
) -> ImageRequest:
    """What to ask the provider for, from what the user typed and the settings.

    Raises:
        InvalidArgumentError: not an image reference, or not a platform.
    """
    from pyctl_hookspecs.platforms import normalise as check_platform
    from pyctl_hookspecs.references import normalise
    from pyctl_hookspecs.resolve_image import ImageRequest

    for platform in platforms:
        check_platform(platform)
    settings = session.settings
    return ImageRequest(
        image_ref=str(normalise(text)),
        snapshotter=settings.snapshotter,
        platforms=platforms,
        all_platforms=all_platforms,
        unpack=unpack,
        parallel_layers=settings.parallel_layers,
        insecure_registry=settings.insecure_registry,
        hosts_dirs=settings.hosts_dirs,
        docker_config_dir=settings.docker_config_dir,
        progress=progress,
    )


def pull(session: Session, request: ImageRequest) -> ResolvedImage:
    """Pull one image; safe to try again, and what was fetched before an interruption need not be fetched again.

    Raises:
        NotFoundError: no such image, or not for these platforms.
        UnavailableError: the registry did not answer.
        CancelledError: SIGTERM. SIGINT is KeyboardInterrupt, as ever.
        PyctlError: refused, corrupt or no space.
    """
    from pyctl.ops.resuming import resumable

    with terminable(), resumable(session, request.image_ref) as host:
        return session.hooks.resolve_image(session.settings.image_provider, request, "", host)


def unpack_local(session: Session, image: ImageConfig) -> None:
    """Unpack an image whose content is here for the session's snapshotter.

    Raises:
        NotFoundError: a layer is not here.
        PyctlError: the daemon cannot unpack it (no space, no such snapshotter).
    """
    from pyctl.ops.leases import leased
    from pyctl_hookspecs.errors import NotFoundError

    with terminable(), leased(session, sync=True) as host:
        for layer in image.layers:
            if host.content.size_bytes(layer.digest) is None:
                raise NotFoundError("layer", layer.digest)
        host.images.unpack(session.settings.snapshotter, image.config_digest, image.layers)


class terminable:
    """SIGTERM unwinds the block like Ctrl-C does, so that its lease is let go; only the main thread can see to that."""

    def __init__(self) -> None:
        self._was_terminated = False
        self._before: Any = None

    def __enter__(self) -> None:
        import signal
        from threading import current_thread, main_thread

        if current_thread() is main_thread():
            self._before = signal.signal(signal.SIGTERM, self._handle)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._before is not None:
            import signal

            signal.signal(signal.SIGTERM, self._before)
        if self._was_terminated and isinstance(error, KeyboardInterrupt):
            from pyctl_hookspecs.errors import CancelledError

            raise CancelledError("terminated", exit_code=143) from error

    def _handle(self, _number: int, _frame: object) -> None:
        self._was_terminated = True
        raise KeyboardInterrupt
