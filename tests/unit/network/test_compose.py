"""Chains of new bridge networks, key by key as nerdctl writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyctl_hookspecs import ConflictError, InvalidArgumentError, NetworkDefinition, NetworkSubnet
from pyctl_plugins.network import _compose
from pyctl_plugins.network._compose import bridge_chain

PLAIN = NetworkSubnet(subnet="10.4.1.0/24", gateway="10.4.1.1")


def chain(*subnets: NetworkSubnet, **fields: Any) -> list[dict[str, Any]]:
    fields = {"name": "front", "network_id": "f" * 64, "namespace": "default", **fields}
    return bridge_chain(NetworkDefinition(subnets=subnets or (PLAIN,), **fields))


def ranges(subnet: NetworkSubnet) -> list[dict[str, str]]:
    found: list[dict[str, str]] = chain(subnet)[0]["ipam"]["ranges"][0]
    return found


def test_a_plain_network() -> None:
    assert chain() == [
        {
            "type": "bridge",
            "bridge": "br-ffffffffffff",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "routes": [{"dst": "0.0.0.0/0"}],
                "ranges": [[{"subnet": "10.4.1.0/24", "gateway": "10.4.1.1"}]],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": "firewall", "ingressPolicy": "same-bridge"},
        {"type": "tuning"},
    ]


def test_an_internal_network_leads_nowhere() -> None:
    bridge, firewall, tuning = chain(is_internal=True)
    assert (firewall["type"], tuning["type"]) == ("firewall", "tuning")
    assert not {"isGateway", "ipMasq"} & set(bridge)
    assert bridge["ipam"] == {"type": "host-local", "ranges": [[{"subnet": "10.4.1.0/24", "gateway": "10.4.1.1"}]]}


def test_both_families_have_a_range_set_and_a_route() -> None:
    bridge = chain(PLAIN, NetworkSubnet(subnet="fd12::/64", gateway="fd12::1"))[0]
    assert bridge["capabilities"] == {"ips": True}
    assert bridge["ipam"]["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    assert bridge["ipam"]["ranges"] == [
        [{"subnet": "10.4.1.0/24", "gateway": "10.4.1.1"}],
        [{"subnet": "fd12::/64", "gateway": "fd12::1"}],
    ]


def test_ipv6_alone_has_its_own_route() -> None:
    assert chain(NetworkSubnet(subnet="fd12::/64", gateway="fd12::1"))[0]["ipam"]["routes"] == [{"dst": "::/0"}]


@pytest.mark.parametrize("prefix", ["", "com.docker.network.driver."])
def test_options_in_both_spellings(prefix: str) -> None:
    bridge = chain(options=((f"{prefix}mtu", "1400"),))[0]
    assert bridge["mtu"] == 1400


def test_options_of_the_bridge() -> None:
    docker = "com.docker.network.bridge."
    bridge, _, firewall, _ = chain(
        options=((f"{docker}name", "brx0"), (f"{docker}enable_icc", "false"), (f"{docker}enable_ip_masquerade", "FALSE"))
    )
    assert (bridge["bridge"], firewall["ingressPolicy"]) == ("brx0", "isolated")
    assert "ipMasq" not in bridge


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("colour", "red", 'unsupported "bridge" network option "colour"'),
        ("mtu", "many", "invalid MTU many"),
        ("mtu", "-1", "invalid MTU -1"),
        ("icc", "maybe", 'invalid value "maybe" of network option icc'),
        ("com.docker.network.bridge.name", "much-too-long-a-name", "invalid interface name"),
        ("com.docker.network.bridge.name", "a/b", "invalid interface name"),
    ],
)
def test_what_nobody_knows_is_refused(option: str, value: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        chain(options=((option, value),))
    assert message in str(caught.value)


def test_an_interface_of_the_host_is_not_taken_over() -> None:
    with pytest.raises(ConflictError, match="interface lo exists"):
        chain(options=(("com.docker.network.bridge.name", "lo"),))


def test_a_name_that_two_containerd_namespaces_use_is_two_bridges() -> None:
    assert chain()[0]["bridge"] != chain(namespace="k8s.io")[0]["bridge"]


def test_a_range_is_kept_twice() -> None:
    assert ranges(PLAIN.replace(ip_range="10.4.1.64/26")) == [
        {
            "subnet": "10.4.1.0/24",
            "rangeStart": "10.4.1.65",
            "rangeEnd": "10.4.1.127",
            "gateway": "10.4.1.1",
            "ipRange": "10.4.1.64/26",
        }
    ]


def test_the_broadcast_address_is_in_no_range() -> None:
    assert ranges(PLAIN.replace(ip_range="10.4.1.128/25"))[0]["rangeEnd"] == "10.4.1.254"


def test_a_range_of_one_address() -> None:
    (one,) = ranges(PLAIN.replace(ip_range="10.4.1.9/32"))
    assert (one["rangeStart"], one["rangeEnd"]) == ("10.4.1.9", "10.4.1.9")


def test_reserved_addresses_split_the_range() -> None:
    found = ranges(PLAIN.replace(aux_addresses=(("b", "10.4.1.9"), ("a", "10.4.1.2"), ("c", "10.4.1.254"))))
    assert [(one["rangeStart"], one["rangeEnd"]) for one in found] == [("10.4.1.3", "10.4.1.8"), ("10.4.1.10", "10.4.1.253")]
    assert {one["gateway"] for one in found} == {"10.4.1.1"}


def test_every_address_reserved() -> None:
    with pytest.raises(InvalidArgumentError, match="every address is reserved"):
        ranges(NetworkSubnet(subnet="10.4.1.0/30", gateway="10.4.1.1", aux_addresses=(("a", "10.4.1.2"),)))


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "dhcp.sock"
    path.touch()
    monkeypatch.setattr(_compose, "_DHCP_SOCKET", str(path))
    return str(path)


def test_dhcp_sends_the_host_name_and_what_was_asked_for(daemon: str) -> None:
    options = (("60", '{"type": "provide", "value": "pyctl"}'), ("3", '{"type": "request", "skipDefault": true}'))
    assert chain(ipam_driver="dhcp", ipam_options=options)[0]["ipam"] == {
        "type": "dhcp",
        "daemonSocketPath": daemon,
        "provide": [
            {"option": "host-name", "value": "", "fromArg": "NERDCTL_CNI_DHCP_HOSTNAME"},
            {"option": "60", "value": "pyctl", "fromArg": ""},
        ],
        "request": [{"skipDefault": True, "option": "3"}],
    }


def test_dhcp_needs_its_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_compose, "_DHCP_SOCKET", f"{tmp_path}/nowhere")
    with pytest.raises(ConflictError, match="daemon does not run"):
        chain(ipam_driver="dhcp")


@pytest.mark.parametrize("value", ["x", "{}", '{"type": "wish"}'])
def test_a_malformed_dhcp_option_is_named(value: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid IPAM option 60"):
        chain(ipam_driver="dhcp", ipam_options=(("60", value),))
