"""Packets through the bridge driver: who reaches whom, under which address, and what is left afterwards.

The host of these tests is a network namespace, and so is the outside world (``far``), so real interfaces, rules
and firewalls are used without touching the machine's. Nothing here needs containerd.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.network_world import FAR, HOST, Box, World, is_dropped, playing_host, seen_from, sh, web

from pyctl.state import netns
from pyctl_hookspecs import PortMapping
from pyctl_plugins.network import _layout, _nft

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with playing_host(tmp_path) as world:
        yield world


def test_a_published_port_answers_on_loopback_and_on_the_hosts_address(world: World) -> None:
    box = world.box(1, web())
    assert seen_from(world.here(), "127.0.0.1", 8080, box.listen(80)) == "10.71.0.1"
    assert seen_from(world.here(), HOST, 8080, box.listen(80)) == HOST


def test_outside_addresses_are_kept(world: World) -> None:
    box = world.box(1, web())
    assert seen_from(world.far.dial(), HOST, 8080, box.listen(80)) == FAR


def test_containers_reach_each_other_and_published_ports_of_each_other(world: World) -> None:
    one, two = world.box(1, web()), world.box(2)
    assert seen_from(two.dial(), one.address, 80, one.listen(80)) == two.address
    seen_from(two.dial(), HOST, 8080, one.listen(80))
    seen_from(two.dial(), "10.71.0.1", 8080, one.listen(80))


def test_a_container_reaches_its_own_published_port(world: World) -> None:
    box = world.box(1, web())
    assert seen_from(box.dial(), HOST, 8080, box.listen(80)) == "10.71.0.1"


def test_containers_go_out_under_the_hosts_address(world: World) -> None:
    box = world.box(1)
    assert seen_from(box.dial(), FAR, 99, world.far.listen(99)) == HOST


def test_a_port_bound_to_loopback_is_not_open_outside(world: World) -> None:
    box = world.box(1, web(host_ip="127.0.0.1"))
    server = box.listen(80)
    with pytest.raises(ConnectionRefusedError), world.far.dial() as client:
        client.connect((HOST, 8080))
    seen_from(world.here(), "127.0.0.1", 8080, server)


def test_a_port_bound_to_one_address_answers_there_only(world: World) -> None:
    box = world.box(1, web(host_ip=HOST))
    assert seen_from(world.far.dial(), HOST, 8080, box.listen(80)) == FAR
    with pytest.raises(ConnectionRefusedError), world.here() as client:
        client.connect(("127.0.0.1", 8080))


def test_what_is_not_published_is_closed_to_the_outside(world: World) -> None:
    box = world.box(1, web())
    with box.listen(81):
        assert is_dropped(world.far.dial(), box.address, 81)


def test_networks_are_closed_to_each_other_but_for_published_ports(world: World) -> None:
    one, two = world.box(1, web()), world.box(2, conflist=world.network("two", "10.72.0.1/24"))
    with one.listen(81):
        assert is_dropped(two.dial(), one.address, 81)
    seen_from(two.dial(), HOST, 8080, one.listen(80))


def test_the_hosts_loopback_is_closed_to_containers(world: World) -> None:
    box = world.box(1, web())
    # A container cannot normally send this; one with NET_ADMIN can.
    box.sh("sh -c 'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet'")
    box.sh("ip addr flush dev lo")
    box.sh("ip route add 127.0.0.0/8 via 10.71.0.1 src " + box.address)
    with world.here() as server:
        server.bind(("127.0.0.1", 9999))
        server.listen()
        assert is_dropped(box.dial(), "127.0.0.1", 9999)
        sh("nft flush chain inet pyctl raw")
        assert not is_dropped(box.dial(), "127.0.0.1", 9999)  # it is our rule that keeps it out


def test_udp_ports_are_published_and_flows_follow_the_port(world: World) -> None:
    port = PortMapping(container_port=53, host_port=5353, protocol="udp")
    first = world.box(1, port)
    with world.far.dial(socket.SOCK_DGRAM) as client:
        with first.listen(53, socket.SOCK_DGRAM) as server:
            client.sendto(b"one", (HOST, 5353))
            _, peer = server.recvfrom(10)
            assert peer[0] == FAR
            server.sendto(b"answer", peer)
            assert client.recvfrom(10) == (b"answer", (HOST, 5353))
        world.remove(first)
        second = world.box(2, port)
        with second.listen(53, socket.SOCK_DGRAM) as server:
            client.sendto(b"two", (HOST, 5353))  # the same flow: the kernel would send it to the first container
            assert server.recvfrom(10)[0] == b"two"


def test_an_automatic_port_is_from_the_ephemeral_range_and_works(world: World) -> None:
    box = world.box(1, web(0))
    assert seen_from(world.here(), "127.0.0.1", box.port(), box.listen(80)) == "10.71.0.1"


def test_a_pool_gives_its_first_free_port(world: World) -> None:
    with world.here() as taken:
        taken.bind(("0.0.0.0", 8080))
        taken.listen()
        box = world.box(1, web(8080, host_port_end=8082))
        assert box.port() == 8081
        assert world.box(2, web(8080, host_port_end=8082)).port() == 8082


def test_a_firewall_that_drops_forwarded_packets_lets_ours_through(world: World) -> None:
    sh("iptables -P FORWARD DROP && iptables -A FORWARD -j DROP")
    one, two = world.box(1, web()), world.box(2)
    assert seen_from(world.far.dial(), HOST, 8080, one.listen(80)) == FAR
    assert seen_from(two.dial(), FAR, 99, world.far.listen(99)) == HOST
    seen_from(two.dial(), HOST, 8080, one.listen(80))
    with one.listen(81):
        assert is_dropped(world.far.dial(), one.address, 81)
    assert sh("iptables -S FORWARD").count("pyctl:br-one") == 2  # iptables can still read its chain


def test_iptables_old_tables_let_ours_through_too(world: World) -> None:
    sh("iptables-legacy -P FORWARD DROP")
    one = world.box(1, web())
    two = world.box(2)
    assert seen_from(world.far.dial(), HOST, 8080, one.listen(80)) == FAR
    assert seen_from(two.dial(), FAR, 99, world.far.listen(99)) == HOST
    assert sh("iptables-legacy -S FORWARD").count("pyctl:br-one") == 2


def test_rules_that_somebody_flushed_come_back_for_everyone(world: World) -> None:
    one = world.box(1, web())
    sh("nft flush ruleset")
    two = world.box(2, web(8081))
    assert seen_from(world.far.dial(), HOST, 8080, one.listen(80)) == FAR
    assert seen_from(world.far.dial(), HOST, 8081, two.listen(80)) == FAR


def test_a_table_of_another_version_is_replaced(world: World) -> None:
    sh("nft add table inet pyctl && nft add chain inet pyctl v0")
    box = world.box(1, web())
    assert seen_from(world.here(), "127.0.0.1", 8080, box.listen(80)) == "10.71.0.1"


def test_cni_binaries_and_pyctl_share_a_network(world: World) -> None:
    directory = next(path for path in ("/usr/lib/cni", "/opt/cni/bin") if os.path.exists(f"{path}/bridge"))
    mine = world.box(1, web())
    config = json.loads(mine.request.conflist)
    plugin = {**config["plugins"][0], "name": "one", "cniVersion": "0.4.0"}
    path = f"{world.directory}/run/netns/theirs"
    netns.create(path)
    names = {"CNI_CONTAINERID": "suite-theirs", "CNI_NETNS": path, "CNI_IFNAME": "eth0", "CNI_PATH": directory}
    environment = {**os.environ, **names}

    def cni(command: str) -> str:
        done = subprocess.run(
            [f"{directory}/bridge"],
            input=json.dumps(plugin),
            env={**environment, "CNI_COMMAND": command},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    given = json.loads(cni("ADD"))["ips"][0]["address"].partition("/")[0]
    theirs = Box(path)
    try:
        assert given == "10.71.0.3"
        assert seen_from(theirs.dial(), mine.address, 80, mine.listen(80)) == given
        later = world.box(2)
        assert later.address == "10.71.0.4"
        cni("DEL")
        assert sorted(os.listdir(f"{world.directory}/leases/one"))[:2] == [mine.address, later.address]
        assert seen_from(world.far.dial(), HOST, 8080, mine.listen(80)) == FAR
    finally:
        theirs.close()
        netns.release(path)


def test_twenty_ports_are_one_transaction(world: World) -> None:
    ports = [PortMapping(container_port=80 + n, host_port=8000 + n) for n in range(20)]
    box = world.box(1, *ports)
    seen_from(world.here(), "127.0.0.1", 8019, box.listen(99))


def test_nothing_is_left_but_the_bridge_and_the_table(world: World) -> None:
    boxes = [world.box(n, web(8000 + n), PortMapping(container_port=53, protocol="udp", host_ip="127.0.0.1")) for n in (1, 2)]
    for box in boxes:
        world.remove(box)
    table = _nft.Table(world.host.runtime_dir)
    assert [name for name in _layout.MAPS if table._elements(name, b"")] == []
    table.close()
    assert [name for name in os.listdir(f"{world.host.runtime_dir}/ports") if name != ".lock"] == []
    assert sorted(os.listdir(f"{world.directory}/leases/one")) == ["last_reserved_ip.0", "lock"]
    with world.here() as free:
        free.bind(("0.0.0.0", 8001))


def test_many_at_once_on_a_fresh_host_have_an_address_and_a_port_each(world: World) -> None:
    """Table, bridge and pool do not exist yet, and everybody wants to be the first."""
    with ThreadPoolExecutor(16) as pool:
        boxes = list(pool.map(lambda number: world.box(number, web(0)), range(1, 33)))
    assert len({box.address for box in boxes}) == len({box.port() for box in boxes}) == 32
    for box in (boxes[0], boxes[-1]):
        assert seen_from(world.far.dial(), HOST, box.port(), box.listen(80)) == FAR
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(world.remove, boxes))
    table = _nft.Table(world.host.runtime_dir)
    assert table.comments() == set()
    table.close()
    assert sorted(os.listdir(f"{world.directory}/leases/one")) == ["last_reserved_ip.0", "lock"]


def test_the_calling_thread_never_leaves_its_namespace(world: World) -> None:
    before = os.stat("/proc/thread-self/ns/net").st_ino
    world.box(1, web())
    assert os.stat("/proc/thread-self/ns/net").st_ino == before
