"""resolv.conf of a new container, as flags, configuration, host and networks want it."""

from __future__ import annotations

import json

import pytest

from pyctl.ops import naming
from pyctl.ops.networking import PlannedNetwork
from pyctl.ops.session import Session
from pyctl.ops.settings import Settings
from pyctl.spec.options import ContainerOptions
from pyctl.state import resolv
from pyctl_hookspecs.setup_network import NetworkIntent, NetworkRequest

HOST = resolv.Resolver(nameservers=("192.0.2.53", "fd00::53", "127.0.0.53"), searches=("corp.example",))


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolv, "read_host", lambda: HOST)


def session(**settings: object) -> Session:
    usual = {"mode": "rootful", "address": "/x", "data_root": "/x", "runtime_dir": "/x", "cni_netconfpath": "/x"}
    return Session(Settings(**{**usual, "cgroup_manager": "cgroupfs", **settings}))  # type: ignore[arg-type]


def network(*subnets: str) -> tuple[PlannedNetwork, ...]:
    ipam = {"type": "host-local", "ranges": [[{"subnet": subnet}] for subnet in subnets]}
    conflist = json.dumps({"name": "front", "plugins": [{"type": "bridge", "isGateway": True, "ipam": ipam}]})
    request = NetworkRequest(
        container_id="c",
        container_name="c",
        namespace="ns",
        network="front",
        interface="eth0",
        netns_path="/x",
        conflist=conflist,
    )
    return (PlannedNetwork(driver="bridge", name="front", request=request, intent=NetworkIntent(says="", undo_token="")),)


def options(**flags: object) -> ContainerOptions:
    return ContainerOptions(image="busybox", **flags)  # type: ignore[arg-type]


def servers(conf: resolv.ResolvConf) -> tuple[str, ...]:
    return resolv.parse(conf.text).nameservers


def test_ipv6_servers_are_kept_where_a_network_has_ipv6() -> None:
    assert servers(naming.resolv_conf(session(), options(), network("10.4.1.0/24"), "")) == ("192.0.2.53",)
    both = naming.resolv_conf(session(), options(), network("10.4.1.0/24", "fd01::/64"), "")
    assert servers(both) == ("192.0.2.53", "fd00::53")
    assert servers(naming.resolv_conf(session(), options(), (), "host")) == HOST.nameservers


def test_flags_go_before_the_configuration_file_and_that_before_the_host() -> None:
    configured = session(dns=("192.0.2.1",), dns_search=("toml.example",), dns_opts=("rotate",))
    conf = naming.resolv_conf(configured, options(dns_search=("flag.example",)), network("10.4.1.0/24"), "")
    assert conf.text == "search flag.example\nnameserver 192.0.2.1\noptions rotate\n"


def test_no_server_left_is_said_once_and_not_where_nothing_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolv, "read_host", lambda: resolv.Resolver(nameservers=("127.0.0.53",)))
    told = session()
    assert servers(naming.resolv_conf(told, options(), network("10.4.1.0/24"), "")) == ()
    assert [notice.startswith("WARNING: the host's name servers (127.0.0.53)") for notice in told.notices] == [True]
    quiet = session()
    naming.resolv_conf(quiet, options(), (), "none")
    assert quiet.notices == []


def test_only_a_resolver_may_stand_before_and_not_before_the_containers_own_loopback() -> None:
    wanting = session(network_dns="resolver")
    front = network("10.4.1.0/24")
    assert resolv.upstreams(naming.resolv_conf(session(), options(), front, "").text) is None
    assert resolv.upstreams(naming.resolv_conf(wanting, options(), front, "").text) == ()
    assert resolv.upstreams(naming.resolv_conf(wanting, options(dns=("192.0.2.7",)), front, "").text) == ("192.0.2.7",)
    assert resolv.upstreams(naming.resolv_conf(wanting, options(dns=("127.0.0.11",)), front, "").text) is None
    assert resolv.upstreams(naming.resolv_conf(wanting, options(), (), "host").text) is None


def test_gateways_are_those_with_an_interface_on_the_host_ipv4_first() -> None:
    ips = [{"address": "fd01::2/64", "gateway": "fd01::1"}, {"address": "10.4.1.2/24", "gateway": "10.4.1.1"}]
    inside = {"name": "eth0", "sandbox": "/run/netns/x"}
    assert naming._gateways({"ips": ips, "interfaces": [{"name": "br-1"}, inside]}) == ["10.4.1.1", "fd01::1"]
    assert naming._gateways({"ips": ips, "interfaces": [inside]}) == []  # macvlan: a router's address
