"""The driver ``cni`` with Debian's binaries: what is there afterwards, what is gone, and what is mended.

The host of each test is a network namespace of its own. Nothing here needs containerd.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyctl_hookspecs import ConnectedNetwork, NetworkAttachment, NetworkRequest, PortMapping, PyctlError, UnsupportedError
from pyctl_hookspecs.testing.network import FakeHost
from pyctl_plugins.network import _cni_cache, _rtnetlink, cni

pytestmark = pytest.mark.integration

_CLONE_NEWNET = 0x40000000
_PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
_ID = "1" * 64
_WEB = (PortMapping(container_port=80, host_port=8080),)


def sh(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


class Bench:
    """The host, its networks and its containers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host = FakeHost(str(directory))
        os.makedirs(f"{self.host.runtime_dir}/netns")
        self.requests: list[NetworkRequest] = []

    def pool(self, subnet: str, **more: Any) -> dict[str, Any]:
        return {"type": "host-local", "dataDir": str(self.directory / "pool"), "ranges": [[{"subnet": subnet, **more}]]}

    def bridge(self, subnet: str = "10.77.0.0/24", **more: Any) -> dict[str, Any]:
        ipam = self.pool(subnet) | {"routes": [{"dst": "0.0.0.0/0"}]}
        return {
            "type": "bridge",
            "bridge": "br-cni",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": ipam,
            **more,
        }

    def request(self, number: int, *plugins: dict[str, Any], version: str = "1.0.0", **more: Any) -> NetworkRequest:
        """A container with a pinned namespace, not connected yet."""
        path = f"{self.host.runtime_dir}/netns/{number}"
        if not os.path.exists(path):
            open(path, "w").close()
            sh(f"unshare --net={path} true")
        made = NetworkRequest(
            container_id=str(number) * 64,
            container_name=f"c{number}",
            namespace=self.host.namespace,
            network="net",
            interface="eth0",
            netns_path=path,
            conflist=json.dumps({"cniVersion": version, "name": "net", "plugins": plugins}),
            **more,
        )
        self.requests.append(made)
        return made

    def token(self, request: NetworkRequest) -> str:
        token: str = cni.plan_network(request, self.host).undo_token  # type: ignore[arg-type]
        return token

    def connect(self, request: NetworkRequest) -> NetworkAttachment:
        return cni.setup_network(request, self.token(request), self.host)  # type: ignore[arg-type]

    def clean(self, request: NetworkRequest) -> None:
        cni.cleanup(self.token(request), self.host)  # type: ignore[arg-type]

    def repair(self, *connected: tuple[NetworkRequest, NetworkAttachment], alive: bool = True) -> tuple[str, ...]:
        records = tuple(ConnectedNetwork(request=r, undo_token=self.token(r), attachment=a) for r, a in connected)
        return cni.repair_networks(records, lambda _: alive, self.host)  # type: ignore[arg-type]

    def inside(self, request: NetworkRequest, command: str) -> str:
        return sh(f"nsenter --net={request.netns_path} {command}")

    def interfaces(self, request: NetworkRequest) -> list[str]:
        return [one["ifname"] for one in json.loads(self.inside(request, "ip -j link"))]

    def forget(self, request: NetworkRequest) -> None:
        """The namespace is gone, as after a reboot or a careless hand."""
        sh(f"umount {request.netns_path}")
        os.unlink(request.netns_path)

    def leases(self) -> list[str]:
        pool = self.directory / "pool" / "net"
        return sorted(p.name for p in pool.iterdir() if p.name[0].isdigit()) if pool.exists() else []

    def cached(self) -> list[str]:
        return sorted(os.listdir(_cni_cache.DIRECTORY)) if os.path.isdir(_cni_cache.DIRECTORY) else []

    def leftovers(self) -> list[str]:
        """Everything on this host that names a container."""
        rules = [line for line in sh("iptables-save; ip6tables-save").splitlines() if "suite-" in line or "CNI-DN" in line]
        links = [one["ifname"] for one in json.loads(sh("ip -j link")) if one["ifname"].startswith("veth")]
        return self.leases() + self.cached() + rules + links

    def serve(self, request: NetworkRequest, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A server on port 80; with AF_INET6 of both families."""
        server = self.socket_in(request, family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", 80))
        server.listen(8)
        return server

    def socket_in(self, request: NetworkRequest, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        fd = os.open(request.netns_path, os.O_RDONLY)
        try:
            made: socket.socket = _rtnetlink.in_namespace(fd, lambda: socket.socket(family, socket.SOCK_STREAM))
        finally:
            os.close(fd)
        made.settimeout(5)
        return made


def _reaches(client: socket.socket, address: str, port: int = 80) -> bool:
    client.settimeout(5)
    with client:
        client.connect((address, port))
    return True


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(_cni_cache, "DIRECTORY", str(tmp_path / "results"))
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    assert libc.unshare(_CLONE_NEWNET) == 0
    sh("ip link set lo up")
    made = Bench(tmp_path)
    yield made
    for path in {request.netns_path for request in made.requests if os.path.exists(request.netns_path)}:
        sh(f"umount {path}")
    made.host.close()
    assert libc.setns(home, _CLONE_NEWNET) == 0
    os.close(home)


def test_a_published_port_leads_into_the_container_and_nothing_is_left_of_it(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, {"type": "firewall"}, {"type": "tuning"}, ports=_WEB)
    attachment = bench.connect(request)
    assert (attachment.addresses, attachment.gateway, attachment.ports) == (("10.77.0.2/24",), "10.77.0.1", _WEB)
    assert bench.cached() == [f"net-suite-{_ID}-eth0"]
    with bench.serve(request):
        assert _reaches(socket.socket(), "10.77.0.1", 8080)
    bench.clean(request)
    assert bench.leftovers() == []
    bench.clean(request)


def test_loopback_is_up_in_the_namespace(bench: Bench) -> None:
    request = bench.request(1, bench.bridge())
    bench.connect(request)
    assert "127.0.0.1/8" in bench.inside(request, "ip -4 address show dev lo")


def test_an_old_list_with_ptp_gives_a_result_of_today(bench: Bench) -> None:
    request = bench.request(1, {"type": "ptp", "ipMasq": True, "ipam": bench.pool("10.78.0.0/24")}, version="0.3.1")
    attachment = bench.connect(request)
    result = json.loads(attachment.cni_result)
    assert result["cniVersion"] == "1.0.0"
    assert [(ip["address"], "version" in ip) for ip in result["ips"]] == [("10.78.0.2/24", False)]
    assert attachment.mac_address in bench.inside(request, "ip link show eth0")
    bench.clean(request)
    assert bench.leftovers() == []


def test_a_list_of_0_2_works_though_its_results_name_no_interface(bench: Bench) -> None:
    request = bench.request(1, {"type": "ptp", "ipam": bench.pool("10.78.0.0/24")}, version="0.2.0")
    attachment = bench.connect(request)
    assert attachment.addresses == ("10.78.0.2/24",)
    assert attachment.mac_address in bench.inside(request, "ip link show eth0")


def test_neighbours_on_one_macvlan_parent_reach_each_other(bench: Bench) -> None:
    sh("ip link add nic type veth peer name switch && ip link set nic up && ip link set switch up")
    plugin = {"type": "macvlan", "master": "nic", "ipam": bench.pool("10.79.0.0/24")}
    one, two = bench.request(1, plugin), bench.request(2, plugin)
    address = bench.connect(one).addresses[0].partition("/")[0]
    bench.connect(two)
    with bench.serve(one):
        assert _reaches(bench.socket_in(two), address)
    for request in (one, two):
        bench.clean(request)
    assert bench.leftovers() == []
    assert bench.interfaces(one) == ["lo"]


def test_an_address_and_a_mac_address_can_be_asked_for(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), {"type": "tuning"}, ip="10.77.0.99", mac_address="02:42:00:00:00:99")
    attachment = bench.connect(request)
    assert (attachment.addresses, attachment.mac_address) == (("10.77.0.99/24",), "02:42:00:00:00:99")
    assert "02:42:00:00:00:99" in bench.inside(request, "ip link show eth0")


def test_an_address_that_is_asked_for_always_has_the_same_mac_address(bench: Bench) -> None:
    sh("ip link add nic type veth peer name switch && ip link set nic up && ip link set switch up")
    plugins = bench.bridge(), {"type": "macvlan", "master": "nic", "ipam": bench.pool("10.79.0.0/24")}
    found = [
        bench.connect(bench.request(number, plugin, ip=address)).mac_address
        for number, plugin, address in zip((1, 2), plugins, ("10.77.0.9", "10.79.0.9"), strict=True)
    ]
    assert found == ["02:42:0a:4d:00:09", "02:42:0a:4f:00:09"]


def test_a_mac_address_that_is_not_given_is_an_error(bench: Bench) -> None:
    request = bench.request(1, {"type": "ptp", "ipam": bench.pool("10.78.0.0/24")}, mac_address="02:42:00:00:00:99")
    with pytest.raises(UnsupportedError, match="network net did not give 02:42:00:00:00:99 but"):
        bench.connect(request)
    bench.clean(request)
    assert bench.leftovers() == []


def test_both_families_are_given_and_asked_for(bench: Bench) -> None:
    ipam = bench.pool("10.77.0.0/24")
    ipam["ranges"].append([{"subnet": "fd00:77::/64"}])
    plugin = {"type": "bridge", "bridge": "br-cni", "isGateway": True, "ipam": ipam, "capabilities": {"ips": True}}
    attachment = bench.connect(bench.request(1, plugin, ip="10.77.0.50", ip6="fd00:77::50"))
    assert attachment.addresses == ("10.77.0.50/24", "fd00:77::50/64")


def test_a_port_for_every_address_is_published_on_both_families(bench: Bench) -> None:
    ipam = bench.pool("10.77.0.0/24")
    ipam["ranges"].append([{"subnet": "fd00:77::/64"}])
    plugin = bench.bridge() | {"ipam": ipam}
    request = bench.request(1, plugin, _PORTMAP, ports=(PortMapping(container_port=80, host_port=8080, host_ip=""),))
    no_probing = "sysctl -q net.ipv6.conf.default.accept_dad=0"
    sh(no_probing)
    bench.inside(request, no_probing)
    attachment = bench.connect(request)
    assert [(port.host_ip, port.host_port) for port in attachment.ports] == [("0.0.0.0", 8080), ("::", 8080)]
    with bench.serve(request, family=socket.AF_INET6):
        for family, address in ((socket.AF_INET, "10.77.0.1"), (socket.AF_INET6, "fd00:77::1")):
            assert _reaches(socket.socket(family), address, 8080)
    bench.clean(request)
    assert bench.leftovers() == []


def test_a_full_subnet_is_said_in_one_line_and_leaves_nothing(bench: Bench) -> None:
    plugin = bench.bridge() | {"ipam": bench.pool("10.77.0.0/24", rangeStart="10.77.0.2", rangeEnd="10.77.0.2")}
    bench.connect(bench.request(1, plugin))
    before = bench.leftovers()
    request = bench.request(2, plugin)
    with pytest.raises(PyctlError) as raised:
        bench.connect(request)
    assert str(raised.value).startswith("failed to connect eth0 to network net: plug-in bridge: ")
    assert "no IP addresses available in range set: 10.77.0.2-10.77.0.2" in str(raised.value)
    bench.clean(request)
    assert bench.leftovers() == before


def test_a_container_whose_namespace_is_gone_leaves_nothing(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, {"type": "firewall"}, ports=_WEB)
    bench.connect(request)
    token = bench.token(request)
    bench.forget(request)
    cni.cleanup(token, bench.host)  # type: ignore[arg-type]
    assert bench.leftovers() == []


def test_a_new_namespace_in_the_place_of_a_lost_one_leaves_no_old_rule(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, ports=_WEB)
    first = bench.connect(request).addresses[0].partition("/")[0]
    bench.forget(request)
    request = bench.request(1, bench.bridge(), _PORTMAP, ports=_WEB)
    bench.connect(request)
    assert f"-s {first}/32" not in sh("iptables-save")
    bench.clean(request)
    assert bench.leftovers() == []


def test_rules_of_a_containers_other_networks_stay(bench: Bench) -> None:
    one = bench.request(1, bench.bridge())
    two = one.replace(conflist=one.conflist.replace("br-cni", "br-too").replace('"net"', '"too"').replace("10.77", "10.78"))
    two = two.replace(interface="eth1")
    for request in (one, two):
        bench.connect(request)
    sh("iptables -t nat -D POSTROUTING 1")  # the one of eth0: its plug-in stumbles, and we look for what it left
    bench.clean(one)
    assert "10.77.0." not in sh("iptables-save")
    assert "10.78.0.2/32" in sh("iptables-save")
    bench.clean(two)


def test_after_a_reboot_a_container_is_connected_again(bench: Bench) -> None:
    """The cache and the lease are still on disk; links, rules and the namespace are not."""
    request = bench.request(1, bench.bridge(), _PORTMAP, ports=_WEB)
    first = bench.connect(request)
    bench.forget(request)
    sh("ip link delete br-cni; iptables -t nat -F; iptables -t nat -X")
    request = bench.request(1, bench.bridge(), _PORTMAP, ports=_WEB)
    second = bench.connect(request)
    assert (second.ports, len(bench.leases()), len(bench.cached())) == (first.ports, 1, 1)
    with bench.serve(request):
        assert _reaches(socket.socket(), "10.77.0.1", 8080)


def test_setup_after_a_crash_replaces_what_the_first_one_did(bench: Bench) -> None:
    request = bench.request(1, bench.bridge())
    bench.connect(request)
    attachment = bench.connect(request)
    assert bench.leases() == [attachment.addresses[0].partition("/")[0]]
    assert bench.interfaces(request) == ["lo", "eth0"]


def test_a_half_done_connection_is_undone(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP | {"snat": "neither"}, ports=_WEB)
    with pytest.raises(PyctlError, match="plug-in portmap: "):
        bench.connect(request)
    assert bench.leases() != []
    bench.clean(request)  # portmap refuses its configuration here too, which does not matter
    assert bench.leftovers() == []


def test_detaching_takes_the_interface_out_of_a_living_namespace(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, ports=_WEB)
    bench.connect(request)
    for _ in range(2):
        cni.detach_network(request, bench.token(request), bench.host)  # type: ignore[arg-type]
        assert bench.interfaces(request) == ["lo"]
    bench.clean(request)
    assert bench.leftovers() == []


def test_flushed_rules_are_put_back(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, {"type": "firewall"}, ports=_WEB)
    attachment = bench.connect(request)
    rules = sh("iptables -S; iptables -t nat -S")
    sh("iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X")
    assert bench.repair((request, attachment)) == ("connected c1 to net again",)
    assert sorted(sh("iptables -S; iptables -t nat -S").split()) == sorted(rules.split())
    with bench.serve(request):
        assert _reaches(socket.socket(), "10.77.0.1", 8080)
    assert bench.repair((request, attachment)) == ()
    bench.clean(request)
    assert bench.leftovers() == []


def test_one_plugin_alone_does_its_part_again(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(ipMasq=False), _PORTMAP, ports=_WEB)
    attachment = bench.connect(request)
    sh("iptables -t nat -F; iptables -t nat -X")
    assert bench.repair((request, attachment)) == ("plug-in portmap again for c1 on net",)
    with bench.serve(request):
        assert _reaches(socket.socket(), "10.77.0.1", 8080)
    assert bench.repair((request, attachment)) == ()


def test_a_lost_bridge_comes_back_with_the_same_addresses(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, ports=_WEB)
    attachment = bench.connect(request)
    sh("ip link delete br-cni")
    assert bench.repair((request, attachment)) == ("connected c1 to net again",)
    assert attachment.addresses[0] in bench.inside(request, "ip address show eth0")
    assert attachment.mac_address in bench.inside(request, "ip link show eth0")
    with bench.serve(request):
        assert _reaches(socket.socket(), "10.77.0.1", 8080)


def test_a_lost_cache_is_written_again(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, ports=_WEB, version="0.4.0")
    attachment = bench.connect(request)
    _cni_cache.remove("net", f"suite-{_ID}", "eth0")
    assert bench.repair((request, attachment)) == ("noted for other users of CNI how c1 is connected to net",)
    bench.clean(request)
    assert bench.leftovers() == []


def test_leftovers_of_containers_that_are_no_more_are_taken_away(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, ports=_WEB)
    bench.connect(request)
    assert bench.repair(alive=True) == ()
    assert bench.repair(alive=False) == (f"disconnected {'1' * 12}, which is no more, from net",)
    assert bench.leftovers() == []


def test_what_others_connected_is_left_alone(bench: Bench) -> None:
    request = bench.request(1, bench.bridge())
    bench.connect(request)
    cached = _cni_cache.read("net", f"suite-{_ID}", "eth0")
    assert cached is not None
    _cni_cache.write(cached.replace(netns="/proc/1/ns/net"))
    assert bench.repair(alive=False) == ()
    assert len(bench.cached()) == 1
    _cni_cache.write(cached)


def test_a_removed_network_leaves_no_bridge_no_pool_and_no_rule_that_names_it(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, {"type": "firewall", "ingressPolicy": "same-bridge"}, ports=_WEB)
    bench.connect(request)
    bench.clean(request)
    assert "br-cni" in sh("iptables-save; ip link")
    for _ in range(2):
        cni.remove_network("net", request.conflist, bench.host)  # type: ignore[arg-type]
        assert "br-cni" not in sh("iptables-save; ip link")
        assert not (bench.directory / "pool" / "net").exists()


def test_removing_a_network_disconnects_what_was_forgotten(bench: Bench) -> None:
    request = bench.request(1, bench.bridge(), _PORTMAP, ports=_WEB)
    bench.connect(request)
    bench.forget(request)
    cni.remove_network("net", request.conflist, bench.host)  # type: ignore[arg-type]
    assert bench.leftovers() == []
    assert "br-cni" not in sh("ip link")
