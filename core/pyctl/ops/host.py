"""What core lends to plug-ins (``pyctl_hookspecs.host.Host``), made of the session's client and state."""

from __future__ import annotations

import os

from pyctl_hookspecs.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from pyctl.containerd.client import Client
    from pyctl.ops.image_store import ContentStore, ImageStore
    from pyctl.ops.session import Session
    from pyctl.state.locks import Lock
    from pyctl.state.volumes import VolumeStore
    from pyctl_hookspecs.create_task import TaskRequest
    from pyctl_hookspecs.process_mounts import OciMount


class SnapshotViews:
    """``host.snapshots``."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def prepare(self, snapshotter: str, key: str, parent: str, labels: Mapping[str, str]) -> tuple[OciMount, ...]:
        from pyctl_hookspecs.errors import ConflictError

        try:
            return self._client.snapshots.prepare(snapshotter, key, parent, labels=labels)
        except ConflictError:
            return self._client.snapshots.mounts(snapshotter, key)

    def remove(self, snapshotter: str, key: str) -> None:
        try:
            self._client.snapshots.remove(snapshotter, key)
        except NotFoundError:
            pass


class CoreHost:
    """Implements ``Host``. ``leased`` gives one whose changes containerd keeps until the lease is deleted."""

    def __init__(self, session: Session, client: Client | None = None, ready: Callable[[], object] | None = None) -> None:
        self._session = session
        self._own_client = client
        self._ready = ready
        self._claims: list[Lock] = []

    def leased(self, lease_id: str, ready: Callable[[], object] | None = None) -> CoreHost:
        """``ready`` returns once the lease exists; nothing is asked of the daemon before."""
        return CoreHost(self._session, self._session.client.with_lease(lease_id), ready)

    @property
    def client(self) -> Client:
        """For core only: the client under this host's lease."""
        if self._ready is not None:
            self._ready()
            self._ready = None
        return self._own_client or self._session.client

    @property
    def namespace(self) -> str:
        return self._session.namespace

    @property
    def address(self) -> str:
        return self._session.address

    @property
    def data_store(self) -> str:
        return self._session.paths.data_store

    @property
    def runtime_dir(self) -> str:
        return self._session.paths.runtime_dir

    @property
    def cni_paths(self) -> tuple[str, ...]:
        return self._session.settings.cni_paths

    @property
    def content(self) -> ContentStore:
        from pyctl.ops.image_store import ContentStore

        return ContentStore(self.client)

    @property
    def images(self) -> ImageStore:
        from pyctl.ops.image_store import ImageStore

        return ImageStore(self.client, f"{self.runtime_dir}/unpack")

    @property
    def snapshots(self) -> SnapshotViews:
        return SnapshotViews(self.client)

    @property
    def volumes(self) -> VolumeStore:
        from pyctl.state.volumes import VolumeStore

        return VolumeStore(self.data_store, self.namespace, self._claims if self._own_client else None)

    def drop_claims(self) -> None:
        """For core only: the container that uses this host's volumes exists, or never will."""
        while self._claims:
            self._claims.pop().release()

    def task_pid(self, container_id: str) -> int:
        status = self.client.tasks.get(container_id)
        if status.status not in ("running", "paused", "created"):
            raise NotFoundError("task", container_id, message=f"container {container_id} is not running")
        return status.pid

    def image_files(self, container_id: str) -> AbstractContextManager[str]:
        from pyctl.ops.mounting import mounted

        mounts = self.client.snapshots.mounts(self._session.settings.snapshotter, container_id)
        return mounted(mounts, f"{self.runtime_dir}/mnt/{container_id}-{os.urandom(4).hex()}")

    def cancelled(self) -> bool:
        return self._session.cancel.is_set()

    def keeper(self, command: str, payload: Mapping[str, str]) -> Mapping[str, str]:
        from pyctl.keeper import client as keeper

        paths = self._session.paths
        return keeper.lend(paths.data_store, paths.runtime_dir, command, payload, data_root=paths.data_root)

    def create_task(self, request: TaskRequest, rootfs: tuple[OciMount, ...]) -> int:
        return self.client.tasks.create(
            request.container_id,
            rootfs=rootfs,
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
            terminal=request.terminal,
        )

    def delete_task(self, container_id: str) -> None:
        from pyctl.ops.tasks import await_dying, delete_task

        session = self._session
        has_ended = await_dying(session.dying, container_id) or container_id in session.ended
        session.ended.discard(container_id)  # it may be started again
        delete_task(self.client, container_id, has_ended=has_ended)
