"""Subnets of a new network: what was asked for is checked, the rest is chosen so that it overlaps with nothing."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, PyctlError
from pyctl_hookspecs.records import Record
from pyctl_hookspecs.setup_network import NetworkSubnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    Address = IPv4Address | IPv6Address
    Network = IPv4Network | IPv6Network

_POOLS = (("10.4.1.0", "10.255.255.255"), ("172.16.0.0", "172.31.255.255"), ("192.168.0.0", "192.168.255.255"))
_PREFIX = 24
_CATCH_ALL = 5  # a route shorter than this leads to a gateway, whatever it is called; nobody is behind it in particular


class SubnetWish(Record):
    """What was typed. ``aux_addresses`` are ``name=ip``; the other texts are addresses or CIDR."""

    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    ip_ranges: tuple[str, ...] = ()
    aux_addresses: tuple[str, ...] = ()
    is_ipv4: bool = True
    is_ipv6: bool = False


class Occupied(Record):
    """What exists. ``pools`` are (subnet, name of its network), ``links`` (CIDR, interface), ``routes`` CIDR texts.

    Links and routes only bind what is chosen; with ``is_link_own`` a subnet that was asked for must also keep clear of links.
    """

    pools: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    routes: tuple[str, ...] = ()
    is_link_own: bool = True


def settle(wish: SubnetWish, occupied: Occupied, random: Callable[[int], bytes]) -> tuple[NetworkSubnet, ...]:
    """The subnets of a network, in the order asked for, chosen ones last. ``random`` gives so many bytes.

    Raises:
        InvalidArgumentError: the argument that is malformed, outside every subnet, or contradicts another one.
        ConflictError: a subnet overlaps with one that exists.
        PyctlError: no free subnet is left.
    """
    asked = [_subnet(text) for text in wish.subnets]
    _check_families(wish, asked)
    if max(len(wish.gateways), len(wish.ip_ranges)) > len(asked):
        raise InvalidArgumentError("every ip-range or gateway must have a corresponding subnet")
    _check_overlaps(asked, occupied)
    gateways, ranges = _pair_gateways(wish.gateways, asked), _pair_ranges(wish.ip_ranges, asked)
    chosen = list(asked)
    if wish.is_ipv4 and not any(subnet.version == 4 for subnet in asked):
        chosen.append(_choose_ipv4(occupied))
    if wish.is_ipv6 and not any(subnet.version == 6 for subnet in asked):
        chosen.append(_choose_ipv6(occupied, random))
    reserved = _reserved(wish.aux_addresses, chosen)
    return tuple(_one(subnet, gateways.get(subnet), ranges.get(subnet), reserved.get(subnet, ())) for subnet in chosen)


def _subnet(text: str) -> Network:
    try:
        interface = ip_interface(text)
        if "/" not in text:
            raise ValueError("no prefix length")
    except ValueError as error:
        raise InvalidArgumentError(f"invalid subnet {text}: {_why(error)}") from error
    network = interface.network
    if interface.ip != network.network_address:
        raise InvalidArgumentError(f'unexpected subnet "{text}", maybe you meant "{network}"?')
    if network.max_prefixlen - network.prefixlen < 2:
        raise InvalidArgumentError(f"subnet {text} has no room for containers")
    return network


def _why(error: ValueError) -> str:
    """``ipaddress`` repeats the text; what is wrong with it is enough."""
    return str(error) if "does not appear" not in str(error) else "not an address with a prefix length"


def _address(flag: str, text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise InvalidArgumentError(f"invalid {flag} address {text}") from error


def _range(text: str) -> Network:
    try:
        if "/" not in text:
            raise ValueError("no prefix length")
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidArgumentError(f"invalid ip-range {text}: {_why(error)}") from error


def _check_families(wish: SubnetWish, asked: Sequence[Network]) -> None:
    if not wish.is_ipv4 and not wish.is_ipv6:
        raise InvalidArgumentError("IPv4 or IPv6 must be enabled")
    for subnet in asked:
        if subnet.version == 4 and not wish.is_ipv4:
            raise InvalidArgumentError(f"cannot use IPv4 subnet {subnet}: --ipv4=false was given")
        if subnet.version == 6 and not wish.is_ipv6:
            raise InvalidArgumentError(f"cannot use IPv6 subnet {subnet} without --ipv6")


def _check_overlaps(asked: Sequence[Network], occupied: Occupied) -> None:
    for number, subnet in enumerate(asked):
        if any(subnet.overlaps(other) for other in asked[:number]):
            raise InvalidArgumentError("multiple overlapping subnet configuration is not supported")
        holders = [(pool, f"network {name}") for pool, name in occupied.pools]
        if occupied.is_link_own:
            holders += [(cidr, f"interface {name}") for cidr, name in occupied.links]
        for text, holder in holders:
            other = _known(text)
            if other is not None and subnet.version == other.version and subnet.overlaps(other):
                raise ConflictError(
                    f"subnet {subnet} overlaps with other one on this address space",
                    hint=f"Pool overlaps with {other} of {holder}; choose another --subnet, or leave it to pyctl",
                )


def _pair_gateways(texts: Sequence[str], subnets: Sequence[Network]) -> dict[Network, Address]:
    found: dict[Network, Address] = {}
    for text in texts:
        gateway = _address("gateway", text)
        subnet = _home(gateway, gateway, subnets)
        if subnet is None:
            raise InvalidArgumentError(f"no matching subnet for gateway {text}")
        if subnet in found:
            raise InvalidArgumentError(f"cannot configure multiple gateways ({text}, {found[subnet]}) for subnet {subnet}")
        found[subnet] = gateway
    return found


def _pair_ranges(texts: Sequence[str], subnets: Sequence[Network]) -> dict[Network, Network]:
    found: dict[Network, Network] = {}
    for text in texts:
        ip_range = _range(text)
        subnet = _home(ip_range.network_address, ip_range.broadcast_address, subnets)
        if subnet is None:
            raise InvalidArgumentError(f"no matching subnet for range {text}")
        if subnet in found:
            raise InvalidArgumentError(f"cannot configure multiple ranges ({text}, {found[subnet]}) for subnet {subnet}")
        found[subnet] = ip_range
    return found


def _home(first: Address, last: Address, subnets: Sequence[Network]) -> Network | None:
    return next((subnet for subnet in subnets if first in subnet and last in subnet), None)


def _reserved(texts: Sequence[str], subnets: Sequence[Network]) -> dict[Network, tuple[tuple[str, Address], ...]]:
    found: dict[Network, tuple[tuple[str, Address], ...]] = {}
    for text in texts:
        name, equals, address = text.partition("=")
        if not name or not equals:
            raise InvalidArgumentError(f"invalid auxiliary address {text}: must be NAME=IP")
        value = _address("auxiliary", address)
        subnet = _home(value, value, subnets)
        if subnet is None:
            raise InvalidArgumentError(f"no matching subnet for aux-address {address}")
        if any(name == known for known, _ in found.get(subnet, ())):
            raise InvalidArgumentError(f"auxiliary address {name} is given twice")
        found[subnet] = (*found.get(subnet, ()), (name, value))
    return found


def _one(
    subnet: Network, gateway: Address | None, ip_range: Network | None, reserved: Sequence[tuple[str, Address]]
) -> NetworkSubnet:
    settled = gateway or subnet.network_address + 1
    useless: dict[Address, str] = {subnet.network_address: "the subnet's own address"}
    if subnet.version == 4:
        useless[subnet.broadcast_address] = "the subnet's broadcast address"
    if settled in useless:
        raise InvalidArgumentError(f"gateway {settled} is {useless[settled]}")
    useless[settled] = "the gateway"
    for name, address in reserved:
        if address in useless:
            raise InvalidArgumentError(f"auxiliary address {name}={address} is {useless[address]}")
        useless[address] = f"auxiliary address {name} already"
    return NetworkSubnet(
        subnet=str(subnet),
        gateway=str(settled),
        ip_range=str(ip_range) if ip_range else "",
        aux_addresses=tuple((name, str(address)) for name, address in reserved),
    )


def _choose_ipv4(occupied: Occupied) -> Network:
    """The first free /24 from 10.4.1.0 on, through the private ranges."""
    taken = _taken(occupied, 4)
    for first_text, last_text in _POOLS:
        number, end = int(ip_address(first_text)), int(ip_address(last_text))
        while number < end:
            blocker = next((last for first, last in taken if first < number + (1 << 32 - _PREFIX) and number <= last), None)
            if blocker is None:
                return ip_network((number, _PREFIX))
            number = (blocker >> 32 - _PREFIX) + 1 << 32 - _PREFIX
    raise PyctlError("no free IPv4 subnet is left", hint="give one with --subnet")


def _choose_ipv6(occupied: Occupied, random: Callable[[int], bytes]) -> Network:
    """A /64 with a random global ID below fd00::/8, as RFC 4193 wants it."""
    taken = _taken(occupied, 6)
    while True:
        first = int.from_bytes(b"\xfd" + random(5) + bytes(10), "big")
        if not any(start <= first + (1 << 64) - 1 and first <= last for start, last in taken):
            return ip_network((first, 64))


def _taken(occupied: Occupied, version: int) -> list[tuple[int, int]]:
    """First and last number of everything a chosen subnet must keep clear of."""
    texts = [pool for pool, _ in occupied.pools]
    texts += [cidr for cidr, _ in occupied.links]
    texts += [route for route in occupied.routes if int(route.rpartition("/")[2]) >= _CATCH_ALL]
    found = [network for text in texts if (network := _known(text)) is not None and network.version == version]
    return sorted((int(network.network_address), int(network.broadcast_address)) for network in found)


def _known(text: str) -> Network | None:
    """What somebody else wrote into a file may be no subnet at all; then nothing overlaps with it."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
