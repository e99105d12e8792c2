"""What every snapshotter of the daemon's needs: ask containerd for a writable layer."""

from __future__ import annotations

from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.snapshotter import Snapshot, SnapshotRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.host import Host


def plan(request: SnapshotRequest) -> Intent:
    """The undo token is the snapshotter and the key: either may contain no slash."""
    return Intent(
        says=f"prepare a writable {request.snapshotter} layer {request.key[:12]}",
        undo_token=f"{request.snapshotter}/{request.key}",
    )


def prepare(request: SnapshotRequest, chain_id: str, host: Host) -> Snapshot:
    """Make the layer.

    Raises:
        NotFoundError: the image is not unpacked for this snapshotter.
        PyctlError: the daemon refused.
    """
    mounts = host.snapshots.prepare(request.snapshotter, request.key, chain_id, dict(request.labels))
    return Snapshot(snapshotter=request.snapshotter, key=request.key, mounts=mounts)


def remove(undo_token: str, host: Host) -> None:
    """Remove the layer; one that never came to be counts as removed."""
    snapshotter, _, key = undo_token.partition("/")
    if key:
        host.snapshots.remove(snapshotter, key)
