"""Snapshots: layers and the writable file systems on top of them."""

from __future__ import annotations

from pyctl.containerd._api import common_pb2, snapshots_pb2
from pyctl.containerd.records import EMPTY, SnapshotInfo, SnapshotUsage
from pyctl.containerd.wire import label_mask, mounts, time_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyctl.containerd.calls import Calls
    from pyctl_hookspecs.process_mounts import OciMount

_SERVICE = "/containerd.services.snapshots.v1.Snapshots/"
_SLOW_S = 600.0  # native copies whole layers, usage walks them


class Snapshots:
    """Snapshots of one namespace; each call names the snapshotter."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def stat(self, snapshotter: str, key: str) -> SnapshotInfo:
        request = snapshots_pb2.StatRequest(snapshotter=snapshotter, key=key)
        return _record(self._calls.unary(_SERVICE + "Stat", request, snapshots_pb2.StatResponse, ("snapshot", key)).info)

    def prepare(self, snapshotter: str, key: str, parent: str = "", labels: Mapping[str, str] = EMPTY) -> tuple[OciMount, ...]:
        """Make a writable snapshot.

        Raises:
            AlreadyExistsError: there is one of that key (or, for an unpack, the daemon has the layer already).
            NotFoundError: no such parent.
        """
        request = snapshots_pb2.PrepareRequest(snapshotter=snapshotter, key=key, parent=parent, labels=labels)
        return mounts(
            self._calls.unary(
                _SERVICE + "Prepare", request, snapshots_pb2.PrepareResponse, ("snapshot", parent or key), _SLOW_S
            ).mounts
        )

    def view(self, snapshotter: str, key: str, parent: str = "", labels: Mapping[str, str] = EMPTY) -> tuple[OciMount, ...]:
        """Make a read-only snapshot of a committed one."""
        request = snapshots_pb2.PrepareRequest(snapshotter=snapshotter, key=key, parent=parent, labels=labels)
        return mounts(
            self._calls.unary(
                _SERVICE + "View", request, snapshots_pb2.PrepareResponse, ("snapshot", parent or key), _SLOW_S
            ).mounts
        )

    def mounts(self, snapshotter: str, key: str) -> tuple[OciMount, ...]:
        """How to mount an active snapshot or a view."""
        request = snapshots_pb2.MountsRequest(snapshotter=snapshotter, key=key)
        return mounts(self._calls.unary(_SERVICE + "Mounts", request, snapshots_pb2.MountsResponse, ("snapshot", key)).mounts)

    def commit(self, snapshotter: str, name: str, key: str, labels: Mapping[str, str] = EMPTY) -> None:
        """Turn the active snapshot ``key`` into the committed ``name``.

        Raises:
            AlreadyExistsError: ``name`` is there already; ``key`` is still active.
        """
        request = snapshots_pb2.CommitRequest(snapshotter=snapshotter, name=name, key=key, labels=labels)
        self._calls.unary(_SERVICE + "Commit", request, common_pb2.Empty, ("snapshot", key), _SLOW_S)

    def remove(self, snapshotter: str, key: str) -> None:
        """Remove a snapshot.

        Raises:
            NotFoundError: no such snapshot (the collector may have been faster).
            ConflictError: others stand on it.
        """
        request = snapshots_pb2.RemoveRequest(snapshotter=snapshotter, key=key)
        self._calls.unary(_SERVICE + "Remove", request, common_pb2.Empty, ("snapshot", key), _SLOW_S)

    def usage(self, snapshotter: str, key: str) -> SnapshotUsage:
        request = snapshots_pb2.UsageRequest(snapshotter=snapshotter, key=key)
        answer = self._calls.unary(_SERVICE + "Usage", request, snapshots_pb2.UsageResponse, ("snapshot", key), _SLOW_S)
        return SnapshotUsage(size_bytes=answer.size, inodes=answer.inodes)

    def list(self, snapshotter: str, filters: Iterable[str] = ()) -> tuple[SnapshotInfo, ...]:
        request = snapshots_pb2.ListRequest(snapshotter=snapshotter, filters=list(filters))
        with self._calls.server_stream(_SERVICE + "List", request, snapshots_pb2.ListResponse) as stream:
            return tuple(_record(info) for message in stream for info in message.info)

    def update_labels(self, snapshotter: str, key: str, labels: Mapping[str, str]) -> SnapshotInfo:
        """Add or replace labels; an empty value removes one."""
        request = snapshots_pb2.UpdateRequest(
            snapshotter=snapshotter, info=snapshots_pb2.Info(name=key, labels=labels), update_mask=label_mask(labels)
        )
        return _record(self._calls.unary(_SERVICE + "Update", request, snapshots_pb2.UpdateResponse, ("snapshot", key)).info)


def _record(message: snapshots_pb2.Info) -> SnapshotInfo:
    return SnapshotInfo(
        name=message.name,
        parent=message.parent,
        kind=snapshots_pb2.Kind.Name(message.kind).lower(),
        labels=dict(message.labels),
        created_at=time_text(message.created_at),
        updated_at=time_text(message.updated_at),
    )
