"""What somebody took away from running containers, put back: bridges, rules, ports, addresses, interfaces."""

from __future__ import annotations

from pyctl_hookspecs import PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl_hookspecs import ConnectedNetwork, Host
    from pyctl_plugins.network import _rtnetlink as rt
    from pyctl_plugins.network._conflist import BridgeConfig
    from pyctl_plugins.network._netlink import Netlink
    from pyctl_plugins.network._nft import Table


def put_back(connected: Sequence[ConnectedNetwork], host: Host) -> list[str]:
    """Look at each network once and at each connection, and repair; one phrase for each repair.

    Raises:
        PyctlError: some could not be repaired; the others were.
    """
    from pyctl_plugins.network import _nft, _wiring

    if not connected:
        return []
    says: list[str] = []
    failures: list[str] = []
    table = _nft.Table(host.runtime_dir)
    try:
        with _wiring.new_socket() as route:
            bridges: dict[str, tuple[BridgeConfig, rt.Link] | None] = {}
            for one in connected:
                conflist = one.request.conflist
                try:
                    if conflist not in bridges:
                        bridges[conflist] = None  # not a second time, should it fail
                        bridges[conflist] = _network(route, table, one, says)
                    found = bridges[conflist]
                    if found is not None:
                        _connection(route, table, found[1], found[0], one, host, says)
                except PyctlError as error:
                    failures.append(f"{one.request.network}: {error}")
                except OSError as error:
                    failures.append(f"{one.request.container_name} on {one.request.network}: {error.strerror or error}")
    finally:
        table.close()
    if failures:
        raise PyctlError("; ".join(failures))
    return says


def _network(route: Netlink, table: Table, one: ConnectedNetwork, says: list[str]) -> tuple[BridgeConfig, rt.Link]:
    from pyctl_plugins.network import _conflist, _wiring

    config = _conflist.read(one.request.conflist)
    bridge, changes = _wiring.ensure_bridge(route, config)  # first: rules of a bridge that is not there may be swept
    says += [f"{change} again" for change in changes]
    if table.check(config):
        says.append(f"wrote the rules of network {one.request.network} again")
    for family in table.let_forward(config.bridge, ("ip", "ip6") if config.has_family(is_v6=True) else ("ip",)):
        says.append(f"let bridge {config.bridge} pass through {family} FORWARD again")
    return config, bridge


def _connection(
    route: Netlink,
    table: Table,
    bridge: rt.Link,
    config: BridgeConfig,
    one: ConnectedNetwork,
    host: Host,
    says: list[str],
) -> None:
    from pyctl_plugins.network import _elements, _leases, _records, _wiring

    request, attachment = one.request, one.attachment
    name = request.container_name or request.container_id[:12]
    tag = _records.tag(one.undo_token, host)
    owner = f"{request.namespace}-{request.container_id}"
    with _leases.Leases(request.network, config.data_dir) as leases:
        for address in attachment.addresses:
            if leases.renew(owner, request.interface, address.partition("/")[0]):
                says.append(f"entered address {address} of {name} again")
    plug = _wiring.Plug(
        container_id=request.container_id,
        interface=request.interface,
        netns_path=request.netns_path,
        mac=bytes.fromhex(attachment.mac_address.replace(":", "")),
        addresses=attachment.addresses,
        gateways=[one.text(one.gateway) for group in config.range_sets for one in group[:1]] if not config.is_internal else (),
        tag=tag,
    )
    if _wiring.plug_again(route, bridge, config, plug):
        says.append(f"connected {request.interface} of {name} to bridge {config.bridge} again")
    wanted = _elements.of_ports(attachment.ports, attachment.addresses, config)
    present = table.elements_of(tag)
    missing = [element for element in wanted if element not in present]
    table.take_back([element for element in present if element not in wanted])
    if missing or (wanted and not _records.exists(f"{host.runtime_dir}/ports", tag)):
        table.add(tag, wanted)
    for port in attachment.ports:
        if any(element in missing for element in _elements.of_ports([port], attachment.addresses, config)):
            where = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
            says.append(f"published {where}:{port.host_port}/{port.protocol} of {name} again")
