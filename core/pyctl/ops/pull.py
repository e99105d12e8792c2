"""Bring an image into containerd through the configured provider, under a lease."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from pyctl.ops.session import Session
    from pyctl_hookspecs.resolve_image import ImageRequest, PullProgress, ResolvedImage

_EXPIRES_S = 24 * 3600


class Lease:
    """A lease for the time of a ``with`` block; everything new and nameless is collected when it ends.

    Its labels say whose it is, so that a later command can delete the lease of one that was killed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.lease_id = ""

    def __enter__(self) -> str:
        import os

        self.lease_id = f"pyctl-{os.getpid()}-{os.urandom(6).hex()}"
        self._session.client.leases.create(self.lease_id, owner_labels())
        return self.lease_id

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        from pyctl_hookspecs.errors import NotFoundError, PyctlError

        try:
            self._session.client.leases.delete(self.lease_id, sync=True)
        except NotFoundError:
            pass
        except PyctlError:
            # The first failure is the one to tell; the lease expires by itself.
            if error is None:
                raise


def owner_labels() -> dict[str, str]:
    """Labels for a lease of this process: when it ends at the latest, and who holds it (pid and start time)."""
    import os
    import time

    with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
        started = file.read().rpartition(")")[2].split()[19]
    return {
        "containerd.io/gc.expire": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _EXPIRES_S)),
        "pyctl/owner": f"{os.getpid()} {started}",
    }


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
    with Lease(session) as lease_id:
        return session.hooks.resolve_image(session.settings.image_provider, request, "", session.host.leased(lease_id))
