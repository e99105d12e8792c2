"""What somebody flushed, deleted or forgot: networks put back for whom is connected, and taken away from whom is gone."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.network_world import FAR, FAR6, HOST, HOST6, Box, World, is_dropped, playing_host, seen_from, sh, web

from pyctl.keeper.guard import Guard
from pyctl.keeper.loop import Loop
from pyctl_hookspecs import PortMapping, PyctlError
from pyctl_plugins.network import _layout, _nft, _rtnetlink, _wiring, bridge

pytestmark = pytest.mark.integration

DNS = PortMapping(container_port=53, host_port=5353, protocol="udp")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with playing_host(tmp_path) as world:
        yield world


@pytest.fixture
def both(world: World) -> str:
    return world.network("both", "10.73.0.1/24", "fd73::1/64")


def _works(world: World, box: Box) -> bool:
    """In by a published port from outside and from the host, out by masquerade, of both families."""
    assert seen_from(world.far.dial(), HOST, 8080, box.listen(80)) == FAR
    assert seen_from(world.far.dial6(), HOST6, 8080, box.listen6(80)) == FAR6
    seen_from(world.here(), "127.0.0.1", 8080, box.listen(80))
    seen_from(world.here6(), "::1", 8080, box.listen6(80))
    assert seen_from(box.dial(), FAR, 99, world.far.listen(99)) == HOST
    assert seen_from(box.dial6(), FAR6, 99, world.far.listen6(99)) == HOST6
    with box.listen(81):
        assert is_dropped(world.far.dial(), box.address, 81)
    return True


def test_what_is_whole_is_left_alone(world: World, both: str) -> None:
    box = world.box(1, web(host_ip=""), DNS, conflist=both)
    before = sh("nft list ruleset")
    assert world.repair(box) == ()
    assert sh("nft list ruleset") == before


def _flush_everything() -> None:
    sh("nft flush ruleset")


def _flush_our_rules() -> None:
    sh("nft flush table inet pyctl")


def _flush_one_chain() -> None:
    sh("nft flush chain inet pyctl postrouting && nft flush chain inet pyctl forward")


def _empty_a_set() -> None:
    sh("nft flush set inet pyctl masq4 && nft flush set inet pyctl closed")


def _empty_the_ports() -> None:
    sh("nft flush map inet pyctl ports4 && nft flush map inet pyctl bound6")


def _delete_the_bridge() -> None:
    sh("ip link del br-both")


def _stop_forwarding() -> None:
    sh("sysctl -qw net.ipv4.ip_forward=0")


def _take_the_bridge_down() -> None:
    sh("ip link set br-both down")


def _flush_its_addresses() -> None:
    sh("ip addr flush dev br-both")


def _unplug_on_the_host() -> None:
    sh("ip link set veth0101010100 nomaster")


def _delete_the_interface() -> None:
    sh("ip link del veth0101010100")


@pytest.mark.parametrize(
    ("damage", "phrase"),
    [
        (_flush_everything, "wrote the rules of network both again"),
        (_flush_our_rules, "wrote the rules of network both again"),
        (_flush_one_chain, "wrote the rules of network both again"),
        (_empty_a_set, "wrote the rules of network both again"),
        (_empty_the_ports, "published 0.0.0.0:8080/tcp of c1 again"),
        (_delete_the_bridge, "made bridge br-both again"),
        (_stop_forwarding, "set net.ipv4.ip_forward = 1 again"),
        (_take_the_bridge_down, "brought bridge br-both up again"),
        (_flush_its_addresses, "gave bridge br-both the address 10.73.0.1/24 fd73::1/64 again"),
        (_unplug_on_the_host, "connected eth0 of c1 to bridge br-both again"),
        (_delete_the_interface, "connected eth0 of c1 to bridge br-both again"),
    ],
)
def test_everything_works_again(world: World, both: str, damage: Callable[[], None], phrase: str) -> None:
    box, peer = world.box(1, web(host_ip=""), DNS, conflist=both), world.box(2, conflist=both)
    damage()
    assert phrase in world.repair(box, peer)
    assert _works(world, box)
    assert seen_from(peer.dial(), box.address, 80, box.listen(80)) == peer.address
    assert world.repair(box, peer) == ()


def test_what_iptables_flushed_comes_back(world: World, both: str) -> None:
    sh("iptables -P FORWARD DROP && ip6tables -P FORWARD DROP")
    box = world.box(1, web(host_ip=""), conflist=both)
    assert _works(world, box)
    sh("iptables -F && ip6tables -F")
    with box.listen(80):
        assert is_dropped(world.far.dial(), HOST, 8080)
    assert world.repair(box) == (
        "let bridge br-both pass through ip FORWARD again",
        "let bridge br-both pass through ip6 FORWARD again",
    )
    assert _works(world, box)


def test_what_iptables_legacy_flushed_comes_back(world: World, both: str) -> None:
    sh("iptables-legacy -P FORWARD DROP")
    box = world.box(1, web(host_ip=""), conflist=both)
    sh("iptables-legacy -F")
    assert world.repair(box) == ("let bridge br-both pass through ip FORWARD again",)
    assert _works(world, box)


@pytest.mark.parametrize("program", ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"])
def test_the_keeper_sees_a_firewall_that_comes_later_and_one_that_is_flushed(world: World, both: str, program: str) -> None:
    box = world.box(1, web(host_ip=""), conflist=both)
    guard = Guard(Loop(), f"{world.host.runtime_dir}/bridges", lambda done: done(), print)
    guard.set_needed(True)
    try:
        for change in ("-P FORWARD DROP", "-F"):
            assert guard.missing() == set()
            sh(f"{program} {change}")
            assert len(guard.missing()) == 1, change
            assert world.repair(box)
        assert guard.missing() == set()
    finally:
        guard.set_needed(False)
    assert _works(world, box)


def test_a_lost_lease_is_entered_again(world: World, both: str) -> None:
    box = world.box(1, conflist=both)
    (world.directory / "leases/both" / box.address).unlink()
    assert world.repair(box) == (f"entered address {box.address}/24 of c1 again",)
    assert world.box(2, conflist=both, ip6="fd73::9").address != box.address
    assert (world.directory / "leases/both" / box.address).read_bytes() == f"suite-{box.request.container_id}\r\neth0".encode()


def test_a_network_repaired_alone_does_not_harm_the_others(world: World, both: str) -> None:
    one, two = world.box(1, web(host_ip=""), conflist=both), world.box(2, web(8081))
    sh("nft flush ruleset")
    world.repair(one, alive=(two.request.container_id,))
    assert seen_from(world.far.dial(), HOST, 8081, two.listen(80)) == FAR
    assert seen_from(two.dial(), FAR, 99, world.far.listen(99)) == HOST


def test_networks_side_by_side_are_in_order(world: World) -> None:
    """As ``network create`` chooses them: each subnet begins where the one before it ends."""
    boxes = [world.box(n, conflist=world.network(f"n{n}", f"10.4.{n}.1/24", f"fd74:0:0:{n}::1/64")) for n in (1, 2, 3)]
    assert world.repair(*boxes) == ()
    sh("nft delete element inet pyctl masq4 '{ 10.4.1.0/24 }'")
    assert world.repair(*boxes) == ("wrote the rules of network n1 again",)


def test_what_was_forgotten_with_the_runtime_directory_is_known_again(world: World, both: str) -> None:
    one, two = world.box(1, web(host_ip=""), conflist=both), world.box(2, web(8081))
    shutil.rmtree(f"{world.directory}/run/ports")
    shutil.rmtree(f"{world.directory}/run/bridges")
    assert world.repair(one, two) == ()
    sh("nft flush ruleset")
    world.repair(two, alive=(one.request.container_id,))
    assert _works(world, one)


def test_a_bridge_that_is_something_else_is_said_and_the_others_are_repaired(world: World, both: str) -> None:
    one, two = world.box(1, conflist=both), world.box(2, web(8081))
    sh("nft flush ruleset && ip link del br-both && ip link add br-both type veth peer name peer0")
    with pytest.raises(Exception, match="both: interface br-both exists and is no bridge"):
        world.repair(one, two)
    assert seen_from(world.far.dial(), HOST, 8081, two.listen(80)) == FAR


def test_leftovers_of_a_container_that_is_gone_are_taken_away(world: World, both: str) -> None:
    box, dead = world.box(1, web(host_ip=""), conflist=both), world.box(2, web(8081, host_ip=""), DNS, conflist=both)
    says = world.repair(box)
    assert says == (
        f"released what container {dead.request.container_id[:12]} still had of network both",
        f"removed interface {_wiring.veth_name(dead.request.container_id, 'eth0')} of container {dead.request.container_id[:12]}",
    )
    assert _tags(world) == {f"{box.token}@data"[-120:]}
    assert sorted(os.listdir(world.directory / "leases/both"))[:2] == [box.address, box.address6]
    with socket.socket() as free:
        free.bind(("0.0.0.0", 8081))
    assert world.repair(box) == ()
    assert _works(world, box)


def test_a_leftover_without_anybody_connected_is_found_too(world: World) -> None:
    dead = world.box(1, web())
    assert world.repair() == (
        f"released what container {dead.request.container_id[:12]} still had of network one",
        f"removed interface {_wiring.veth_name(dead.request.container_id, 'eth0')} of container {dead.request.container_id[:12]}",
    )


def test_a_container_that_is_just_starting_keeps_everything(world: World) -> None:
    box = world.box(1, web())
    assert world.repair(alive=(box.request.container_id,)) == ()
    assert seen_from(world.far.dial(), HOST, 8080, box.listen(80)) == FAR


def test_it_is_asked_only_after_the_leftover_was_seen(world: World) -> None:
    """Else a container that starts between the question and the look would lose its address."""
    started: list[Box] = []

    def is_alive(container_id: str) -> bool:
        started.append(world.box(2, web(8081)))
        return False

    dead = world.box(1, web())
    says = bridge.repair_networks((), is_alive, world.host)
    assert all(dead.request.container_id[:12] in phrase for phrase in says)
    assert seen_from(world.far.dial(), HOST, 8081, started[0].listen(80)) == FAR


def test_what_is_not_this_namespaces_is_left_alone(world: World, both: str) -> None:
    box = world.box(1, conflist=both)
    theirs = world.box(2, web(), conflist=both, namespace="suite-too")
    leases = world.directory / "leases/both"
    (leases / "10.73.0.50").write_text("suite-" + "e" * 12 + "\r\neth0")  # no full ID
    (leases / "10.73.0.51").write_text("e" * 64 + "\r\neth0")  # a pod of CRI's
    (leases / "10.73.0.52").write_text("suite-" + "f" * 64 + "\r\neth0")  # of another containerd, see below
    os.makedirs(world.directory / "0a0b0c0d/containers/suite" / ("f" * 64))
    assert world.repair(box) == ()
    assert {"10.73.0.50", "10.73.0.51", "10.73.0.52", theirs.address} <= set(os.listdir(leases))
    assert seen_from(world.far.dial(), HOST, 8080, theirs.listen(80)) == FAR


def test_another_data_stores_container_is_left_alone(world: World) -> None:
    """The same containerd namespace of another containerd: this one knows nothing of its containers."""
    own, world.host.data_store = world.host.data_store, f"{world.directory}/other"
    theirs = world.box(1, web())
    world.host.data_store = own
    assert world.repair() == ()
    assert seen_from(world.far.dial(), HOST, 8080, theirs.listen(80)) == FAR
    world.host.data_store = f"{world.directory}/other"


def test_ports_of_a_record_alone_are_taken_away(world: World) -> None:
    dead = world.box(1, web())
    sh("nft flush ruleset")
    world.repair()
    assert not list((world.directory / "run/ports").glob("*suite*"))
    later = world.box(2, web())
    assert dead.address in os.listdir(world.directory / "leases/one") or later.address
    assert seen_from(world.far.dial(), HOST, 8080, later.listen(80)) == FAR


def test_a_port_that_leads_to_nobody_does_not_stop_the_next_taker(world: World) -> None:
    world.box(1)
    sh("nft add element inet pyctl ports4 '{ tcp . 8080 comment \"gone/suite-0/eth0@data\" : 10.71.0.99 . 80 }'")
    box = world.box(2, web(), web(8081))
    assert seen_from(world.far.dial(), HOST, 8080, box.listen(80)) == FAR
    assert seen_from(world.far.dial(), HOST, 8081, box.listen(80)) == FAR


def test_a_port_that_somebody_has_is_not_taken_from_them(world: World) -> None:
    one = world.box(1, web())
    world.host.keeper("release_ports", {"namespace": "suite", "container": one.request.container_id})
    with pytest.raises(PyctlError, match="File exists"):
        world.box(2, web())
    assert seen_from(world.far.dial(), HOST, 8080, one.listen(80)) == FAR


def test_removing_a_network_leaves_nothing_of_it(world: World, both: str) -> None:
    sh("iptables -P FORWARD DROP && ip6tables -P FORWARD DROP && iptables-legacy -P FORWARD DROP")
    keeper = world.box(2)
    before = (sh("nft -s list ruleset"), sh("iptables-legacy -S"), set(os.listdir("/sys/class/net")))
    world.remove(world.box(1, web(host_ip=""), conflist=both))
    bridge.remove_network("both", both, world.host)
    bridge.remove_network("both", both, world.host)
    with _wiring.new_socket() as route:
        assert _rtnetlink.find_link(route, "br-both") is None
    assert (sh("nft -s list ruleset"), sh("iptables-legacy -S")) == before[:2]
    assert os.listdir(world.directory / "leases") == ["one"]
    assert sorted(os.listdir(world.directory / "run/bridges")) == ["br-one"]
    assert seen_from(keeper.dial(), FAR, 99, world.far.listen(99)) == HOST


def test_removing_a_network_that_was_never_used_succeeds(world: World, both: str) -> None:
    bridge.remove_network("both", both, world.host)
    assert not (world.directory / "leases").exists()


def test_a_network_that_others_use_stays(world: World, both: str) -> None:
    theirs = world.box(1, web(host_ip=""), conflist=both, namespace="suite-too")
    bridge.remove_network("both", both, world.host)
    assert _works(world, theirs)
    assert theirs.address in os.listdir(world.directory / "leases/both")


def test_a_network_with_other_settings_replaces_the_old_ones(world: World) -> None:
    box = world.box(1, conflist=world.network("one", "10.71.0.1/24"))
    world.remove(box)
    other = world.box(1, conflist=world.network("one", "10.72.0.1/24", ip_masq="false"))
    assert seen_from(other.dial(), FAR, 99, world.far.listen(99)) == other.address
    assert "10.71.0" not in sh("nft list table inet pyctl")


def test_detaching_takes_the_interface_out_and_the_rest_follows(world: World, both: str) -> None:
    box, peer = world.box(1, web(host_ip=""), conflist=both), world.box(2, conflist=both)
    for _ in range(2):
        bridge.detach_network(box.request, box.token, world.host)
    assert "eth0" not in box.sh("ip link")
    bridge.cleanup(box.token, world.host)
    assert _tags(world) == set()
    assert box.address not in os.listdir(world.directory / "leases/both")
    bridge.setup_network(box.request, box.token, world.host)
    assert _works(world, box)
    assert peer.sh("ip link show eth0")


def _tags(world: World) -> set[str]:
    table = _nft.Table(world.host.runtime_dir)
    try:
        assert json.loads(sh("nft -j list table inet pyctl"))["nftables"]
        return table.comments()
    finally:
        table.close()


def test_the_layout_says_how_many_rules_it_has(world: World) -> None:
    world.box(1)
    assert sum("rule" in entry for entry in json.loads(sh("nft -j list table inet pyctl"))["nftables"]) == _layout.RULE_COUNT
