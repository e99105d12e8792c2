"""Leases: what they hold, the garbage collector leaves alone.

A lease that has expired frees nothing by itself; deleting any lease collects it and everything unleased.
"""

from __future__ import annotations

from pyctl.containerd._api import common_pb2, daemon_pb2
from pyctl.containerd.records import EMPTY, Lease, LeaseResource
from pyctl.containerd.wire import time_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyctl.containerd.calls import Calls
    from pyctl.containerd.transport import Pending

_SERVICE = "/containerd.services.leases.v1.Leases/"


class Leases:
    """Leases of one namespace."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(self, lease_id: str, labels: Mapping[str, str] = EMPTY) -> Lease:
        """Make a lease; calls of ``Client.with_lease`` add what they make to it.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        request = daemon_pb2.CreateLeaseRequest(id=lease_id, labels=labels)
        answer = self._calls.unary(_SERVICE + "Create", request, daemon_pb2.CreateLeaseResponse, ("lease", lease_id))
        return _record(answer.lease)

    def start_create(self, lease_id: str, labels: Mapping[str, str] = EMPTY) -> Pending[daemon_pb2.CreateLeaseResponse]:
        """As ``create``, for who has something to do meanwhile: there is a lease once ``result`` has returned."""
        request = daemon_pb2.CreateLeaseRequest(id=lease_id, labels=labels)
        return self._calls.start_unary(_SERVICE + "Create", request, daemon_pb2.CreateLeaseResponse, ("lease", lease_id))

    def delete(self, lease_id: str, *, sync: bool = False) -> None:
        """Let go. With ``sync``, returns after the garbage has been collected (a few milliseconds).

        Raises:
            NotFoundError: no such lease.
        """
        request = daemon_pb2.DeleteLeaseRequest(id=lease_id, sync=sync)
        self._calls.unary(_SERVICE + "Delete", request, common_pb2.Empty, ("lease", lease_id))

    def start_delete(self, lease_id: str) -> Pending[common_pb2.Empty]:
        """As ``delete``, for who has something to do meanwhile; ``result`` raises what it would."""
        request = daemon_pb2.DeleteLeaseRequest(id=lease_id)
        return self._calls.start_unary(_SERVICE + "Delete", request, common_pb2.Empty, ("lease", lease_id))

    def list(self, filters: Iterable[str] = ()) -> tuple[Lease, ...]:
        request = daemon_pb2.ListLeasesRequest(filters=list(filters))
        answer = self._calls.unary(_SERVICE + "List", request, daemon_pb2.ListLeasesResponse)
        return tuple(_record(lease) for lease in answer.leases)

    def add_resource(self, lease_id: str, resource: LeaseResource) -> None:
        """Put something that exists already under the lease."""
        request = daemon_pb2.AddResourceRequest(id=lease_id, resource=_resource(resource))
        self._calls.unary(_SERVICE + "AddResource", request, common_pb2.Empty, ("lease", lease_id))

    def resources(self, lease_id: str) -> tuple[LeaseResource, ...]:
        request = daemon_pb2.ListResourcesRequest(id=lease_id)
        answer = self._calls.unary(_SERVICE + "ListResources", request, daemon_pb2.ListResourcesResponse, ("lease", lease_id))
        return tuple(LeaseResource(type=resource.type, resource_id=resource.id) for resource in answer.resources)


def _resource(record: LeaseResource) -> daemon_pb2.LeaseResource:
    return daemon_pb2.LeaseResource(type=record.type, id=record.resource_id)


def _record(message: daemon_pb2.Lease) -> Lease:
    return Lease(lease_id=message.id, labels=dict(message.labels), created_at=time_text(message.created_at))
