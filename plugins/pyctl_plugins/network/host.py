"""``--network host``: the host's own network."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, NetworkAttachment, NetworkIntent, hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs import NetworkRequest


@hookimpl
def plan_network(request: NetworkRequest) -> NetworkIntent:
    if request.ip or request.ip6 or request.mac_address:
        raise InvalidArgumentError("conflicting options: network host has the host's addresses")
    return NetworkIntent(says="use the host's network", namespace="host")


@hookimpl
def setup_network(request: NetworkRequest) -> NetworkAttachment:
    return NetworkAttachment(interface="")  # published ports are discarded, as in Docker: every port is the host's


@hookimpl
def cleanup(undo_token: str) -> None:
    """Nothing was made."""
