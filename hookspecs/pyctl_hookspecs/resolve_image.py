"""``resolve_image``: from what the user typed to an unpacked image in containerd."""

from __future__ import annotations

from pyctl_hookspecs.cleanup import CleanupSpecs
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookspec
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctl_hookspecs.host import Host


class Descriptor(Record):
    """An OCI content descriptor. ``platform`` is ``os/arch[/variant]`` or empty."""

    media_type: str
    digest: str
    size_bytes: int
    platform: str = ""
    annotations: tuple[tuple[str, str], ...] = ()


class PullProgress(Record):
    """One event of a pull: a blob moved on. ``state`` is waiting, downloading, exists, downloaded, unpacking or done."""

    digest: str
    kind: str  # index, manifest, config, layer
    state: str
    done_bytes: int = 0
    total_bytes: int = 0


class ImageRequest(Record):
    """An image to bring into containerd.

    ``image_ref`` is fully qualified (``docker.io/library/nginx:latest``). ``platforms`` are
    ``os/arch[/variant]``; empty with ``all_platforms``. ``hosts_dirs`` hold ``hosts.toml`` files.
    """

    image_ref: str
    snapshotter: str
    platforms: tuple[str, ...] = ()
    all_platforms: bool = False
    unpack: bool = True
    parallel_layers: int = 3
    insecure_registry: bool = False
    hosts_dirs: tuple[str, ...] = ()
    docker_config_dir: str = ""
    progress: Callable[[PullProgress], None] | None = None


class ResolvedImage(Record):
    """An image that is complete in containerd. ``chain_id`` is empty when it was not unpacked."""

    image_ref: str
    target: Descriptor
    manifest_digest: str
    config_digest: str
    platform: str
    chain_id: str = ""


class ImageSpecs(CleanupSpecs):
    """Kind ``image``: providers are chosen by configuration (``registry``, ``transfer``)."""

    @hookspec
    def plan_image(self, request: ImageRequest) -> Intent:
        """Say what ``resolve_image`` would do. Changes nothing, asks no registry."""

    @hookspec
    def resolve_image(self, request: ImageRequest, undo_token: str, host: Host) -> ResolvedImage:
        """Fetch, verify, unpack and record the image.

        Runs under a lease held by core. What was fetched may stay after a failure: it is content-addressed,
        a later pull resumes from it, and without a lease containerd collects it.

        Raises:
            NotFoundError: no such image, or not for these platforms.
            UnavailableError: the registry did not answer.
            PyctlError: refused, corrupt or no space.
        """
