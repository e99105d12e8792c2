"""``--network none``: a network namespace with nothing but loopback."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, NetworkAttachment, NetworkIntent, hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs import NetworkRequest


@hookimpl
def plan_network(request: NetworkRequest) -> NetworkIntent:
    if request.ip or request.ip6 or request.mac_address:
        raise InvalidArgumentError("conflicting options: network none has no addresses to choose")
    return NetworkIntent(says="give the container a network of its own, with loopback only", namespace="new")


@hookimpl
def setup_network(request: NetworkRequest) -> NetworkAttachment:
    return NetworkAttachment(interface="lo")  # -p is accepted and without effect, as in Docker


@hookimpl
def cleanup(undo_token: str) -> None:
    """The namespace goes with the task."""
