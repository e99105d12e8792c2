"""``--network bridge``: a veth pair on a Linux bridge, with addresses from host-local's pool and published ports.

Everything happens in this process: netlink for links, addresses and routes, one nftables table, lease files.
"""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, NetworkAttachment, NetworkIntent, PyctlError, UnsupportedError, hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyctl_hookspecs import ConnectedNetwork, Host, NetworkDefinition, NetworkRequest, PortMapping
    from pyctl_plugins.network._addresses import Range
    from pyctl_plugins.network._conflist import BridgeConfig
    from pyctl_plugins.network._elements import Element
    from pyctl_plugins.network._nft import Table


@hookimpl
def plan_network(request: NetworkRequest) -> NetworkIntent:
    from pyctl_plugins.network import _conflist

    config = _conflist.read(request.conflist)
    _check(request, config)
    token = f"{request.network}/{request.namespace}-{request.container_id}/{request.interface}"
    if config.data_dir:
        token += "/" + config.data_dir.replace("%", "%25").replace("/", "%2F")
    late = ["address"] if not request.ip else []
    ports = request.ports if not config.is_internal else ()
    if any(not port.host_port or port.host_port_end for port in ports):
        late.append("host ports")
    publishing = f" and publish {len(ports)} port{'s' * (len(ports) > 1)}" if ports else ""
    return NetworkIntent(
        says=f"connect {request.interface} to network {request.network} ({config.bridge}){publishing}",
        undo_token=token,
        late=tuple(late),
    )


@hookimpl
def setup_network(request: NetworkRequest, undo_token: str, host: Host) -> NetworkAttachment:
    from pyctl_plugins.network import _conflist

    config = _conflist.read(request.conflist)
    ports: tuple[PortMapping, ...] = ()
    if request.ports and not config.is_internal:  # like Docker's, an internal network publishes nothing and says nothing
        from pyctl_plugins.network import _ports, _records

        _records.write(
            _records_dir(host), _records.tag(undo_token, host), ()
        )  # cleanup asks the keeper only where a record says so
        ports = _ports.hold(request, {group[0].is_v6 for group in config.range_sets}, host)
    try:
        return _connect(request, undo_token, host, config, ports)
    except OSError as error:
        raise PyctlError(
            f"failed to connect {request.interface} to network {request.network}: {error.strerror or error}"
        ) from error


@hookimpl
def compose_network(definition: NetworkDefinition, host: Host) -> str:
    import json

    from pyctl_plugins.network import _compose

    return json.dumps(_compose.bridge_chain(definition))


@hookimpl
def remove_network(network: str, conflist: str, host: Host) -> None:
    from pyctl_plugins.network import _removal

    _removal.remove(network, conflist, host)


@hookimpl
def detach_network(request: NetworkRequest, undo_token: str, host: Host) -> None:
    """The veth pair goes as a whole: its end in the container with it, and what was routed through it."""
    from pyctl_plugins.network import _wiring

    with _wiring.new_socket() as route:
        _wiring.unplug(route, _wiring.veth_name(request.container_id, request.interface))


@hookimpl
def repair_networks(connected: tuple[ConnectedNetwork, ...], is_alive: Callable[[str], bool], host: Host) -> tuple[str, ...]:
    from pyctl_plugins.network import _leftovers, _repair

    return (*_repair.put_back(connected, host), *_leftovers.take_away(connected, is_alive, host))


@hookimpl
def cleanup(undo_token: str, host: Host) -> None:
    """Ports first, so that nothing leads to an address that somebody else may get next; the veth goes with its namespace."""
    from pyctl_plugins.network import _leases, _nft, _records

    network, owner, interface, *rest = undo_token.split("/")
    data_dir = rest[0].replace("%2F", "/").replace("%25", "%") if rest else ""
    tag = _records.tag(undo_token, host)
    had_ports = _records.exists(_records_dir(host), tag)
    try:
        table = _nft.Table(host.runtime_dir)
        try:
            removed = table.remove(tag)
        finally:
            table.close()
        _forget_flows(removed)
        _leases.release(network, owner, interface, data_dir)
    except OSError as error:
        raise PyctlError(f"failed to disconnect {interface} from network {network}: {error.strerror or error}") from error
    if had_ports or removed:
        from pyctl_plugins.network import _ports

        _ports.release(owner.removeprefix(f"{host.namespace}-"), host.namespace, host)
    _records.remove(_records_dir(host), tag)  # last: a second try must know that there were ports


def _connect(
    request: NetworkRequest, undo_token: str, host: Host, config: BridgeConfig, ports: tuple[PortMapping, ...]
) -> NetworkAttachment:
    from pyctl_plugins.network import _nft

    table = _nft.Table(host.runtime_dir)
    try:
        table.ensure(config)  # first, because it may have no program to do it with
        _let_forward(table, config)
        return _plug_in(request, undo_token, host, config, ports, table)
    finally:
        table.close()


def _let_forward(table: Table, config: BridgeConfig) -> list[str]:
    return table.let_forward(config.bridge, ("ip", "ip6") if config.has_family(is_v6=True) else ("ip",))


def _plug_in(
    request: NetworkRequest, undo_token: str, host: Host, config: BridgeConfig, ports: tuple[PortMapping, ...], table: Table
) -> NetworkAttachment:
    from pyctl_plugins.network import _elements, _records, _wiring

    leased = _lease(request, config)
    addresses = tuple(f"{address}/{one.prefix}" for address, one in leased)
    # An internal network's containers know of no gateway; any other's may be a machine that is not this one.
    gateways = tuple(one.text(one.gateway) for _, one in leased) if not config.is_internal else ()
    mac = _mac(request, leased)
    tag = _records.tag(undo_token, host)
    with _wiring.new_socket() as route:
        bridge, changes = _wiring.ensure_bridge(route, config)
        if changes and table.confirm(config):
            _let_forward(table, config)
        plug = _wiring.Plug(
            container_id=request.container_id,
            interface=request.interface,
            netns_path=request.netns_path,
            mac=mac,
            addresses=addresses,
            gateways=gateways,
            tag=tag,
        )
        veth_mac = _wiring.plug(route, bridge, config, plug)
    elements = _elements.of_ports(ports, addresses, config)
    table.add(tag, elements)
    _forget_flows(elements)
    links = ((config.bridge, bridge.mac, ""), (plug.name, veth_mac, ""), (request.interface, mac.hex(":"), request.netns_path))
    return NetworkAttachment(
        interface=request.interface,
        addresses=addresses,
        gateway=min(gateways, key=lambda one: ":" in one, default=""),
        gateway6=next((one for one in gateways if ":" in one), ""),
        mac_address=mac.hex(":"),
        ports=ports,
        cni_result=_cni_result(links, addresses, gateways, config),
    )


def _check(request: NetworkRequest, config: BridgeConfig) -> None:
    from pyctl_plugins.network._addresses import to_number

    for wanted, is_v6 in ((request.ip, False), (request.ip6, True)):
        if not wanted:
            continue
        if (":" in wanted) != is_v6:
            raise InvalidArgumentError(f"invalid IPv{6 if is_v6 else 4} address: {wanted}")
        try:
            number = to_number(wanted)
        except ValueError as error:
            raise InvalidArgumentError(f"invalid IPv{6 if is_v6 else 4} address: {wanted}") from error
        if not any(one.is_v6 == is_v6 and one.covers(number) for group in config.range_sets for one in group):
            raise InvalidArgumentError(f"no configured subnet or ip-range contain the IP address {wanted}")
    if request.mac_address:
        _parse_mac(request.mac_address)
    for port in request.ports if not config.is_internal else ():
        if port.host_ip and not config.has_family(is_v6=":" in port.host_ip):
            raise UnsupportedError(
                f"cannot publish port {port.container_port} on {port.host_ip}: "
                f"network {request.network} gives no IPv{6 if ':' in port.host_ip else 4} addresses"
            )


def _lease(request: NetworkRequest, config: BridgeConfig) -> list[tuple[str, Range]]:
    from pyctl_plugins.network._addresses import canonical, to_number
    from pyctl_plugins.network._leases import Leases

    owner = f"{request.namespace}-{request.container_id}"
    leased = []
    with Leases(request.network, config.data_dir) as leases:
        for position, ranges in enumerate(config.range_sets):
            wanted = canonical(text) if (text := request.ip6 if ranges[0].is_v6 else request.ip) else ""
            if wanted and not any(one.covers(to_number(wanted)) for one in ranges):
                wanted = ""  # it is for another set of the same family
            leased.append(leases.take(owner, request.interface, ranges, position=position, wanted=wanted))
    return leased


def _mac(request: NetworkRequest, leased: Sequence[tuple[str, Range]]) -> bytes:
    """As asked for, or made from the address: then a neighbour that remembers the address is right about its owner."""
    if request.mac_address:
        return _parse_mac(request.mac_address)
    from pyctl_plugins.network._rtnetlink import packed

    return bytes((0x02, 0x42)) + packed(leased[0][0])[1][-4:]


def _parse_mac(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text.replace(":", "").replace("-", ""))
    except ValueError:
        raw = b""
    if len(raw) != 6 or raw[0] & 1:
        raise InvalidArgumentError(f"{text} is not a valid mac address", exit_code=125)
    return raw


def _forget_flows(elements: Sequence[Element]) -> None:
    from pyctl_plugins.network._elements import UDP

    ports = {e.host_port for e in elements if e.protocol == UDP}
    if ports:
        from pyctl_plugins.network import _conntrack

        _conntrack.forget_udp(ports)


def _cni_result(
    links: Sequence[tuple[str, str, str]], addresses: Sequence[str], gateways: Sequence[str], config: BridgeConfig
) -> str:
    import json

    ips = []
    for index, address in enumerate(addresses):
        entry: dict[str, object] = {"interface": len(links) - 1, "address": address}
        if gateways:
            entry["gateway"] = gateways[index]
        ips.append(entry)
    result = {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": name, "mac": mac, **({"sandbox": box} if box else {})} for name, mac, box in links],
        "ips": ips,
        "routes": [{"dst": dst, **({"gw": gw} if gw else {})} for dst, gw in config.routes],
        "dns": {},
    }
    return json.dumps(result, separators=(",", ":"))


def _records_dir(host: Host) -> str:
    return f"{host.runtime_dir}/ports"
