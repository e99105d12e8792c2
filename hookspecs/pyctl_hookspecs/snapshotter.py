"""Kind ``snapshotter``: the container's root file system."""

from __future__ import annotations

from pyctl_hookspecs.cleanup import CleanupSpecs
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookspec
from pyctl_hookspecs.process_mounts import OciMount
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.host import Host


class SnapshotRequest(Record):
    """A writable layer for a container. ``snapshotter`` is the name the daemon knows, ``key`` the container ID."""

    snapshotter: str
    key: str
    labels: tuple[tuple[str, str], ...] = ()


class Snapshot(Record):
    """The root file system, as mounts for the runtime."""

    snapshotter: str
    key: str
    mounts: tuple[OciMount, ...]


class SnapshotSpecs(CleanupSpecs):
    """The provider is chosen by ``--snapshotter``; a name nobody claims is passed through to the daemon."""

    @hookspec
    def plan_snapshot(self, request: SnapshotRequest) -> Intent:
        """Say what ``prepare_snapshot`` would do. Changes nothing."""

    @hookspec
    def prepare_snapshot(self, request: SnapshotRequest, chain_id: str, undo_token: str, host: Host) -> Snapshot:
        """Make the writable layer on top of ``chain_id`` (empty: nothing below).

        Raises:
            NotFoundError: the image is not unpacked for this snapshotter.
            PyctlError: refused by the daemon; ``cleanup`` follows.
        """
