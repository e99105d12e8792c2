"""``--snapshotter native``: a full copy of the layers for each container; works on every file system."""

from __future__ import annotations

from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookimpl
from pyctl_hookspecs.snapshotter import Snapshot, SnapshotRequest
from pyctl_plugins.snapshotter import _prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.host import Host


@hookimpl
def plan_snapshot(request: SnapshotRequest) -> Intent:
    return _prepare.plan(request)


@hookimpl
def prepare_snapshot(request: SnapshotRequest, chain_id: str, host: Host) -> Snapshot:
    return _prepare.prepare(request, chain_id, host)


@hookimpl
def cleanup(undo_token: str, host: Host) -> None:
    _prepare.remove(undo_token, host)
