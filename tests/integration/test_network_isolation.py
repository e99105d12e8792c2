"""Who must not reach whom: internal networks, containers without each other, bridges apart, and what stays the host's."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.network_world import FAR, HOST, HOST6, World, is_dropped, playing_host, seen_from, sh, web

from pyctl_hookspecs import PortMapping, PyctlError, UnsupportedError
from pyctl_plugins.network import bridge

pytestmark = pytest.mark.integration


with_br_netfilter_and_without = pytest.mark.parametrize(
    "world", ["1", "0"], indirect=True, ids=["frames-filtered", "frames-unfiltered"]
)


@pytest.fixture
def world(request: Any, tmp_path: Path) -> Iterator[World]:
    with playing_host(tmp_path) as world:
        for family in ("iptables", "ip6tables"):
            setting = Path(f"/proc/sys/net/bridge/bridge-nf-call-{family}")
            if setting.exists():
                setting.write_text(getattr(request, "param", "1"))
        yield world


def _cannot_connect(client: socket.socket, address: str, port: int) -> bool:
    """Dropped, or no route to it, or nobody answers for the address."""
    client.settimeout(0.4)
    with client:
        try:
            client.connect((address, port))
        except OSError:
            return True
        return False


@with_br_netfilter_and_without
def test_an_internal_network_leads_nowhere_but_to_the_host(world: World) -> None:
    inside = world.network("inside", "10.81.0.1/24", "fd81::1/64", internal=True)
    one, two = world.box(1, conflist=inside), world.box(2, conflist=inside)
    assert (one.attachment.gateway, one.sh("ip route show default")) == ("", "")
    assert seen_from(two.dial(), one.address, 80, one.listen(80)) == two.address
    assert seen_from(two.dial6(), one.address6, 80, one.listen6(80)) == two.address6
    assert seen_from(world.here(), one.address, 80, one.listen(80)) == "10.81.0.1"
    with world.here() as service:
        service.bind(("10.81.0.1", 99))
        service.listen()
        assert seen_from(one.dial(), "10.81.0.1", 99, service) == one.address


@with_br_netfilter_and_without
def test_a_container_that_adds_a_route_does_not_leave_an_internal_network(world: World) -> None:
    one = world.box(1, conflist=world.network("inside", "10.81.0.1/24", "fd81::1/64", internal=True))
    open_box = world.box(2, web(host_ip=""), conflist=world.network("open", "10.82.0.1/24", "fd82::1/64"))
    one.sh("ip route add default via 10.81.0.1")
    one.sh("ip -6 route add default via fd81::1")
    with world.far.listen(99), world.far.listen6(98), open_box.listen(80), open_box.listen6(81):
        assert is_dropped(one.dial(), FAR, 99)
        assert is_dropped(one.dial(), open_box.address, 80)
        assert is_dropped(one.dial6(), open_box.address6, 81)
        assert is_dropped(one.dial(), HOST, 8080)  # a port of another network


@with_br_netfilter_and_without
def test_nobody_comes_into_an_internal_network(world: World) -> None:
    one = world.box(1, conflist=world.network("inside", "10.81.0.1/24", "fd81::1/64", internal=True))
    other = world.box(2, conflist=world.network("open", "10.82.0.1/24", "fd82::1/64"))
    with one.listen(80), one.listen6(81):
        assert is_dropped(world.far.dial(), one.address, 80)
        assert is_dropped(world.far.dial6(), one.address6, 81)
        assert is_dropped(other.dial(), one.address, 80)
        assert is_dropped(other.dial6(), one.address6, 81)


def test_an_internal_network_publishes_nothing(world: World) -> None:
    one = world.box(1, web(), conflist=world.network("inside", "10.81.0.1/24", internal=True))
    assert one.attachment.ports == ()
    with one.listen(80), pytest.raises(ConnectionRefusedError), world.far.dial() as client:
        client.connect((HOST, 8080))


@with_br_netfilter_and_without
def test_containers_without_each_other_are_still_published(world: World) -> None:
    apart = world.network("apart", "10.83.0.1/24", "fd83::1/64", icc="false")
    one, two = world.box(1, web(host_ip=""), conflist=apart), world.box(2, conflist=apart)
    with one.listen(81), one.listen6(82):
        assert _cannot_connect(two.dial(), one.address, 81)
        assert _cannot_connect(two.dial6(), one.address6, 82)
    assert seen_from(world.far.dial(), HOST, 8080, one.listen(80)) == FAR
    seen_from(two.dial(), HOST, 8080, one.listen(80))
    seen_from(two.dial6(), HOST6, 8080, one.listen6(80))
    seen_from(one.dial(), HOST, 8080, one.listen(80))
    assert seen_from(two.dial(), FAR, 99, world.far.listen(99)) == HOST
    assert seen_from(world.here(), one.address, 81, one.listen(81)) == "10.83.0.1"


@with_br_netfilter_and_without
def test_a_detour_over_the_gateway_does_not_bring_them_together(world: World) -> None:
    apart = world.network("apart", "10.83.0.1/24", icc="false")
    one, two = world.box(1, conflist=apart), world.box(2, conflist=apart)
    two.sh(f"ip route add {one.address}/32 via 10.83.0.1")
    with one.listen(81):
        assert _cannot_connect(two.dial(), one.address, 81)


def test_a_firewall_policy_of_open_keeps_networks_open(world: World) -> None:
    config = json.loads(world.network("open", "10.82.0.1/24"))
    del next(plugin for plugin in config["plugins"] if plugin["type"] == "firewall")["ingressPolicy"]  # CNI's default
    one, two = world.box(1, conflist=json.dumps(config)), world.box(2)
    seen_from(two.dial(), one.address, 81, one.listen(81))


@with_br_netfilter_and_without
def test_what_is_published_on_loopback_stays_there(world: World) -> None:
    one, two = world.box(1, web(host_ip="127.0.0.1")), world.box(2)
    world.far.sh("sysctl -qw net.ipv4.conf.all.route_localnet=1")
    world.far.sh("ip addr flush dev lo")
    world.far.sh(f"ip route add 127.0.0.0/8 via {HOST}")
    with one.listen(80):
        assert is_dropped(world.far.dial(), "127.0.0.1", 8080)  # a neighbour on the host's link
        assert is_dropped(world.far.dial(), one.address, 80)
        for client in (world.far.dial(), two.dial()):
            with pytest.raises(ConnectionRefusedError), client:
                client.connect((HOST, 8080))


@with_br_netfilter_and_without
def test_a_published_port_is_not_reached_at_the_containers_own_address(world: World) -> None:
    one = world.box(1, web())
    with one.listen(80):
        assert is_dropped(world.far.dial(), one.address, 80)


def test_an_mtu_is_the_bridges_and_the_containers(world: World) -> None:
    conflist = world.network("small", "10.84.0.1/24", mtu="1400")
    one = world.box(1, conflist=conflist)
    names = ("br-small", bridge_end(one.request.container_id))
    assert [json.loads(sh(f"ip -j link show {name}"))[0]["mtu"] for name in names] == [1400, 1400]
    assert " mtu 1400 " in one.sh("ip link show eth0")


def test_a_mac_address_is_given(world: World) -> None:
    one = world.box(1, mac_address="92-D0-C6-0A-29-33")
    assert one.attachment.mac_address == "92:d0:c6:0a:29:33"
    assert "92:d0:c6:0a:29:33" in one.sh("ip link show eth0")
    seen_from(world.box(2).dial(), one.address, 80, one.listen(80))


def test_a_gateway_elsewhere_is_not_taken_over(world: World) -> None:
    """A bridge with a port into a network that has its router: CNI's ``isGateway: false``."""
    sh("ip link add br-lan type bridge && ip link set br-lan up && ip link add lan0 type veth peer name lan1")
    sh("ip link set lan0 master br-lan up && ip link set lan1 up")
    config = json.loads(world.network("lan", "10.85.0.1/24"))
    del config["plugins"][0]["isGateway"], config["plugins"][0]["ipMasq"]
    del config["plugins"][2], config["nerdctlID"]
    one = world.box(1, conflist=json.dumps(config))
    assert "10.85.0.1" not in sh("ip addr show br-lan")
    assert one.attachment.gateway == "10.85.0.1"
    assert one.sh("ip route show default").split()[:3] == ["default", "via", "10.85.0.1"]
    bridge.remove_network("lan", json.dumps(config), world.host)
    assert "lan0" in sh("ip link show master br-lan")


@pytest.mark.parametrize(
    ("plugin", "option", "value"),
    [
        (0, "vlan", 7),
        (0, "macspoofchk", True),
        (1, "conditionsV4", ["-s", "10.0.0.0/8"]),
        (3, "sysctl", {"net.core.somaxconn": "1"}),
    ],
)
def test_what_we_do_not_carry_out_is_refused(world: World, plugin: int, option: str, value: object) -> None:
    config = json.loads(world.network("odd", "10.86.0.1/24"))
    config["plugins"][plugin][option] = value
    with pytest.raises(UnsupportedError, match=f"option {option} of the"):
        world.box(1, conflist=json.dumps(config))


def test_a_full_subnet_is_one_clear_line_and_leaves_nothing(world: World) -> None:
    tiny = world.network("tiny", "10.87.0.1/30")
    world.box(1, conflist=tiny)
    with pytest.raises(PyctlError, match=r"^no available IPv4 addresses on this network's address pools: tiny \("):
        world.box(2, PortMapping(container_port=80), conflist=tiny)
    assert sorted(path.name for path in (world.directory / "leases/tiny").iterdir()) == [
        "10.87.0.2",
        "last_reserved_ip.0",
        "lock",
    ]
    assert [path.name for path in (world.directory / "run/ports").iterdir()] == [".lock"]


def test_without_nft_there_is_one_clear_line_and_nothing_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch, world.directory, "nft")
    with pytest.raises(UnsupportedError, match="needs nft, which is not installed") as caught:
        world.box(1, web())
    assert caught.value.hint == "install the package nftables"
    assert sh("ip -o link show type veth").count("\n") == 1
    assert not (world.directory / "leases").exists()


def bridge_end(container_id: str) -> str:
    return f"veth{container_id[:9]}0"


def _without(monkeypatch: pytest.MonkeyPatch, directory: Path, program: str) -> None:
    """Hide a program from whoever looks for it in the usual places."""
    places = directory / "bin"
    places.mkdir()
    for name in ("ip", "unshare", "umount", "nsenter", "grep", "sh", "iptables", "nft"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=False).stdout.strip()
        if found and name != program:
            (places / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(places))
    monkeypatch.setattr("pyctl_plugins.network._programs.SYSTEM_FOLDERS", "")
