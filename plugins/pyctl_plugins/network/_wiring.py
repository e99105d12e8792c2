"""A bridge on the host and a veth pair from it into a container's namespace, with addresses and routes."""

from __future__ import annotations

import os

from pyctl_hookspecs import ConflictError, PyctlError
from pyctl_plugins.network import _netlink
from pyctl_plugins.network import _rtnetlink as rt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl_plugins.network._conflist import BridgeConfig
    from pyctl_plugins.network._netlink import Netlink

_EEXIST, _ENODEV = 17, 19


def veth_name(container_id: str, interface: str) -> str:
    """The host's end, found again from the container alone."""
    number = interface.removeprefix("eth")
    if not number.isdecimal() or len(number) > 2:
        from zlib import crc32

        number = f"{crc32(interface.encode()) & 0xFF:02x}"
    return f"veth{container_id[:9]}{number}"


def ensure_bridge(route: Netlink, config: BridgeConfig) -> rt.Link:
    """The network's bridge, made if it is missing, up, with the gateway's addresses; the host forwards packets.

    Raises:
        ConflictError: an interface of that name is no bridge.
        OSError: the kernel refused.
    """
    link = rt.find_link(route, config.bridge)
    if link is None:
        mac = bytes((0x02, 0x42)) + os.urandom(4)
        for failure in route.attempt(rt.new_bridge(config.bridge, mac, config.mtu)):
            if failure is not None and failure.errno != _EEXIST:
                raise failure
        link = rt.find_link(route, config.bridge)
    if link is None or link.kind != "bridge":
        raise ConflictError(f"interface {config.bridge} exists and is no bridge")
    changes = [] if link.is_up else [rt.set_up(link.index)]
    if config.has_gateway:
        changes += [
            rt.add_address(link.index, f"{one.text(one.gateway)}/{one.prefix}") for group in config.range_sets for one in group
        ]
    for failure in route.attempt(*changes) if changes else ():
        if failure is not None and failure.errno != _EEXIST:
            raise failure
    _sysctl("net/ipv4/ip_forward", "1")
    _sysctl(f"net/ipv4/conf/{config.bridge}/route_localnet", "1")  # 127.0.0.1:PORT of the host; see the rules for the rest
    if config.has_family(is_v6=True):
        _sysctl("net/ipv6/conf/all/forwarding", "1")
    return link


def plug(
    route: Netlink,
    bridge: rt.Link,
    config: BridgeConfig,
    *,
    container_id: str,
    interface: str,
    netns_path: str,
    mac: bytes,
    addresses: Sequence[str],
    gateways: Sequence[str],
) -> tuple[str, str]:
    """Connect a namespace and return the name and hardware address of the host's end. ``addresses`` are CIDR texts.

    Raises:
        PyctlError: no namespace at that path.
        OSError: the kernel refused.
    """
    name = veth_name(container_id, interface)
    try:
        netns = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise PyctlError(f"no network namespace at {netns_path}") from error
    try:
        pair = rt.new_veth(name, master=bridge.index, mtu=config.mtu or bridge.mtu, peer=interface, peer_mac=mac, netns_fd=netns)
        (failure,) = route.attempt(pair)
        if failure is not None and failure.errno == _EEXIST:
            # A stopped container's namespace may live on: what we plugged in then is in the way.
            unplug(route, name)
            (failure,) = route.attempt(pair)
        if failure is not None:
            raise failure
        outside = rt.find_link(route, name)
        if outside is None:
            raise PyctlError(f"interface {name} disappeared")
        changes = [rt.set_neighbour(bridge.index, address.partition("/")[0], mac) for address in addresses]
        if config.hairpin:
            changes.append(rt.set_hairpin(outside.index))
        route.change(*changes)
        with rt.open_inside(netns) as inside:
            _configure(inside, config, interface, addresses, gateways)
        return name, outside.mac
    finally:
        os.close(netns)


def unplug(route: Netlink, name: str) -> None:
    """Remove a veth pair by its host end; one that is not there counts as removed."""
    link = rt.find_link(route, name)
    if link is not None:
        for failure in route.attempt(rt.delete_link(link.index)):
            if failure is not None and failure.errno != _ENODEV:
                raise failure


def _configure(inside: Netlink, config: BridgeConfig, interface: str, addresses: Sequence[str], gateways: Sequence[str]) -> None:
    link = rt.find_link(inside, interface)
    if link is None:
        raise PyctlError(f"interface {interface} disappeared")
    loopback = 1  # always, in every namespace
    inside.change(rt.set_up(loopback), *(rt.add_address(link.index, address) for address in addresses), rt.set_up(link.index))
    routes = []
    for destination, wanted in config.routes:
        is_v6 = ":" in destination
        gateway = wanted or next((g for g in gateways if (":" in g) == is_v6), "")
        if gateway or wanted:
            routes.append(rt.add_route(link.index, destination, gateway))
    for failure in inside.attempt(*routes) if routes else ():
        if failure is not None and failure.errno != _EEXIST:  # a container's first network keeps the default route
            raise failure


def _sysctl(name: str, value: str) -> None:
    path = f"/proc/sys/{name}"
    try:
        with open(path) as file:
            if file.read().strip() == value:
                return
        with open(path, "w") as file:
            file.write(value)
    except OSError as error:
        raise PyctlError(f"cannot set {name.replace('/', '.')} to {value}: {error.strerror}") from error


def new_socket() -> Netlink:
    """A route socket in this thread's namespace."""
    return _netlink.Netlink(_netlink.ROUTE)
