"""What network drivers intend, and what they refuse before anything happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyctl.state.networks import default_config
from pyctl_hookspecs import (
    ConflictError,
    InvalidArgumentError,
    NetworkRequest,
    NotFoundError,
    PortMapping,
    PyctlError,
    UnsupportedError,
)
from pyctl_plugins.network import _records, _wiring, bridge, container, host, none, ns

REQUEST = NetworkRequest(
    container_id="a" * 64,
    container_name="web",
    namespace="default",
    network="bridge",
    interface="eth0",
    netns_path="/run/pyctl/netns/x",
    conflist=json.dumps(default_config("10.4.0.1/24")),
)


class Tasks:
    """A host that knows one running container."""

    def __init__(self, kind: str = "") -> None:
        self._kind = kind

    def task_pid(self, container_id: str) -> int:
        if self._kind:
            raise NotFoundError(self._kind, container_id)
        return 42


def test_the_token_names_network_container_and_interface() -> None:
    intent = bridge.plan_network(REQUEST)
    assert intent.undo_token == f"bridge/default-{'a' * 64}/eth0"
    assert intent.namespace == "pinned"
    assert intent.late == ("address",)


def test_the_token_carries_a_directory_that_is_not_the_usual_one() -> None:
    config = default_config("10.4.0.1/24")
    config["plugins"][0]["ipam"]["dataDir"] = "/srv/100%/leases"
    intent = bridge.plan_network(REQUEST.replace(conflist=json.dumps(config)))
    assert intent.undo_token.endswith("/eth0/%2Fsrv%2F100%25%2Fleases")


def test_what_only_doing_tells_is_named() -> None:
    intent = bridge.plan_network(REQUEST.replace(ip="10.4.0.9", ports=(PortMapping(container_port=80),)))
    assert intent.late == ("host ports",)
    assert "publish 1 port" in intent.says


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ip": "10.5.0.1"}, "no configured subnet or ip-range contain the IP address 10.5.0.1"),
        ({"ip": "house"}, "invalid IPv4 address: house"),
        ({"ip6": "fd00::1"}, "no configured subnet"),
        ({"mac_address": "01:00:00:00:00:01"}, "01:00:00:00:00:01 is not a valid mac address"),
        ({"mac_address": "x"}, "x is not a valid mac address"),
        ({"conflist": "{}"}, "malformed network configuration"),
    ],
)
def test_the_bridge_refuses_what_it_cannot_serve(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        bridge.plan_network(REQUEST.replace(**changes))


def test_the_bridge_refuses_other_chains_and_families() -> None:
    config = default_config("10.4.0.1/24")
    config["plugins"].append({"type": "bandwidth"})
    with pytest.raises(UnsupportedError, match="bandwidth"):
        bridge.plan_network(REQUEST.replace(conflist=json.dumps(config)))
    with pytest.raises(UnsupportedError, match="no IPv6 addresses"):
        bridge.plan_network(REQUEST.replace(ports=(PortMapping(container_port=80, host_ip="::1"),)))


def test_pseudo_networks_say_which_namespace_they_need() -> None:
    assert none.plan_network(REQUEST).namespace == "new"
    assert host.plan_network(REQUEST).namespace == "host"
    shared = container.plan_network(REQUEST.replace(network="container:" + "b" * 64), Tasks())  # type: ignore[arg-type]
    assert (shared.namespace, shared.join_path) == ("path", "/proc/42/ns/net")


def test_joining_a_stopped_container_is_refused_in_dockers_words() -> None:
    request = REQUEST.replace(network="container:" + "b" * 64)
    with pytest.raises(ConflictError, match="cannot join network of a non running container"):
        container.plan_network(request, Tasks("task"))  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="No such container"):
        container.plan_network(request, Tasks("container"))  # type: ignore[arg-type]


def test_joining_and_publishing_exclude_each_other() -> None:
    request = REQUEST.replace(network="container:" + "b" * 64, ports=(PortMapping(container_port=80),))
    with pytest.raises(InvalidArgumentError, match="port publishing and the container type network mode"):
        container.plan_network(request, Tasks())  # type: ignore[arg-type]


def test_interface_names_fit_and_differ() -> None:
    names = {_wiring.veth_name("a" * 64, interface) for interface in ("eth0", "eth1", "eth10", "wan0", "eth100")}
    assert len(names) == 5
    assert all(len(name) <= 15 for name in names)


def test_records_are_read_back_and_forgotten(tmp_path: Any) -> None:
    token = "net/default-abc/eth0/%2Fsrv"
    _records.write(str(tmp_path), token, ["ports4 00 01"])
    assert _records.exists(str(tmp_path), token)
    (torn,) = (path.with_name(path.name + ".tmp") for path in tmp_path.iterdir())
    torn.write_text("net/def")  # somebody was killed while writing
    assert list(_records.read_all(str(tmp_path))) == [(token, ["ports4 00 01"])]
    for _ in range(2):
        _records.remove(str(tmp_path), token)
    assert list(tmp_path.iterdir()) == []


def test_nothing_on_the_way_to_run_imports_anything_heavy() -> None:
    code = (
        "import sys; from pyctl_plugins.network import bridge, _conflist, _conntrack, _leases, _nft, _ports, _records, _wiring;"
        "print(*({'socket', 'ipaddress', 'subprocess', 'json', 'pyroute2', 'dataclasses', 'pathlib'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == []


def test_a_path_that_is_no_network_namespace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, words in (
        ("/proc/self/ns/pid", "is no network namespace"),
        (str(tmp_path / "file"), "is no network namespace"),
        ("relative", "must be absolute"),
        (str(tmp_path / "nothing"), "No such network namespace"),
    ):
        with pytest.raises(PyctlError, match=words):
            ns.plan_network(REQUEST.replace(network=f"ns:{path}", conflist=""))


def test_a_network_namespace_is_joined_by_its_path() -> None:
    intent = ns.plan_network(REQUEST.replace(network="ns:/proc/self/ns/net", conflist=""))
    assert (intent.namespace, intent.join_path, intent.undo_token) == ("path", "/proc/self/ns/net", "")
