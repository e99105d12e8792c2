"""``--network bridge``: a veth pair on a Linux bridge, with addresses from host-local's pool and published ports.

Everything happens in this process: netlink for links, addresses and routes, one nftables table, lease files.
"""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, NetworkAttachment, NetworkIntent, PyctlError, UnsupportedError, hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl_hookspecs import Host, NetworkDefinition, NetworkRequest, PortMapping
    from pyctl_plugins.network._addresses import Range
    from pyctl_plugins.network._conflist import BridgeConfig
    from pyctl_plugins.network._nft import Element


@hookimpl
def plan_network(request: NetworkRequest) -> NetworkIntent:
    from pyctl_plugins.network import _conflist

    config = _conflist.read(request.conflist)
    _check(request, config)
    token = f"{request.network}/{request.namespace}-{request.container_id}/{request.interface}"
    if config.data_dir:
        token += "/" + config.data_dir.replace("%", "%25").replace("/", "%2F")
    late = ["address"] if not request.ip else []
    if any(not port.host_port or port.host_port_end for port in request.ports):
        late.append("host ports")
    ports = f" and publish {len(request.ports)} port{'s' * (len(request.ports) > 1)}" if request.ports else ""
    return NetworkIntent(
        says=f"connect {request.interface} to network {request.network} ({config.bridge}){ports}",
        undo_token=token,
        late=tuple(late),
    )


@hookimpl
def setup_network(request: NetworkRequest, undo_token: str, host: Host) -> NetworkAttachment:
    from pyctl_plugins.network import _conflist

    config = _conflist.read(request.conflist)
    ports: tuple[PortMapping, ...] = ()
    if request.ports:
        from pyctl_plugins.network import _ports, _records

        _records.write(_records_dir(host), undo_token, ())  # cleanup asks the keeper only where a record says so
        ports = _ports.hold(request, host)
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
    from pyctl_plugins.network import _conflist, _wiring

    config = _conflist.read(conflist)
    with _wiring.new_socket() as route:
        _wiring.unplug(route, config.bridge)


@hookimpl
def cleanup(undo_token: str, host: Host) -> None:
    """Ports first, so that nothing leads to an address that somebody else may get next; the veth goes with its namespace."""
    from pyctl_plugins.network import _leases, _nft, _records

    network, owner, interface, *rest = undo_token.split("/")
    data_dir = rest[0].replace("%2F", "/").replace("%25", "%") if rest else ""
    had_ports = _records.exists(_records_dir(host), undo_token)
    try:
        table = _nft.Table(_records_dir(host))
        try:
            removed = table.remove(undo_token)
        finally:
            table.close()
        _forget_flows(removed)
        _leases.release(network, owner, interface, data_dir)
    except OSError as error:
        raise PyctlError(f"failed to disconnect {interface} from network {network}: {error.strerror or error}") from error
    if had_ports or removed:
        from pyctl_plugins.network import _ports

        _ports.release(owner.removeprefix(f"{host.namespace}-"), host.namespace, host)
    _records.remove(_records_dir(host), undo_token)  # last: a second try must know that there were ports


def _connect(
    request: NetworkRequest, undo_token: str, host: Host, config: BridgeConfig, ports: tuple[PortMapping, ...]
) -> NetworkAttachment:
    from pyctl_plugins.network import _nft, _wiring

    leased = _lease(request, config)
    addresses = tuple(f"{address}/{one.prefix}" for address, one in leased)
    gateways = tuple(one.text(one.gateway) for _, one in leased) if config.has_gateway else ()
    mac = _mac(request, leased)
    with _wiring.new_socket() as route:
        bridge = _wiring.ensure_bridge(route, config)
        veth, veth_mac = _wiring.plug(
            route,
            bridge,
            config,
            container_id=request.container_id,
            interface=request.interface,
            netns_path=request.netns_path,
            mac=mac,
            addresses=addresses,
            gateways=gateways,
        )
    table = _nft.Table(_records_dir(host))
    try:
        table.ensure(config.bridge, config.subnets, masquerade=config.masquerade, closed=config.is_closed)
        table.let_forward(config.bridge, ("ip", "ip6") if config.has_family(is_v6=True) else ("ip",))
        elements = [_nft.published(port, _target(port, leased)) for port in ports]
        table.add(undo_token, elements)
        _forget_flows(elements)
    finally:
        table.close()
    links = ((config.bridge, bridge.mac, ""), (veth, veth_mac, ""), (request.interface, mac.hex(":"), request.netns_path))
    return NetworkAttachment(
        interface=request.interface,
        addresses=addresses,
        gateway=gateways[0] if gateways else "",
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
    for port in request.ports:
        if not config.has_family(is_v6=":" in port.host_ip):
            raise UnsupportedError(
                f"cannot publish port {port.container_port} on {port.host_ip}: "
                f"network {request.network} gives no IPv{6 if ':' in port.host_ip else 4} addresses"
            )


def _lease(request: NetworkRequest, config: BridgeConfig) -> list[tuple[str, Range]]:
    from pyctl_plugins.network._addresses import canonical
    from pyctl_plugins.network._leases import Leases

    owner = f"{request.namespace}-{request.container_id}"
    leased = []
    with Leases(request.network, config.data_dir) as leases:
        for position, ranges in enumerate(config.range_sets):
            wanted = request.ip6 if ranges[0].is_v6 else request.ip
            leased.append(
                leases.take(owner, request.interface, ranges, position=position, wanted=canonical(wanted) if wanted else "")
            )
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
        raise InvalidArgumentError(f"{text} is not a valid mac address")
    return raw


def _target(port: PortMapping, leased: Sequence[tuple[str, Range]]) -> str:
    return next(address for address, one in leased if one.is_v6 == (":" in port.host_ip))


def _forget_flows(elements: Sequence[Element]) -> None:
    from pyctl_plugins.network._nft import UDP

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
