"""``--network container:ID``: the network of another container that is running."""

from __future__ import annotations

from pyctl_hookspecs import ConflictError, InvalidArgumentError, NetworkAttachment, NetworkIntent, NotFoundError, hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs import Host, NetworkRequest


@hookimpl
def plan_network(request: NetworkRequest, host: Host) -> NetworkIntent:
    """The path is that of a process, so it is looked up anew at every start."""
    container_id = request.network.partition(":")[2]
    if not container_id:
        raise InvalidArgumentError(f"invalid network {request.network}: it names no container")
    if request.ports:
        raise InvalidArgumentError("conflicting options: port publishing and the container type network mode")
    if request.mac_address or request.ip or request.ip6:
        raise InvalidArgumentError("conflicting options: addresses and the network mode")
    try:
        pid = host.task_pid(container_id)
    except NotFoundError as error:
        if error.kind == "container":
            raise
        raise ConflictError(f"cannot join network of a non running container: {container_id}") from error
    return NetworkIntent(
        says=f"share the network of container {container_id[:12]}", namespace="path", join_path=f"/proc/{pid}/ns/net"
    )


@hookimpl
def setup_network(request: NetworkRequest) -> NetworkAttachment:
    return NetworkAttachment(interface="")


@hookimpl
def cleanup(undo_token: str) -> None:
    """The network is the other container's."""
