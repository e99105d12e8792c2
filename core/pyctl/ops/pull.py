"""Bring an image into containerd through the configured provider, under a lease."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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
        InvalidArgumentError: not an image reference.
    """
    from pyctl_hookspecs.references import normalise
    from pyctl_hookspecs.resolve_image import ImageRequest

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
    """Pull one image; safe to try again, and what was fetched before a failure need not be fetched again at once.

    Raises:
        NotFoundError: no such image, or not for these platforms.
        UnavailableError: the registry did not answer.
        PyctlError: refused, corrupt or no space.
    """
    from pyctl.ops.leases import leased

    with leased(session, sync=True) as host:
        return session.hooks.resolve_image(session.settings.image_provider, request, "", host)
