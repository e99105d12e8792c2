"""Other tools' rules beside ours: Docker's, CNI's, firewalls in old and new tables, and hosts that have only nft."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from tests.integration.network_world import FAR, FAR6, HOST, HOST6, Box, World, is_dropped, playing_host, seen_from, sh, web

from pyctl.state import netns
from pyctl_hookspecs import PortMapping, PyctlError
from pyctl_plugins.network import bridge

pytestmark = pytest.mark.integration

CNI = next((path for path in ("/usr/lib/cni", "/opt/cni/bin") if os.path.exists(f"{path}/bridge")), "")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with playing_host(tmp_path) as world:
        yield world


@pytest.fixture
def both(world: World) -> str:
    return world.network("both", "10.73.0.1/24", "fd73::1/64")


# What a Docker daemon with one network and one published port writes, without its addresses.
_DOCKER = """\
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d {loopback} -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s {subnet} ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 7070 -j DNAT --to-destination {target}
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
"""
_DOCKER4 = _DOCKER.format(loopback="127.0.0.0/8", subnet="172.17.0.0/16", target="172.17.0.2:70")
_DOCKER6 = _DOCKER.format(loopback="::1/128", subnet="fd17::/64", target="[fd17::2]:70")


def _restore(program: str, rules: str) -> None:
    subprocess.run([program], input=rules, text=True, check=True)


def _works(world: World, box: Box) -> None:
    assert seen_from(world.far.dial(), HOST, 8080, box.listen(80)) == FAR
    assert seen_from(world.far.dial6(), HOST6, 8080, box.listen6(80)) == FAR6
    seen_from(world.here(), "127.0.0.1", 8080, box.listen(80))
    seen_from(world.here6(), "::1", 8080, box.listen6(80))
    assert seen_from(box.dial(), FAR, 99, world.far.listen(99)) == HOST
    assert seen_from(box.dial6(), FAR6, 99, world.far.listen6(99)) == HOST6
    with box.listen(81), box.listen6(82):
        assert is_dropped(world.far.dial(), box.address, 81)
        assert is_dropped(world.far.dial6(), box.address6, 82)


@pytest.mark.parametrize("variant", ["nft", "legacy"])
@pytest.mark.parametrize("docker_first", [True, False], ids=["docker-first", "docker-later"])
def test_dockers_rules_and_ours_live_together(world: World, both: str, variant: str, docker_first: bool) -> None:
    sh("ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up")

    def docker() -> None:
        _restore(f"iptables-{variant}-restore", _DOCKER4)
        _restore(f"ip6tables-{variant}-restore", _DOCKER6)

    if docker_first:
        docker()
    box, peer = world.box(1, web(host_ip=""), conflist=both), world.box(2, conflist=both)
    if not docker_first:
        docker()
        world.repair(box, peer)  # a policy of DROP that came later: this is what the keeper's watch does
    _works(world, box)
    assert seen_from(peer.dial(), box.address, 80, box.listen(80)) == peer.address
    seen_from(peer.dial(), HOST, 8080, box.listen(80))
    assert sh(f"iptables-{variant} -S FORWARD").count("pyctl:br-both") == 2  # Docker can still read its chain
    theirs = sh(f"iptables-{variant} -t nat -S")
    world.remove(box)
    world.remove(peer)
    bridge.remove_network("both", both, world.host)
    assert "pyctl" not in sh(f"iptables-{variant} -S") + sh(f"ip6tables-{variant} -S")
    assert sh(f"iptables-{variant} -t nat -S") == theirs


def test_a_container_of_dockers_network_reaches_published_ports_only(world: World, both: str) -> None:
    sh("ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up")
    _restore("iptables-nft-restore", _DOCKER4)
    path = f"{world.directory}/run/netns/docker"
    netns.create(path)
    theirs = Box(path)
    try:
        sh(f"ip link add vdocker type veth peer name eth0 netns {path} && ip link set vdocker master docker0 up")
        theirs.sh("ip addr add 172.17.0.2/16 dev eth0")
        theirs.sh("ip link set eth0 up")
        theirs.sh("ip route add default via 172.17.0.1")
        box = world.box(1, web(host_ip=""), conflist=both)
        seen_from(theirs.dial(), HOST, 8080, box.listen(80))
        with box.listen(81):
            assert is_dropped(theirs.dial(), box.address, 81)
        seen_from(box.dial(), HOST, 7070, theirs.listen(70))
    finally:
        theirs.close()
        netns.release(path)


def test_a_host_that_drops_what_comes_in_still_publishes(world: World, both: str) -> None:
    """As firewalld or ufw leave a server: nothing comes in but what was asked for."""
    sh(
        "nft -f - <<'E'\n"
        "table inet firewall {\n chain input {\n type filter hook input priority filter; policy drop;\n"
        " ct state established,related accept\n iif lo accept\n meta l4proto { icmp, ipv6-icmp } accept\n }\n}\nE"
    )
    box, peer = world.box(1, web(host_ip=""), conflist=both), world.box(2, conflist=both)
    _works(world, box)
    seen_from(peer.dial(), HOST, 8080, box.listen(80))
    seen_from(peer.dial6(), HOST6, 8080, box.listen6(80))
    with world.here() as service:
        service.bind(("0.0.0.0", 9999))
        service.listen()
        assert is_dropped(world.far.dial(), HOST, 9999)
        assert is_dropped(peer.dial(), HOST, 9999)


def test_a_host_without_iptables_needs_none(world: World, both: str, monkeypatch: pytest.MonkeyPatch) -> None:
    places = world.directory / "bin"
    places.mkdir()
    for name in ("ip", "nft", "nsenter", "sysctl"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        (places / name).symlink_to(found)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(places))
        patch.setattr("pyctl_plugins.network._programs.SYSTEM_FOLDERS", "")
        box = world.box(1, web(host_ip=""), conflist=both)
    _works(world, box)


def test_old_tables_without_their_program_are_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sh("iptables-legacy -P FORWARD DROP")
    places = world.directory / "bin"
    places.mkdir()
    (places / "nft").symlink_to(subprocess.run(["which", "nft"], capture_output=True, text=True, check=True).stdout.strip())
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(places))
        patch.setattr("pyctl_plugins.network._programs.SYSTEM_FOLDERS", "")
        with pytest.raises(PyctlError, match="filters packets with iptables' old tables"):
            world.box(1, web())
    assert not (world.directory / "leases").exists()


class Cni:
    """A container of somebody who runs the real binaries on the same network."""

    def __init__(self, world: World, conflist: str, name: str) -> None:
        config = json.loads(conflist)
        self._plugin = {**config["plugins"][0], "name": config["name"], "cniVersion": "1.0.0"}
        self.path = f"{world.directory}/run/netns/{name}"
        netns.create(self.path)
        names = {"CNI_CONTAINERID": name, "CNI_NETNS": self.path, "CNI_IFNAME": "eth0", "CNI_PATH": CNI}
        self.environment = {**os.environ, **names}

    def call(self, command: str) -> dict[str, Any]:
        done = subprocess.run(
            [f"{CNI}/bridge"],
            input=json.dumps(self._plugin),
            env={**self.environment, "CNI_COMMAND": command},
            capture_output=True,
            text=True,
            check=False,
        )
        return dict(json.loads(done.stdout or "{}"))

    def add(self) -> list[str]:
        return [one["address"].partition("/")[0] for one in self.call("ADD")["ips"]]

    def release(self) -> None:
        self.call("DEL")
        netns.release(self.path)


def test_host_local_and_we_share_a_pool_to_its_last_address(world: World) -> None:
    """A /29 has five addresses beside the gateway: three of theirs and two of ours, and nobody gets a sixth."""
    conflist = world.network("pool", "10.88.0.1/29", "fd88::1/125")
    theirs = [Cni(world, conflist, f"suite-theirs{n}") for n in range(4)]
    try:
        given = [*theirs[0].add(), *world.box(1, conflist=conflist).attachment.addresses, *theirs[1].add()]
        given += [*world.box(2, conflist=conflist).attachment.addresses, *theirs[2].add()]
        plain = [address.partition("/")[0] for address in given]
        assert sorted(one for one in plain if "." in one) == [f"10.88.0.{n}" for n in range(2, 7)]
        assert len(set(plain)) == 10
        message = r"no available IPv4 addresses on this network's address pools: pool \(10.88.0.1-10.88.0.6\)"
        with pytest.raises(PyctlError, match=message):
            world.box(3, conflist=conflist)
        assert "no IP addresses available" in theirs[3].call("ADD")["msg"]
        assert len(list((world.directory / "leases/pool").glob("*[.:]*"))) == 10 + 2  # with the two last_reserved_ip
        theirs[0].release()
        assert world.box(3, conflist=conflist).address == "10.88.0.2"
    finally:
        for one in theirs:
            one.release()


def test_at_once_with_host_local_nobody_gets_an_address_twice(world: World) -> None:
    conflist = world.network("race", "10.89.0.1/24")
    theirs = [Cni(world, conflist, f"suite-theirs{n}") for n in range(6)]
    world.box(1, conflist=conflist)
    try:
        given: list[list[str]] = []
        threads = [threading.Thread(target=lambda one=one: given.append(one.add())) for one in theirs]
        for thread in threads:
            thread.start()
        ours = [world.box(2 + n, conflist=conflist).address for n in range(6)]
        for thread in threads:
            thread.join()
        everybody = ours + [address for addresses in given for address in addresses]
        assert len(set(everybody)) == 12
    finally:
        for one in theirs:
            one.release()


def test_portmaps_rules_and_ours_publish_side_by_side(world: World) -> None:
    conflist = world.network("one", "10.71.0.1/24")
    mine = world.box(1, web())
    one = Cni(world, conflist, "suite-theirs")
    try:
        (given,) = one.add()
        portmap = {
            "type": "portmap",
            "name": "one",
            "cniVersion": "1.0.0",
            "runtimeConfig": {"portMappings": [{"hostPort": 9090, "containerPort": 90, "protocol": "tcp"}]},
            "prevResult": {
                "cniVersion": "1.0.0",
                "interfaces": [{"name": "eth0", "sandbox": one.path}],
                "ips": [{"interface": 0, "address": f"{given}/24"}],
            },
        }
        environment = {**one.environment, "CNI_COMMAND": "ADD"}
        subprocess.run([f"{CNI}/portmap"], input=json.dumps(portmap), env=environment, text=True, check=True, capture_output=True)
        theirs = Box(one.path)
        assert seen_from(world.far.dial(), HOST, 9090, theirs.listen(90)) == FAR
        assert seen_from(world.far.dial(), HOST, 8080, mine.listen(80)) == FAR
        seen_from(theirs.dial(), HOST, 8080, mine.listen(80))
        theirs.close()
    finally:
        one.release()


def test_an_sctp_port_is_translated_both_ways(world: World) -> None:
    """Few kernels have sctp's sockets; connection tracking, rules and translation are what we depend on, and have."""
    box = world.box(1, PortMapping(container_port=3868, host_port=3868, protocol="sctp"))
    with world.far.dial(socket.SOCK_RAW, protocol=132) as client, box.dial(socket.SOCK_RAW, protocol=132) as server:
        client.sendto(_sctp(40000, 3868, 1), (HOST, 3868))
        packet, peer = server.recvfrom(200)
        assert (peer[0], packet[20:24]) == (FAR, pack(">HH", 40000, 3868))
        server.sendto(_sctp(3868, 40000, 2, tag=0x1234), (FAR, 40000))
        answer, source = client.recvfrom(200)
        assert (source[0], answer[20:24]) == (HOST, pack(">HH", 3868, 40000))


def _sctp(source: int, destination: int, chunk: int, tag: int = 0) -> bytes:
    """An INIT (1) or INIT ACK (2) with a right checksum: connection tracking looks."""
    body = pack(">BBHIIHHI", chunk, 0, 20, 0x1234, 65536, 1, 1, 7)
    head = pack(">HHI", source, destination, tag)
    return head + pack("<I", _crc32c(head + bytes(4) + body)) + body


def _crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_a_network_that_nerdctl_removed_holds_for_nobody(world: World) -> None:
    """nerdctl deletes the file and the bridge: what our table says of them must not meet the next network there."""
    sh("iptables-nft -P FORWARD DROP")
    world.remove(world.box(1, conflist=world.network("gone", "10.72.3.1/24", internal=True)))
    sh("ip link del br-gone")
    box = world.box(2, conflist=world.network("wide", "10.72.0.1/16"))  # nft would refuse what overlaps
    assert "br-gone" not in sh("nft list ruleset") and not os.path.exists(f"{world.host.runtime_dir}/bridges/br-gone")
    assert seen_from(box.dial(), FAR, 99, world.far.listen(99)) == HOST


def test_repair_sweeps_what_is_left_of_a_network_and_spares_the_next(world: World) -> None:
    sh("iptables-nft -P FORWARD DROP")
    gone = world.box(1, conflist=world.network("gone", "10.72.3.1/24"))
    bridge.detach_network(gone.request, gone.token, world.host)  # the kernel takes its time with a namespace's interfaces
    world.remove(gone)
    box = world.box(2, web(), conflist=world.network("next", "10.72.3.1/24"))
    sh("ip link del br-gone")
    assert world.repair(box) == ("removed the rules of bridge br-gone, which is gone",)
    assert "br-gone" not in sh("nft list ruleset") and world.repair(box) == ()
    assert seen_from(box.dial(), FAR, 99, world.far.listen(99)) == HOST
    assert seen_from(world.far.dial(), HOST, 8080, box.listen(80)) == FAR


def test_what_cni_wrote_for_a_bridge_goes_with_it(world: World) -> None:
    """For nerdctl's containers on the same network; the plug-in itself never takes it back."""
    for program in ("iptables-nft", "ip6tables-nft"):
        sh(f"{program} -N CNI-ISOLATION-STAGE-1 && {program} -N CNI-ISOLATION-STAGE-2")
        for name in ("br-both", "br-bothe"):
            sh(f"{program} -A CNI-ISOLATION-STAGE-1 -i {name} ! -o {name} -j CNI-ISOLATION-STAGE-2")
            sh(f"{program} -A CNI-ISOLATION-STAGE-2 -o {name} -j DROP")
    conflist = world.network("both", "10.72.0.1/24", "fd72::1/64")
    world.remove(world.box(1, conflist=conflist))
    bridge.remove_network("both", conflist, world.host)
    for program in ("iptables-nft", "ip6tables-nft"):
        left = sh(f"{program} -S").splitlines()
        assert [rule for rule in left if "br-both " in rule] == [] and len([rule for rule in left if "br-bothe" in rule]) == 2
