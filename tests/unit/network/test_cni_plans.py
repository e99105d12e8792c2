"""What the driver ``cni`` intends and refuses, and the chains that macvlan and ipvlan compose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.network.cni_fakes import CniHost, Fakes

from pyctl_hookspecs import (
    Host,
    InvalidArgumentError,
    NetworkDefinition,
    NetworkIntent,
    NetworkRequest,
    NetworkSubnet,
    NotFoundError,
    PortMapping,
    UnsupportedError,
)
from pyctl_plugins.network import cni, ipvlan, macvlan


@pytest.fixture
def host(tmp_path: Path) -> CniHost:
    fakes = Fakes(tmp_path)
    for kind in ("main", "portmap"):
        fakes.add(kind)
    return CniHost(fakes, tmp_path)


def _plan(host: CniHost, *, plugins: tuple[dict[str, Any], ...] = ({"type": "main"},), **more: Any) -> NetworkIntent:
    config = {"cniVersion": "1.0.0", "name": "net", "plugins": plugins}
    values: dict[str, Any] = {
        "container_id": "a" * 64,
        "container_name": "web",
        "namespace": "default",
        "network": "net",
        "interface": "eth0",
        "netns_path": "/run/pyctl/netns/x",
        "conflist": json.dumps(config),
    }
    return cni.plan_network(NetworkRequest(**{**values, **more}), cast(Host, host))


_PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}


def test_a_plan_names_network_container_and_interface(host: CniHost) -> None:
    intent = _plan(host)
    assert intent.undo_token == f"net/default-{'a' * 64}/eth0"
    assert (intent.says, intent.late) == ("connect eth0 to network net with CNI plug-ins main", ("address",))


def test_ports_are_planned_where_a_plugin_declares_them(host: CniHost) -> None:
    intent = _plan(host, plugins=({"type": "main"}, _PORTMAP), ports=(PortMapping(container_port=80),))
    assert intent.undo_token.endswith("/eth0/ports")
    assert intent.says.endswith("main, portmap and publish 1 port")
    assert intent.late == ("address", "host ports")


@pytest.mark.parametrize("plugins", [({"type": "main"},), ({"type": "portmap"},)])
def test_ports_are_refused_where_no_plugin_declares_them(host: CniHost, plugins: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(UnsupportedError, match="network net cannot publish ports"):
        _plan(host, plugins=plugins, ports=(PortMapping(container_port=80),))


def test_a_missing_binary_is_noticed_while_planning(host: CniHost) -> None:
    with pytest.raises(NotFoundError, match='network net needs the CNI plug-in "absent"'):
        _plan(host, plugins=({"type": "absent"},))


@pytest.mark.parametrize("more", [{"ip": "10.1.0"}, {"ip": "fd00::1"}, {"ip6": "10.1.0.1"}, {"mac_address": "01:00:00:00:00:01"}])
def test_what_is_no_address_is_refused(host: CniHost, more: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError):
        _plan(host, **more)


def test_two_addresses_are_refused_where_only_one_can_be_asked_for(host: CniHost) -> None:
    with pytest.raises(UnsupportedError, match="none of its plug-ins declares ips"):
        _plan(host, ip="10.1.0.9", ip6="fd00::9")
    _plan(host, plugins=({"type": "main", "capabilities": {"ips": True}},), ip="10.1.0.9", ip6="fd00::9")


def _definition(*options: tuple[str, str], **more: Any) -> NetworkDefinition:
    subnets = (NetworkSubnet(subnet="10.9.0.0/24", gateway="10.9.0.1"),)
    return NetworkDefinition(
        **{"name": "v", "network_id": "0" * 64, "namespace": "default", "subnets": subnets, "options": options} | more
    )


def _ipam(*routes: dict[str, str]) -> dict[str, Any]:
    ranges = [[{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1"}]]
    return {"type": "host-local", **({"routes": list(routes)} if routes else {}), "ranges": ranges}


def test_a_macvlan_chain_is_nerdctls() -> None:
    (plugin,) = json.loads(macvlan.compose_network(_definition(("parent", "lo"), ("macvlan_mode", "bridge"), ("mtu", "1400"))))
    assert plugin == {"type": "macvlan", "master": "lo", "mode": "bridge", "mtu": 1400, "ipam": _ipam({"dst": "0.0.0.0/0"})}


def test_an_ipvlan_chain_is_nerdctls() -> None:
    (plugin,) = json.loads(ipvlan.compose_network(_definition(("parent", "lo"), ("mode", "l3"))))
    assert plugin == {"type": "ipvlan", "master": "lo", "mode": "l3", "ipam": _ipam({"dst": "0.0.0.0/0"})}


def test_an_internal_macvlan_leads_nowhere() -> None:
    (plugin,) = json.loads(macvlan.compose_network(_definition(is_internal=True)))
    assert plugin == {"type": "macvlan", "ipam": _ipam()}


def test_with_ipv6_the_address_can_be_asked_for() -> None:
    subnets = (NetworkSubnet(subnet="fd00:9::/64", gateway="fd00:9::1"),)
    (plugin,) = json.loads(macvlan.compose_network(_definition(subnets=subnets)))
    assert plugin["capabilities"] == {"ips": True}


def test_a_parent_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"invalid parent nic7\.20: the host has no such interface") as raised:
        macvlan.compose_network(_definition(("parent", "nic7.20")))
    assert raised.value.hint == "ip link add link nic7 name nic7.20 type vlan id 20"


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("mode", "l2"), 'unknown macvlan mode "l2": must be one of bridge, private, vepa, passthru'),
        (("ipvlan_mode", "l2"), 'unsupported "macvlan" network option "ipvlan_mode"'),
        (("icc", "false"), 'unsupported "macvlan" network option "icc"'),
        (("mtu", "-1"), "invalid MTU -1"),
    ],
)
def test_options_nobody_can_serve_are_refused(option: tuple[str, str], says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        macvlan.compose_network(_definition(option))
