"""What core lends to a plug-in: narrow views of containerd and of the state on disk.

Requests are data; these are the hands. A hook names ``host`` in its signature if it needs it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from typing import Protocol

    from pyctl_hookspecs.create_task import TaskRequest
    from pyctl_hookspecs.process_mounts import OciMount
    from pyctl_hookspecs.resolve_image import Descriptor, PullProgress
else:
    Protocol = object


class ContentWriter(Protocol):
    """One open ingest. Leaving the context without ``commit`` keeps what was written for a later resume."""

    @property
    def offset_bytes(self) -> int:
        """How much containerd already holds: where to continue."""

    def write(self, chunk: bytes) -> None:
        """Append; chunks of about 1 MiB are best."""

    def truncate(self) -> None:
        """Throw away what was written and begin again at offset 0."""

    def commit(self, labels: Mapping[str, str]) -> None:
        """Verify size and digest and make the blob visible; one that exists already counts as success.

        Raises:
            PyctlError: size or digest differ; nothing became visible.
        """


class Content(Protocol):
    """containerd's content store, under the lease of this operation."""

    def size_bytes(self, digest: str) -> int | None:
        """Size of a complete blob, or None when there is none."""

    def read(self, digest: str) -> bytes:
        """A whole blob: for manifests and configs.

        Raises:
            NotFoundError: no such blob.
        """

    def writer(self, ref: str, *, digest: str, size_bytes: int) -> AbstractContextManager[ContentWriter]:
        """Open or resume the ingest ``ref``; waits while another process holds it.

        A blob that exists already is reported by ``size_bytes``: ask first.
        """

    def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """Add or replace labels of a blob (garbage-collection references, for example)."""


class Snapshots(Protocol):
    """containerd's snapshots service, for one snapshotter name per call."""

    def prepare(self, snapshotter: str, key: str, parent: str, labels: Mapping[str, str]) -> tuple[OciMount, ...]:
        """Make a writable snapshot; an existing one of that key is returned as it is."""

    def remove(self, snapshotter: str, key: str) -> None:
        """Remove a snapshot; one that is not there counts as removed."""


class Images(Protocol):
    """What an image provider may ask of core."""

    def unpack(self, snapshotter: str, config_digest: str, layers: Iterable[Descriptor]) -> str:
        """Unpack layers in order, each as soon as the iterable yields it; return the top chain ID.

        Call it beside the download: the iterable may block until the next layer is complete.
        """

    def record(self, name: str, target: Descriptor, labels: Mapping[str, str]) -> None:
        """Create or move the image name."""

    def server_pull(
        self,
        name: str,
        *,
        platforms: tuple[str, ...],
        snapshotter: str,
        hosts_dir: str,
        plain_http: bool,
        credentials: Callable[[str], tuple[str, str]],
        progress: Callable[[PullProgress], None],
    ) -> Descriptor:
        """Let containerd (1.7 and later) pull and unpack.

        Raises:
            UnsupportedError: this containerd has no Transfer service.
        """


class Volumes(Protocol):
    """The volume store, under its lock."""

    def ensure(self, volume_name: str, labels: Mapping[str, str]) -> str:
        """Host path of the volume's data, made if it does not exist yet."""

    def remove(self, volume_name: str) -> None:
        """Remove a volume; one that is not there counts as removed."""


class Host(Protocol):
    """Everything core lends. ``namespace`` and ``address`` are containerd's."""

    @property
    def namespace(self) -> str: ...

    @property
    def address(self) -> str: ...

    @property
    def data_store(self) -> str: ...

    @property
    def runtime_dir(self) -> str: ...

    @property
    def cni_paths(self) -> tuple[str, ...]:
        """Directories of CNI plug-in binaries, searched in this order."""

    @property
    def content(self) -> Content: ...

    @property
    def snapshots(self) -> Snapshots: ...

    @property
    def images(self) -> Images: ...

    @property
    def volumes(self) -> Volumes: ...

    def task_pid(self, container_id: str) -> int:
        """Process ID of a running container's init.

        Raises:
            NotFoundError: no such container, or it is not running.
        """

    def image_files(self, container_id: str) -> AbstractContextManager[str]:
        """A directory with the image's files, read-only, while the context is open (for copy-up)."""

    def cancelled(self) -> bool:
        """Has the user interrupted? Long work asks now and then, and raises CancelledError."""

    def keeper(self, command: str, payload: Mapping[str, str]) -> Mapping[str, str]:
        """Send one request to the keeper of this data store, starting it when there is none."""

    def create_task(self, request: TaskRequest, rootfs: tuple[OciMount, ...]) -> int:
        """Create (not start) the task and return the process ID of its init."""

    def delete_task(self, container_id: str) -> None:
        """Kill and delete a task; one that is not there counts as deleted."""
