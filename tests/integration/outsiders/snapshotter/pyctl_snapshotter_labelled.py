"""A third party's ``overlayfs``: prepares the same snapshot, and leaves its mark on it."""

from __future__ import annotations

from pyctl_hookspecs import Host, Intent, SnapshotRequest, hookimpl
from pyctl_hookspecs.snapshotter import Snapshot


@hookimpl
def plan_snapshot(request: SnapshotRequest) -> Intent:
    return Intent(says="prepare a labelled snapshot", undo_token=request.key)


@hookimpl
def prepare_snapshot(request: SnapshotRequest, chain_id: str, undo_token: str, host: Host) -> Snapshot:
    labels = {**dict(request.labels), "example.com/prepared-by": "outsider"}
    mounts = host.snapshots.prepare("overlayfs", undo_token, chain_id, labels)
    return Snapshot(snapshotter="overlayfs", key=undo_token, mounts=mounts)


@hookimpl
def cleanup(undo_token: str, host: Host) -> None:
    host.snapshots.remove("overlayfs", undo_token)
