"""IPv6 on bridge networks: addresses, routes, masquerade or none, and published ports, ``::1`` among them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.network_world import FAR, FAR6, HOST, HOST6, Box, World, is_dropped, playing_host, seen_from, sh, web

from pyctl_hookspecs import ConflictError, PortMapping, UnsupportedError

pytestmark = pytest.mark.integration

GATEWAY6 = "fd73::1"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with playing_host(tmp_path) as world:
        yield world


@pytest.fixture
def both(world: World) -> str:
    """A network with addresses of both families."""
    return world.network("both", "10.73.0.1/24", f"{GATEWAY6}/64")


def test_a_container_has_both_addresses_and_may_use_them_at_once(world: World, both: str) -> None:
    box, peer = world.box(1, conflist=both), world.box(2, conflist=both)
    assert [address.split("/")[1] for address in box.attachment.addresses] == ["24", "64"]
    assert "tentative" not in box.sh("ip -6 addr show dev eth0 scope global")
    assert "tentative" not in sh("ip -6 addr show dev br-both scope global")
    assert seen_from(peer.dial6(), box.address6, 80, box.listen6(80)) == peer.address6
    assert box.sh("ip -6 route show default").split()[:3] == ["default", "via", GATEWAY6]
    assert (box.attachment.gateway, box.attachment.gateway6) == ("10.73.0.1", GATEWAY6)
    assert box.sh("ip -4 route show default").split()[:3] == ["default", "via", "10.73.0.1"]


def test_an_address_of_each_family_may_be_chosen(world: World, both: str) -> None:
    box = world.box(1, conflist=both, ip="10.73.0.77", ip6="fd73:0:0::77")
    assert box.attachment.addresses == ("10.73.0.77/24", "fd73::77/64")
    with pytest.raises(ConflictError, match="Address already in use: fd73::77"):
        world.box(2, conflist=both, ip6="fd73::77")


def test_a_port_without_an_address_is_published_on_both_families(world: World, both: str) -> None:
    box = world.box(1, web(host_ip=""), conflist=both)
    assert box.attachment.ports == (web(), web(host_ip="::"))
    assert seen_from(world.far.dial(), HOST, 8080, box.listen(80)) == FAR
    assert seen_from(world.far.dial6(), HOST6, 8080, box.listen6(80)) == FAR6
    assert seen_from(world.here(), "127.0.0.1", 8080, box.listen(80)) == "10.73.0.1"
    assert seen_from(world.here6(), HOST6, 8080, box.listen6(80)) == HOST6
    assert seen_from(world.here6(), "::1", 8080, box.listen6(80)) == GATEWAY6


def test_an_automatic_port_is_the_same_on_both_families(world: World, both: str) -> None:
    four, six = world.box(1, web(0, host_ip=""), conflist=both).attachment.ports
    assert (four.host_ip, six.host_ip) == ("0.0.0.0", "::")
    assert four.host_port == six.host_port > 0


def test_a_second_start_takes_the_ports_of_the_first(world: World, both: str) -> None:
    first = world.box(1, web(0, host_ip=""), conflist=both).attachment.ports
    assert world.box(1, *first, conflist=both).attachment.ports == first  # the keeper may hold them still


def test_an_address_decides_the_family(world: World, both: str) -> None:
    box = world.box(1, web(8080, host_ip="::"), web(8081, host_ip="0.0.0.0"), web(8082, host_ip=HOST6), conflist=both)
    assert seen_from(world.far.dial6(), HOST6, 8080, box.listen6(80)) == FAR6
    assert seen_from(world.far.dial(), HOST, 8081, box.listen(80)) == FAR
    assert seen_from(world.far.dial6(), HOST6, 8082, box.listen6(80)) == FAR6
    for client, address, port in ((world.far.dial(), HOST, 8080), (world.far.dial6(), HOST6, 8081), (world.here6(), "::1", 8082)):
        with pytest.raises(ConnectionRefusedError), client:
            client.connect((address, port))


@pytest.mark.parametrize("bridged_frames_are_filtered", ["0", "1"])
def test_a_port_on_ipv6_loopback_answers_there_only(world: World, both: str, bridged_frames_are_filtered: str) -> None:
    _bridge_netfilter(bridged_frames_are_filtered)
    box, peer = world.box(1, web(host_ip="::1"), conflist=both), world.box(2, conflist=both)
    assert seen_from(world.here6(), "::1", 8080, box.listen6(80)) == GATEWAY6
    with box.listen6(80):
        for client in (world.far.dial6(), peer.dial6(), world.here6()):
            with pytest.raises(ConnectionRefusedError), client:
                client.connect((HOST6, 8080))


def test_udp_on_ipv6_loopback_is_answered(world: World, both: str) -> None:
    box = world.box(1, PortMapping(container_port=53, host_port=5353, protocol="udp", host_ip="::1"), conflist=both)
    with world.here6(socket.SOCK_DGRAM) as client, box.listen6(53, socket.SOCK_DGRAM) as server:
        client.sendto(b"question", ("::1", 5353))
        asked, peer = server.recvfrom(20)
        server.sendto(asked.upper(), peer)
        answer, source = client.recvfrom(20)
        assert (answer, source[:2]) == (b"QUESTION", ("::1", 5353))


def test_much_data_comes_through_ipv6_loopback(world: World, both: str) -> None:
    box = world.box(1, web(host_ip="::1"), conflist=both)
    sent = bytes(range(256)) * 4096
    with world.here6() as client, box.listen6(80) as server:
        client.connect(("::1", 8080))
        connection, _ = server.accept()
        with connection:
            connection.setblocking(False)
            got, at = b"", 0
            while len(got) < len(sent):
                try:
                    at += connection.send(sent[at : at + 65536]) if at < len(sent) else 0
                except BlockingIOError:
                    pass
                got += client.recv(65536)
    assert got == sent


def test_other_services_on_ipv6_loopback_are_left_alone(world: World, both: str) -> None:
    world.box(1, web(host_ip="::1"), conflist=both)
    with world.here6() as server:
        server.bind(("::1", 9999))
        server.listen()
        assert seen_from(world.here6(), "::1", 9999, server) == "::1"


def test_nobody_outside_can_send_as_the_stand_in_for_loopback(world: World, both: str) -> None:
    box = world.box(1, web(host_ip="::1"), conflist=both)
    sh("ip -6 route add 100::/64 dev far0")
    world.far.sh("ip -6 addr add 100::7079:6374:6c/128 dev eth0 nodad")
    world.far.sh(f"ip -6 route add 100::/64 via {HOST6}")
    with box.listen6(80), world.here6() as service, world.far.dial6() as spoofer:
        service.bind(("::", 9999))
        service.listen()
        spoofer.bind(("100::7079:6374:6c", 0))
        assert is_dropped(spoofer, HOST6, 9999)
    world.far.sh("ip -6 addr del 100::7079:6374:6c/128 dev eth0")
    with box.listen6(80):
        assert is_dropped(world.far.dial6(), "100::7079:6374:6c", 8080)


def test_udp_flows_follow_the_port_to_its_next_owner(world: World, both: str) -> None:
    port = PortMapping(container_port=53, host_port=5353, protocol="udp", host_ip="")
    first = world.box(1, port, conflist=both)
    with world.far.dial6(socket.SOCK_DGRAM) as outside, world.here6(socket.SOCK_DGRAM) as here:
        clients = ((outside, HOST6), (here, "::1"))
        with first.listen6(53, socket.SOCK_DGRAM) as server:
            for client, address in clients:
                client.sendto(b"one", (address, 5353))
                assert server.recvfrom(10)[0] == b"one"
        world.remove(first)
        second = world.box(2, port, conflist=both)
        with second.listen6(53, socket.SOCK_DGRAM) as server:
            for client, address in clients:
                client.sendto(b"two", (address, 5353))
                assert server.recvfrom(10)[0] == b"two"


def test_containers_go_out_under_the_hosts_address(world: World, both: str) -> None:
    box = world.box(1, conflist=both)
    assert seen_from(box.dial6(), FAR6, 99, world.far.listen6(99)) == HOST6


def test_without_masquerade_containers_go_out_under_their_own(world: World) -> None:
    box = world.box(1, conflist=world.network("routed", "10.74.0.1/24", "fd74::1/64", ip_masq="false"))
    assert seen_from(box.dial6(), FAR6, 99, world.far.listen6(99)) == box.address6
    assert seen_from(box.dial(), FAR, 99, world.far.listen(99)) == box.address
    with box.listen6(81):
        assert is_dropped(world.far.dial6(), box.address6, 81)  # routed is not published


def test_a_container_reaches_its_own_and_its_neighbours_published_ports(world: World, both: str) -> None:
    box, peer = world.box(1, web(host_ip=""), conflist=both), world.box(2, conflist=both)
    other = world.box(3, conflist=world.network("other", "10.75.0.1/24", "fd75::1/64"))
    for client in (box, peer, other):
        seen_from(client.dial6(), HOST6, 8080, box.listen6(80))
        seen_from(client.dial6(), GATEWAY6, 8080, box.listen6(80))
    with box.listen6(81):
        assert is_dropped(other.dial6(), box.address6, 81)


def test_a_network_may_have_ipv6_alone(world: World) -> None:
    conflist = world.network("six", "fd76::1/64")
    box = world.box(1, web(host_ip=""), conflist=conflist)
    assert box.attachment.ports == (web(host_ip="::"),)
    assert box.attachment.gateway == "fd76::1"
    assert seen_from(world.far.dial6(), HOST6, 8080, box.listen6(80)) == FAR6
    with pytest.raises(UnsupportedError, match="network six gives no IPv4 addresses"):
        world.box(2, web(8081, host_ip="0.0.0.0"), conflist=conflist)


def test_a_host_that_learns_its_routes_goes_on_learning(world: World, both: str) -> None:
    sh("sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.far0.accept_ra=1")
    world.box(1, conflist=both)
    assert sh("sysctl -n net.ipv6.conf.all.forwarding net.ipv6.conf.far0.accept_ra net.ipv6.conf.br-both.accept_ra").split() == [
        "1",
        "2",  # also when forwarding
        "0",  # never from a container
    ]


def test_a_container_believes_no_neighbour_about_routers(world: World, both: str) -> None:
    box: Box = world.box(1, conflist=both)
    assert box.sh("sysctl -n net.ipv6.conf.eth0.accept_ra").strip() == "0"


def test_a_host_that_turned_ipv6_off_has_it_on_that_bridge_alone(world: World, both: str) -> None:
    sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")
    box, peer = world.box(1, web(host_ip=""), conflist=both), world.box(2, conflist=both)
    assert seen_from(peer.dial6(), box.address6, 80, box.listen6(80)) == peer.address6
    assert seen_from(peer.dial6(), GATEWAY6, 8080, box.listen6(80)) == GATEWAY6
    assert seen_from(world.far.dial(), HOST, 8080, box.listen(80)) == FAR
    assert sh("sysctl -n net.ipv6.conf.far0.disable_ipv6").strip() == "1"


def test_an_ipv4_network_leaves_the_hosts_ipv6_as_it_is(world: World) -> None:
    sh("sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.far0.accept_ra=1")
    world.box(1, web(host_ip=""))
    assert sh("sysctl -n net.ipv6.conf.all.forwarding net.ipv6.conf.far0.accept_ra").split() == ["0", "1"]
    assert sh("sysctl -n net.ipv6.conf.br-one.accept_ra").strip() == "0"


def _bridge_netfilter(value: str) -> None:
    for family in ("iptables", "ip6tables"):
        path = Path(f"/proc/sys/net/bridge/bridge-nf-call-{family}")
        if path.exists():
            path.write_text(value)
