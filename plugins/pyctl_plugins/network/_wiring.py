"""A bridge on the host and a veth pair from it into a container's namespace, with addresses and routes."""

from __future__ import annotations

import os

from pyctl_hookspecs import ConflictError, PyctlError
from pyctl_plugins.network import _host_sysctls, _netlink
from pyctl_plugins.network import _rtnetlink as rt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl_plugins.network._conflist import BridgeConfig
    from pyctl_plugins.network._netlink import Netlink

_EEXIST, _ENODEV = 17, 19


class Plug:
    """One end in a container: ``addresses`` are CIDR texts, ``tag`` says on the host's end whose it is."""

    __slots__ = ("addresses", "container_id", "gateways", "interface", "mac", "netns_path", "tag")

    def __init__(
        self,
        *,
        container_id: str,
        interface: str,
        netns_path: str,
        mac: bytes,
        addresses: Sequence[str],
        gateways: Sequence[str],
        tag: str,
    ) -> None:
        self.container_id, self.interface, self.netns_path = container_id, interface, netns_path
        self.mac, self.addresses, self.gateways, self.tag = mac, addresses, gateways, tag

    @property
    def name(self) -> str:
        """The host's end."""
        return veth_name(self.container_id, self.interface)


def veth_name(container_id: str, interface: str) -> str:
    """The host's end, found again from the container alone."""
    number = interface.removeprefix("eth")
    if not number.isdecimal() or len(number) > 2:
        from zlib import crc32

        number = f"{crc32(interface.encode()) & 0xFF:02x}"
    return f"veth{container_id[:9]}{number}"


def ensure_bridge(route: Netlink, config: BridgeConfig) -> tuple[rt.Link, list[str]]:
    """The network's bridge, made if it is missing, up, with the gateway's addresses; the host forwards packets.

    Also says what of it was not so before, one phrase each.

    Raises:
        ConflictError: an interface of that name is no bridge.
        OSError: the kernel refused.
    """
    says = []
    link = rt.find_link(route, config.bridge)
    if link is None:
        mac = bytes((0x02, 0x42)) + os.urandom(4)
        for failure in route.attempt(rt.new_bridge(config.bridge, mac, config.mtu)):
            if failure is not None and failure.errno != _EEXIST:
                raise failure
        link = rt.find_link(route, config.bridge)
        says.append(f"made bridge {config.bridge}")
    if link is None or link.kind != "bridge":
        raise ConflictError(f"interface {config.bridge} exists and is no bridge")
    settings = _host_sysctls.prepare(config)
    changes = []
    if not says:
        says += [f"set {setting}" for setting in settings]
        says += [f"brought bridge {config.bridge} up"] if not link.is_up else []
    if not link.is_up:
        changes.append(rt.set_up(link.index))
    gateways = config.gateways
    changes += [rt.add_address(link.index, gateway) for gateway in gateways]
    outcomes = route.attempt(*changes) if changes else []
    for failure in outcomes:
        if failure is not None and failure.errno != _EEXIST:
            raise failure
    given = [one for one, failure in zip(gateways, outcomes[len(outcomes) - len(gateways) :], strict=True) if failure is None]
    if given:
        says.append(f"gave bridge {config.bridge} the address {' '.join(given)}")
    return link, says


def plug(route: Netlink, bridge: rt.Link, config: BridgeConfig, one: Plug) -> str:
    """Connect a namespace and return the hardware address of the host's end.

    Raises:
        PyctlError: no namespace at that path.
        OSError: the kernel refused.
    """
    try:
        netns = os.open(one.netns_path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise PyctlError(f"no network namespace at {one.netns_path}") from error
    try:
        mtu = config.mtu or bridge.mtu
        pair = rt.new_veth(one.name, master=bridge.index, mtu=mtu, peer=one.interface, peer_mac=one.mac, netns_fd=netns)
        (failure,) = route.attempt(pair)
        if failure is not None and failure.errno == _EEXIST:
            # A stopped container's namespace may live on: what we plugged in then is in the way.
            unplug(route, one.name)
            (failure,) = route.attempt(pair)
        if failure is not None:
            raise failure
        outside = rt.find_link(route, one.name)
        if outside is None:
            raise PyctlError(f"interface {one.name} disappeared")
        route.change(*_port_settings(outside, bridge, config, one))
        with rt.open_inside(netns, one.interface) as inside:
            _configure(inside, config, one)
        return outside.mac
    finally:
        os.close(netns)


def plug_again(route: Netlink, bridge: rt.Link, config: BridgeConfig, one: Plug) -> bool:
    """Put back what is missing of a connection: the port on its bridge, or all of it; False if nothing was.

    Raises:
        PyctlError, OSError: as ``plug``.
    """
    outside = rt.find_link(route, one.name)
    if outside is None:
        plug(route, bridge, config, one)
        return True
    is_whole = outside.master == bridge.index and outside.is_up
    changes = [] if is_whole else [rt.set_master(outside.index, bridge.index)]
    # Also where nothing is missing: whether a port must be isolated depends on a setting that others change.
    route.change(*changes, *_port_settings(outside, bridge, config, one))
    return not is_whole


def unplug(route: Netlink, name: str) -> None:
    """Remove a veth pair by its host end; one that is not there counts as removed."""
    link = rt.find_link(route, name)
    if link is not None:
        remove(route, link)


def remove(route: Netlink, link: rt.Link) -> None:
    """Delete an interface; one that is gone by now counts as deleted."""
    for failure in route.attempt(rt.delete_link(link.index)):
        if failure is not None and failure.errno != _ENODEV:
            raise failure


def _port_settings(outside: rt.Link, bridge: rt.Link, config: BridgeConfig, one: Plug) -> list[_netlink.Message]:
    changes = [rt.set_neighbour(bridge.index, address.partition("/")[0], one.mac) for address in one.addresses]
    changes.append(rt.set_alias(outside.index, one.tag))
    # Where br_netfilter shows bridged frames to our rules, these keep containers apart. They must do it alone: a frame
    # for a neighbour's published port is translated on the bridge, and an isolated port would not take it any more.
    is_isolated = config.is_isolated and not _host_sysctls.filters_bridged_frames()
    if config.hairpin or config.is_isolated:
        changes.append(rt.set_port(outside.index, hairpin=config.hairpin, isolated=is_isolated))
    return changes


def _configure(inside: Netlink, config: BridgeConfig, one: Plug) -> None:
    link = rt.find_link(inside, one.interface)
    if link is None:
        raise PyctlError(f"interface {one.interface} disappeared")
    loopback = 1  # always, in every namespace
    addresses = [rt.add_address(link.index, address) for address in one.addresses]
    inside.change(rt.set_up(loopback), *addresses, rt.set_up(link.index))
    routes = []
    for destination, wanted in config.routes:
        is_v6 = ":" in destination
        gateway = wanted or next((g for g in one.gateways if (":" in g) == is_v6), "")
        if gateway:
            routes.append(rt.add_route(link.index, destination, gateway))
    for failure in inside.attempt(*routes) if routes else ():
        if failure is not None and failure.errno != _EEXIST:  # a container's first network keeps the default route
            raise failure


def new_socket() -> Netlink:
    """A route socket in this thread's namespace."""
    return _netlink.Netlink(_netlink.ROUTE)
