"""Subnets of a new network: checked, or chosen."""

from __future__ import annotations

from typing import Any

import pytest

from pyctl.state.subnets import Occupied, SubnetWish, settle
from pyctl_hookspecs import ConflictError, InvalidArgumentError, NetworkSubnet, PyctlError


def zeros(count: int) -> bytes:
    return bytes(count)


def settled(occupied: Occupied | None = None, **wish: Any) -> tuple[NetworkSubnet, ...]:
    return settle(SubnetWish(**wish), occupied or Occupied(), zeros)


def texts(occupied: Occupied | None = None, **wish: Any) -> list[str]:
    return [one.subnet for one in settled(occupied, **wish)]


def test_the_first_subnet_is_nerdctls() -> None:
    assert settled() == (NetworkSubnet(subnet="10.4.1.0/24", gateway="10.4.1.1"),)


def test_a_chosen_subnet_keeps_clear_of_networks_interfaces_and_routes() -> None:
    occupied = Occupied(
        pools=(("10.4.1.0/24", "a"), ("10.4.3.128/25", "b"), ("house", "broken")),
        links=(("10.4.2.17/30", "eth0"), ("127.0.0.1/8", "lo"), ("fe80::1/64", "eth0")),
        routes=("10.4.4.0/22", "0.0.0.0/1", "128.0.0.0/1"),
    )
    assert texts(occupied) == ["10.4.8.0/24"]


def test_a_route_that_takes_all_of_ten_leads_on_to_the_next_private_range() -> None:
    assert texts(Occupied(routes=("10.0.0.0/8",))) == ["172.16.0.0/24"]
    assert texts(Occupied(routes=("10.0.0.0/8", "172.16.0.0/12"))) == ["192.168.0.0/24"]


def test_no_subnet_is_left() -> None:
    with pytest.raises(PyctlError, match="no free IPv4 subnet is left"):
        settled(Occupied(routes=("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def test_several_subnets_with_what_belongs_to_them() -> None:
    found = settled(
        subnets=("10.9.0.0/24", "fd12::/64"),
        gateways=("fd12::ff", "10.9.0.254"),
        ip_ranges=("10.9.0.130/25",),
        aux_addresses=("router=10.9.0.5", "printer=fd12::5"),
        is_ipv6=True,
    )
    assert found == (
        NetworkSubnet(
            subnet="10.9.0.0/24", gateway="10.9.0.254", ip_range="10.9.0.128/25", aux_addresses=(("router", "10.9.0.5"),)
        ),
        NetworkSubnet(subnet="fd12::/64", gateway="fd12::ff", aux_addresses=(("printer", "fd12::5"),)),
    )


def test_an_ipv6_subnet_is_a_unique_local_one() -> None:
    assert texts(is_ipv6=True) == ["10.4.1.0/24", "fd00::/64"]
    assert texts(is_ipv6=True, is_ipv4=False) == ["fd00::/64"]


def test_an_ipv6_subnet_that_is_taken_is_drawn_again() -> None:
    draws = iter([bytes(5), b"\1\2\3\4\5"])
    found = settle(SubnetWish(is_ipv4=False, is_ipv6=True), Occupied(pools=(("fd00::/64", "x"),)), lambda _: next(draws))
    assert found[0].subnet == "fd01:203:405::/64"


def test_ipv4_is_added_to_a_subnet_of_ipv6_alone() -> None:
    assert texts(subnets=("fd12::/64",), is_ipv6=True) == ["fd12::/64", "10.4.1.0/24"]
    assert texts(subnets=("fd12::/64",), is_ipv6=True, is_ipv4=False) == ["fd12::/64"]


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"subnets": ("10.9.0.5/24",)}, 'unexpected subnet "10.9.0.5/24", maybe you meant "10.9.0.0/24"?'),
        ({"subnets": ("10.9.0.0",)}, "invalid subnet 10.9.0.0: no prefix length"),
        ({"subnets": ("house/24",)}, "invalid subnet house/24"),
        ({"subnets": ("10.9.0.0/31",)}, "subnet 10.9.0.0/31 has no room for containers"),
        ({"subnets": ("fd12::/64",)}, "cannot use IPv6 subnet fd12::/64 without --ipv6"),
        ({"subnets": ("10.9.0.0/24",), "is_ipv4": False, "is_ipv6": True}, "cannot use IPv4 subnet 10.9.0.0/24"),
        ({"is_ipv4": False}, "IPv4 or IPv6 must be enabled"),
        ({"subnets": ("10.9.0.0/16", "10.9.3.0/24")}, "multiple overlapping subnet configuration is not supported"),
        ({"gateways": ("10.4.1.1",)}, "every ip-range or gateway must have a corresponding subnet"),
        ({"subnets": ("10.9.0.0/24",), "gateways": ("10.8.0.1",)}, "no matching subnet for gateway 10.8.0.1"),
        ({"subnets": ("10.9.0.0/24",), "gateways": ("door",)}, "invalid gateway address door"),
        ({"subnets": ("10.9.0.0/24",), "gateways": ("10.9.0.255",)}, "gateway 10.9.0.255 is the subnet's broadcast address"),
        ({"subnets": ("10.9.0.0/24",), "gateways": ("10.9.0.0",)}, "gateway 10.9.0.0 is the subnet's own address"),
        ({"subnets": ("10.9.0.0/24",), "ip_ranges": ("10.9.0.0/16",)}, "no matching subnet for range 10.9.0.0/16"),
        ({"subnets": ("10.9.0.0/24",), "ip_ranges": ("10.9.0.9",)}, "invalid ip-range 10.9.0.9"),
        ({"aux_addresses": ("a=10.9.0.5",)}, "no matching subnet for aux-address 10.9.0.5"),
        ({"aux_addresses": ("10.4.1.5",)}, "invalid auxiliary address 10.4.1.5: must be NAME=IP"),
        ({"aux_addresses": ("a=10.4.1.1",)}, "auxiliary address a=10.4.1.1 is the gateway"),
        ({"aux_addresses": ("a=10.4.1.5", "b=10.4.1.5")}, "b=10.4.1.5 is auxiliary address a already"),
        ({"aux_addresses": ("a=10.4.1.5", "a=10.4.1.6")}, "auxiliary address a is given twice"),
    ],
)
def test_what_cannot_be_is_named(wish: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        settled(**wish)
    assert message in str(caught.value)


def test_two_gateways_for_one_subnet() -> None:
    with pytest.raises(InvalidArgumentError, match="cannot configure multiple gateways"):
        settled(subnets=("10.9.0.0/24", "10.8.0.0/24"), gateways=("10.9.0.1", "10.9.0.2"))


def test_an_overlap_names_who_has_it() -> None:
    with pytest.raises(ConflictError, match=r"subnet 10\.9\.0\.0/16 overlaps with other one on this address space") as caught:
        settled(Occupied(pools=(("10.9.3.0/24", "front"),)), subnets=("10.9.0.0/16",))
    assert "Pool overlaps with 10.9.3.0/24 of network front" in caught.value.hint


def test_a_subnet_that_was_asked_for_may_lie_behind_a_route_but_not_on_an_interface() -> None:
    assert texts(Occupied(routes=("10.0.0.0/8",)), subnets=("10.9.0.0/24",)) == ["10.9.0.0/24"]
    occupied = Occupied(links=(("10.9.0.7/24", "eth0"),))
    with pytest.raises(ConflictError, match="overlaps"):
        settled(occupied, subnets=("10.9.0.0/24",))
    assert texts(occupied.replace(is_link_own=False), subnets=("10.9.0.0/24",)) == ["10.9.0.0/24"]  # macvlan: into the LAN
