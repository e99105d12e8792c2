"""``cni``: any chain of CNI plug-ins, carried out by the real binaries.

What was done is kept in libcni's cache, written before the first plug-in runs; ``cleanup`` needs nothing else.
"""

from __future__ import annotations

import os

from pyctl_hookspecs import (
    ConflictError,
    InvalidArgumentError,
    NetworkAttachment,
    NetworkIntent,
    PyctlError,
    UnsupportedError,
    hookimpl,
)
from pyctl_hookspecs.errors import CancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctl_hookspecs import ConnectedNetwork, Host, NetworkRequest, PortMapping
    from pyctl_plugins.network._cni_cache import Cached
    from pyctl_plugins.network._cni_chain import Runner
    from pyctl_plugins.network._cni_config import Chain
    from pyctl_plugins.network._cni_lock import Turn
    from pyctl_plugins.network._netlink import Netlink


@hookimpl
def plan_network(request: NetworkRequest, host: Host) -> NetworkIntent:
    from pyctl_plugins.network import _cni_config

    chain = _cni_config.read(request.conflist)
    _cni_config.find_binaries(chain, host.cni_paths)
    _check(request, chain)
    late = [] if request.ip else ["address"]
    if any(not port.host_port or port.host_port_end for port in request.ports):
        late.append("host ports")
    ports = f" and publish {len(request.ports)} port{'s' * (len(request.ports) > 1)}" if request.ports else ""
    token = f"{chain.name}/{_owner(request)}/{request.interface}"
    return NetworkIntent(
        says=f"connect {request.interface} to network {chain.name} with CNI plug-ins {', '.join(chain.kinds)}{ports}",
        undo_token=f"{token}/ports" if request.ports else token,
        late=tuple(late),
    )


@hookimpl
def setup_network(request: NetworkRequest, undo_token: str, host: Host) -> NetworkAttachment:
    from pyctl_plugins.network import _cni_cache, _cni_chain, _cni_config, _cni_lock, _cni_result

    chain = _cni_config.read(request.conflist)
    _loopback_up(request.netns_path)
    with _cni_lock.Turn(host.runtime_dir, _owner(request)) as turn:
        runner = _cni_chain.Runner(chain, host, turn)
        before = _cni_cache.read(chain.name, _owner(request), request.interface)
        if before is not None:  # a crash left it
            _delete(before, host, turn, is_certain=False)
        runner.settle()
        runner.status()
        cached = _cached(request, runner.chain, (), host)
        _cni_cache.write(cached)
        ports: tuple[PortMapping, ...] = ()
        if request.ports:
            from pyctl_plugins.network import _cni_pool, _ports

            ports = _ports.hold(request, _cni_pool.families(runner.chain), host)
            cached = _cached(request, runner.chain, ports, host)
            _cni_cache.write(cached)
        cached = _add(runner, cached, request)
    result = _cni_result.as_1_0(cached.result)
    facts = _cni_result.Facts(result, request.interface)
    mac_address = facts.mac_address or _mac_address(request)
    _check_outcome(request, facts.addresses, mac_address)
    import json

    return NetworkAttachment(
        interface=request.interface,
        addresses=facts.addresses,
        gateway=facts.gateway,
        gateway6=facts.gateway6,
        mac_address=mac_address,
        ports=ports,
        cni_result=json.dumps(result, separators=(",", ":")),
    )


@hookimpl
def detach_network(request: NetworkRequest, undo_token: str, host: Host) -> None:
    from pyctl_plugins.network import _cni_cache, _cni_config, _cni_lock

    chain = _cni_config.read(request.conflist)
    with _cni_lock.Turn(host.runtime_dir, _owner(request)) as turn:
        cached = _cni_cache.read(chain.name, _owner(request), request.interface)
        _delete(cached or _cached(request, chain, (), host), host, turn)


@hookimpl
def cleanup(undo_token: str, host: Host) -> None:
    """Plug-ins first, so that nothing leads to the container any more when its ports are let go."""
    from pyctl_plugins.network import _cni_cache, _cni_lock

    network, owner, interface, *rest = undo_token.split("/")
    with _cni_lock.Turn(host.runtime_dir, owner) as turn:
        cached = _cni_cache.read(network, owner, interface)
        if cached is not None:
            try:
                _delete(cached, host, turn)
            except PyctlError as error:
                error.args = (f"failed to disconnect {interface} from network {network}: {error}",)
                raise
        if rest:
            from pyctl_plugins.network import _ports

            _ports.release(owner.removeprefix(f"{host.namespace}-"), host.namespace, host)
        _cni_cache.remove(network, owner, interface)  # last: a second try must know what there is to undo


@hookimpl
def remove_network(network: str, conflist: str, host: Host) -> None:
    from pyctl_plugins.network import _cni_upkeep

    _cni_upkeep.remove_network(conflist, lambda cached: _undo(cached, host), host)


@hookimpl
def repair_networks(connected: tuple[ConnectedNetwork, ...], is_alive: Callable[[str], bool], host: Host) -> tuple[str, ...]:
    """Every connection is looked at, whatever became of the others; the first failure is raised at the end."""
    from pyctl_plugins.network import _cni_config, _cni_upkeep

    says: list[str] = []
    errors: list[PyctlError] = []
    for one in connected:
        given = [address.partition("/")[0] for address in one.attachment.addresses]
        as_it_is = one.request.replace(
            ip=next((address for address in given if ":" not in address), ""),
            ip6=next((address for address in given if ":" in address), ""),
            mac_address=one.attachment.mac_address,
        )
        try:
            asked = _cached(as_it_is, _cni_config.read(one.request.conflist), one.attachment.ports, host)
            says += _cni_upkeep.repair(one, asked, host)
        except PyctlError as error:
            errors.append(error)
    try:
        says += _cni_upkeep.remove_leftovers(is_alive, lambda cached: _undo(cached, host), host)
    except PyctlError as error:
        errors.append(error)
    if errors:
        raise errors[0]
    return tuple(says)


def _undo(cached: Cached, host: Host) -> None:
    """Undo an attachment that is known from the cache alone."""
    ports = "/ports" if cached.capabilities.get("portMappings") else ""
    cleanup(f"{cached.network}/{cached.owner}/{cached.interface}{ports}", host)


def _add(runner: Runner, cached: Cached, request: NetworkRequest) -> Cached:
    from pyctl_plugins.network import _cni_cache, _cni_pool

    try:
        return runner.add(cached, _cni_cache.write)
    except CancelledError:
        raise
    except PyctlError as error:
        context = f"failed to connect {request.interface} to network {runner.chain.name}"
        for wanted in (request.ip, request.ip6):
            if wanted and _cni_pool.is_taken(runner.chain, wanted, cached.owner):
                raise ConflictError(f"{context}: Address already in use: {wanted} ({error})") from error
        error.args = (f"{context}: {error}",)
        raise


def _delete(cached: Cached, host: Host, turn: Turn, *, is_certain: bool = True) -> None:
    """Undo one attachment as it was done: its own configuration, arguments and result.

    Unless it is certain that the namespace is the one that was connected, plug-ins may leave rules behind.
    """
    from pyctl_plugins.network import _cni_chain, _cni_config

    netns = cached.netns if _is_namespace(cached.netns) else ""
    runner = _cni_chain.Runner(_cni_config.read(cached.config), host, turn, lenient=True, more=cached.directories)
    was_whole = runner.delete(cached, netns)
    if not (netns and was_whole and is_certain):
        from pyctl_plugins.network import _cni_rules

        _cni_rules.remove_container(cached.network, cached.owner)


def _cached(request: NetworkRequest, chain: Chain, ports: tuple[PortMapping, ...], host: Host) -> Cached:
    from pyctl_plugins.network._cni_cache import Cached

    arguments = [("IgnoreUnknown", "1")]
    capabilities: dict[str, Any] = {}
    addresses = [address for address in (request.ip, request.ip6) if address]
    if chain.declares("ips") and request.ip6:
        capabilities["ips"] = [request.ip6]
        addresses.remove(request.ip6)
    arguments += [("IP", address) for address in addresses]
    mac_address = request.mac_address or _mac_of(request.ip, chain)
    if mac_address:
        arguments.append(("MAC", mac_address))
        if chain.declares("mac"):
            capabilities["mac"] = mac_address
    if request.hostname:
        arguments.append(("NERDCTL_CNI_DHCP_HOSTNAME", request.hostname))
    if request.aliases and chain.declares("aliases"):
        capabilities["aliases"] = list(request.aliases)
    if ports:
        capabilities["portMappings"] = [
            {"hostPort": p.host_port, "containerPort": p.container_port, "protocol": p.protocol, "hostIP": p.host_ip}
            for p in ports
        ]
    return Cached(
        network=chain.name,
        owner=_owner(request),
        interface=request.interface,
        config=chain.text,
        netns=request.netns_path,
        arguments=tuple(arguments),
        capabilities=capabilities,
        result={},
        directories=host.cni_paths,
    )


def _check(request: NetworkRequest, chain: Chain) -> None:
    from pyctl_plugins.network._addresses import canonical

    for wanted, is_v6 in ((request.ip, False), (request.ip6, True)):
        if not wanted:
            continue
        try:
            is_address = (":" in canonical(wanted)) == is_v6
        except ValueError:
            is_address = False
        if not is_address:
            raise InvalidArgumentError(f"invalid IPv{6 if is_v6 else 4} address: {wanted}")
    if request.ip and request.ip6 and not chain.declares("ips"):
        raise UnsupportedError(f"network {chain.name} takes one address to ask for: none of its plug-ins declares ips")
    if request.mac_address and not _is_mac(request.mac_address):
        raise InvalidArgumentError(f"{request.mac_address} is not a valid mac address", exit_code=125)
    if request.ports and not chain.declares("portMappings"):
        raise UnsupportedError(
            f"network {chain.name} cannot publish ports: none of its plug-ins ({', '.join(chain.kinds)}) declares portMappings"
        )


def _check_outcome(request: NetworkRequest, addresses: tuple[str, ...], mac_address: str) -> None:
    """Plug-ins may ignore what was asked for without a word."""
    from pyctl_plugins.network._addresses import canonical

    given = [canonical(address.partition("/")[0]) for address in addresses]
    for wanted in (request.ip, request.ip6):
        if wanted and canonical(wanted) not in given:
            raise UnsupportedError(f"network {request.network} did not give {wanted} but {', '.join(given) or 'no address'}")
    if request.mac_address and mac_address and _bytes_of(request.mac_address) != _bytes_of(mac_address):
        raise UnsupportedError(f"network {request.network} did not give {request.mac_address} but {mac_address}")


def _owner(request: NetworkRequest) -> str:
    """CNI's container ID, nerdctl's too."""
    return f"{request.namespace}-{request.container_id}"


def _mac_of(address: str, chain: Chain) -> str:
    """For an address that was asked for the one that driver ``bridge`` would give: then a neighbour that remembers the
    address from the last run is right. Only for plug-ins known to listen.
    """
    from pyctl_plugins.network._rtnetlink import packed

    if not address or chain.kinds[0] not in ("bridge", "macvlan"):
        return ""
    return (bytes((0x02, 0x42)) + packed(address)[1]).hex(":")


def _is_mac(text: str) -> bool:
    raw = _bytes_of(text)
    return len(raw) == 6 and not raw[0] & 1


def _bytes_of(mac_address: str) -> bytes:
    try:
        return bytes.fromhex(mac_address.replace(":", "").replace("-", ""))
    except ValueError:
        return b""


def _is_namespace(path: str) -> bool:
    """Is a network namespace pinned there, rather than nothing or what a reboot left of the pin?"""
    try:
        return os.stat(path).st_dev == os.stat("/proc/self/ns/net").st_dev
    except OSError:
        return False


def _loopback_up(netns_path: str) -> None:
    from pyctl_plugins.network import _rtnetlink

    with _inside(netns_path) as inside:
        inside.change(_rtnetlink.set_up(1))  # 1 in every namespace


def _mac_address(request: NetworkRequest) -> str:
    """For results of a version that has no interfaces."""
    from pyctl_plugins.network import _rtnetlink

    with _inside(request.netns_path) as inside:
        link = _rtnetlink.find_link(inside, request.interface)
    return "" if link is None else link.mac


def _inside(netns_path: str) -> Netlink:
    """A route socket in a namespace."""
    from pyctl_plugins.network import _netlink, _rtnetlink

    try:
        netns = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise PyctlError(f"no network namespace at {netns_path}") from error
    try:
        found: Netlink = _rtnetlink.in_namespace(netns, lambda: _netlink.Netlink(_netlink.ROUTE))
        return found
    finally:
        os.close(netns)
