"""containerd's namespaces."""

from __future__ import annotations

from pyctl.containerd._api import common_pb2, daemon_pb2
from pyctl.containerd.errors import AlreadyExistsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyctl.containerd.calls import Calls

_SERVICE = "/containerd.services.namespaces.v1.Namespaces/"


class Namespaces:
    """They stand beside each other: these calls do not depend on the client's own namespace."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self) -> tuple[str, ...]:
        """All names, sorted."""
        answer = self._calls.unary(_SERVICE + "List", daemon_pb2.ListNamespacesRequest(), daemon_pb2.ListNamespacesResponse)
        return tuple(sorted(namespace.name for namespace in answer.namespaces))

    def labels(self, name: str) -> Mapping[str, str]:
        """Labels of a namespace (defaults like ``containerd.io/defaults/snapshotter`` live there)."""
        request = daemon_pb2.GetNamespaceRequest(name=name)
        answer = self._calls.unary(_SERVICE + "Get", request, daemon_pb2.GetNamespaceResponse, ("namespace", name))
        return dict(answer.namespace.labels)

    def ensure(self, name: str) -> None:
        """Make it if it does not exist."""
        request = daemon_pb2.CreateNamespaceRequest(namespace=daemon_pb2.Namespace(name=name))
        try:
            self._calls.unary(_SERVICE + "Create", request, daemon_pb2.CreateNamespaceResponse, ("namespace", name))
        except AlreadyExistsError:
            pass

    def delete(self, name: str) -> None:
        """Remove an empty namespace.

        Raises:
            ConflictError: something is left in it; the message says what.
        """
        request = daemon_pb2.DeleteNamespaceRequest(name=name)
        self._calls.unary(_SERVICE + "Delete", request, common_pb2.Empty, ("namespace", name))
