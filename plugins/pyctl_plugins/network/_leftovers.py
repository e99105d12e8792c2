"""What containers and networks left behind that no longer exist: ports and bridges in the table, leases, interfaces.

Only what bears the name of a container of this containerd namespace, and only if that container is not alive by the
time we ask: the question comes after the leftover was seen, so a container that is just starting keeps everything.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyctl_hookspecs import ConnectedNetwork, Host


def take_away(connected: Sequence[ConnectedNetwork], is_alive: Callable[[str], bool], host: Host) -> list[str]:
    """Take away the leftovers; one phrase for each.

    Raises:
        PyctlError: the kernel refused.
    """
    from pyctl_hookspecs import PyctlError

    running = {one.request.container_id for one in connected}
    found = [*_tags(host), *_leases(connected, host)]
    links = _links(host)
    says = []

    def is_gone(container_id: str) -> bool:
        return container_id not in running and not is_alive(container_id)  # now, not some leftovers ago: it may start again

    from pyctl_plugins.network import _nft, _wiring, bridge

    try:
        for token in dict.fromkeys(found):
            network, owner, _interface, *_ = token.split("/")
            container_id = owner[-64:]
            if is_gone(container_id):
                bridge.cleanup(token, host)
                says.append(f"released what container {container_id[:12]} still had of network {network}")
        with _wiring.new_socket() as route:
            for name, container_id in links:
                if is_gone(container_id):
                    _wiring.unplug(route, name)
                    says.append(f"removed interface {name} of container {container_id[:12]}")
        table = _nft.Table(host.runtime_dir)
        try:
            says += [f"removed the rules of bridge {name}, which is gone" for name in table.sweep()]
        finally:
            table.close()
    except OSError as error:
        raise PyctlError(f"failed to take leftovers away: {error.strerror or error}") from error
    return says


def _tags(host: Host) -> list[str]:
    """Undo tokens of all connections of this data store and namespace that have ports, or had before a flush."""
    from pyctl_plugins.network import _nft, _records

    table = _nft.Table(host.runtime_dir)
    try:
        tags = table.comments()
    finally:
        table.close()
    tags.update(tag for tag, _ in _records.read_all(f"{host.runtime_dir}/ports"))
    found = []
    for tag in sorted(tags):
        token, _, store = tag.rpartition("@")
        parts = token.split("/")
        if store == _records.store(host) and len(parts) in (3, 4) and parts[0] and _records.is_own(parts[1], host):
            found.append(token)
    return found


def _leases(connected: Sequence[ConnectedNetwork], host: Host) -> list[str]:
    """Undo tokens of all leases of this namespace that no other data store of this machine can claim."""
    from pyctl_plugins.network import _conflist, _leases, _records

    found = []
    for data_dir in dict.fromkeys(["", *(_conflist.read(one.request.conflist).data_dir for one in connected)]):
        end = "/" + data_dir.replace("%", "%25").replace("/", "%2F") if data_dir else ""
        for network in _leases.networks(data_dir):
            held = _leases.Leases(network, data_dir).held()
            found += [
                f"{network}/{owner}/{interface}{end}"
                for owner, interface in held
                if _records.is_own(owner, host) and not _is_known_elsewhere(owner, host)
            ]
    return found


def _links(host: Host) -> list[tuple[str, str]]:
    """Host ends of veth pairs of this data store and namespace, with the container's ID."""
    from pyctl_plugins.network import _records, _wiring
    from pyctl_plugins.network import _rtnetlink as rt

    with _wiring.new_socket() as route:
        links = rt.links(route)
    found = []
    for link in links:
        token, _, store = link.alias.rpartition("@")
        parts = token.split("/")
        if link.kind == "veth" and store == _records.store(host) and len(parts) in (3, 4) and _records.is_own(parts[1], host):
            found.append((link.name, parts[1][-64:]))
    return found


def _is_known_elsewhere(owner: str, host: Host) -> bool:
    """A lease does not say which containerd's container it is. nerdctl and we keep a directory for each container."""
    from pyctl_plugins.network import _records

    base, _, own = host.data_store.rpartition("/")
    path = f"containers/{host.namespace}/{owner[-64:]}"
    if any(
        parts[1] == owner and store != own
        for parts, store in (
            (tag.rpartition("@")[0].split("/"), tag.rpartition("@")[2])
            for tag, _ in _records.read_all(f"{host.runtime_dir}/ports")
        )
        if len(parts) > 1
    ):
        return True
    try:
        stores = os.listdir(base)
    except OSError:
        return False
    return any(os.path.isdir(f"{base}/{store}/{path}") for store in stores if store != own)
