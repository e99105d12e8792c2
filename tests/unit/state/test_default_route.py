"""Which default routes a network offers, as its driver reported it."""

from __future__ import annotations

from typing import Any

from pyctl.state.default_route import offered

V4, V6 = {"address": "10.5.0.2/24", "gateway": "10.5.0.1"}, {"address": "fd00::2/64", "gateway": "fd00::1"}


def _offered(**result: Any) -> list[tuple[str, bool]]:
    return [(route.gateway, route.is_v6) for route in offered(result)]


def test_each_family_has_its_own_gateway() -> None:
    assert _offered(ips=[V4, V6], routes=[{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]) == [("10.5.0.1", False), ("fd00::1", True)]


def test_a_gateway_of_the_route_itself_wins() -> None:
    assert _offered(ips=[V4], routes=[{"dst": "0.0.0.0/0", "gw": "10.5.0.254"}]) == [("10.5.0.254", False)]


def test_a_link_may_lead_everywhere_without_a_gateway() -> None:
    assert _offered(ips=[{"address": "10.5.0.2/32"}], routes=[{"dst": "0.0.0.0/0"}]) == [("", False)]


def test_an_internal_network_offers_none() -> None:
    assert _offered(ips=[V4]) == [] == _offered(ips=[V4], routes=[{"dst": "192.168.0.0/16"}])
