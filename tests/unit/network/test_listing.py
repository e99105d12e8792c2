"""``network ls`` and ``network inspect`` from files alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.ops import networks
from pyctl.state.hosts import HostsEntry, HostsStore
from pyctl_hookspecs import InvalidArgumentError, NotFoundError


@pytest.fixture
def session(tmp_path: Path) -> Any:
    settings = SimpleNamespace(cni_netconfpath=str(tmp_path / "net.d"), bridge_ip="")
    paths = SimpleNamespace(data_store=str(tmp_path / "data"))
    running = SimpleNamespace(list=lambda: [SimpleNamespace(container_id="a" * 64, status="running")])
    return SimpleNamespace(settings=settings, namespace="default", paths=paths, client=SimpleNamespace(tasks=running))


def _add(session: Any, name: str, **fields: object) -> None:
    directory = Path(session.settings.cni_netconfpath)
    directory.mkdir(exist_ok=True)
    plugins = [{"type": "bridge", "isGateway": True, "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}]
    (directory / f"nerdctl-{name}.conflist").write_text(json.dumps({"name": name, "plugins": plugins, **fields}))


def _connect(session: Any, container_id: str, network: str) -> None:
    result = {
        "interfaces": [{"name": "br", "mac": "b"}, {"name": "eth0", "mac": "02:42:0a:09:00:02", "sandbox": "/x"}],
        "ips": [{"address": "10.9.0.2/24"}],
    }
    HostsStore(session.paths.data_store, "default").acquire(
        HostsEntry(container_id=container_id, container_name="web", hostname="web", networks=((network, json.dumps(result)),))
    )


def test_the_three_predefined_networks_are_listed_before_anybody_made_one(session: Any) -> None:
    assert [(row.name, row.driver) for row in networks.ls(session)] == [("bridge", "bridge"), ("host", "host"), ("none", "null")]
    assert not Path(session.settings.cni_netconfpath).exists()


def test_filters_of_one_key_are_alternatives_and_of_two_conditions(session: Any) -> None:
    _add(session, "front", nerdctlLabels={"tier": "web"})
    _add(session, "back", nerdctlLabels={"tier": "db"})

    def named(*filters: tuple[str, str]) -> list[str]:
        return [row.name for row in networks.ls(session, filters)]

    assert named(("name", "fro"), ("name", "bac")) == ["back", "front"]
    assert named(("label", "tier=db")) == ["back"]
    assert named(("label", "tier"), ("name", "front")) == ["front"]
    assert named(("type", "builtin")) == ["bridge", "host", "none"]
    assert named(("driver", "null")) == ["none"]


def test_dangling_networks_have_no_container(session: Any) -> None:
    _add(session, "front")
    _add(session, "back")
    _connect(session, "a" * 64, "front")
    assert [row.name for row in networks.ls(session, [("dangling", "true")])] == ["back"]


@pytest.mark.parametrize("pair", [("colour", "red"), ("type", "mine")])
def test_an_unknown_filter_is_refused(session: Any, pair: tuple[str, str]) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid filter"):
        networks.ls(session, [pair])


def test_inspect_has_dockers_shape(session: Any) -> None:
    _add(session, "front", nerdctlID="f" * 64, nerdctlLabels={"tier": "web"})
    _connect(session, "a" * 64, "front")
    shown = networks.inspect(session, "f" * 12)
    assert (shown["Name"], shown["Id"], shown["Driver"], shown["Scope"]) == ("front", "f" * 64, "bridge", "local")
    assert shown["IPAM"]["Config"] == [{"Subnet": "10.9.0.0/24"}]
    assert shown["Labels"] == {"tier": "web"}
    assert shown["Containers"]["a" * 64]["IPv4Address"] == "10.9.0.2/24"
    assert shown["Containers"]["a" * 64]["MacAddress"] == "02:42:0a:09:00:02"
    assert shown["Created"].endswith("Z")


def test_a_container_that_runs_no_more_is_not_connected(session: Any) -> None:
    _add(session, "front")
    _connect(session, "b" * 64, "front")  # the machine went down, and its entry stayed
    assert networks.inspect(session, "front")["Containers"] == {}
    assert [row.name for row in networks.ls(session, [("dangling", "true")])] == ["front"]


def test_inspect_shows_reserved_addresses_and_options_and_hides_our_labels(session: Any) -> None:
    labels = {"nerdctl/network-aux-addresses": '{"10.9.0.0/24":{"router":"10.9.0.5"}}', "pyctl/driver": "acme", "mine": "x"}
    ranges = [
        {"subnet": "10.9.0.0/24", "rangeStart": "10.9.0.1", "rangeEnd": "10.9.0.4", "gateway": "10.9.0.1"},
        {"subnet": "10.9.0.0/24", "rangeStart": "10.9.0.6", "rangeEnd": "10.9.0.254", "gateway": "10.9.0.1"},
    ]
    bridge = {
        "type": "bridge",
        "bridge": "br-x",
        "isGateway": True,
        "mtu": 1400,
        "ipam": {"type": "host-local", "ranges": [ranges]},
    }
    firewall = {"type": "firewall", "ingressPolicy": "isolated"}
    _add(session, "front", nerdctlLabels=labels, plugins=[bridge, firewall])
    shown = networks.inspect(session, "front")
    assert shown["IPAM"]["Config"] == [
        {"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1", "AuxiliaryAddresses": {"router": "10.9.0.5"}}
    ]
    assert (shown["Labels"], shown["Driver"]) == ({"mine": "x"}, "acme")
    assert shown["Options"] == {
        "com.docker.network.bridge.name": "br-x",
        "com.docker.network.bridge.enable_ip_masquerade": "false",
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.driver.mtu": "1400",
    }


def test_a_broken_file_is_not_listed_but_told(session: Any) -> None:
    _add(session, "front")
    (Path(session.settings.cni_netconfpath) / "nerdctl-bad.conflist").write_text("{")
    assert "front" in networks.names(session)
    assert "bad" not in [row.name for row in networks.ls(session)]
    (problem,) = networks.problems(session)
    assert "nerdctl-bad.conflist is not a CNI network configuration" in problem
    with pytest.raises(InvalidArgumentError, match=r"nerdctl-bad\.conflist"):
        networks.inspect(session, "bad")


def test_inspect_of_pseudo_networks_and_of_nothing(session: Any) -> None:
    assert networks.inspect(session, "none")["Driver"] == "null"
    with pytest.raises(NotFoundError, match="network nowhere not found"):
        networks.inspect(session, "nowhere")


def test_the_native_mode_shows_the_configuration(session: Any) -> None:
    _add(session, "front")
    native = networks.inspect_native(session, "front")
    assert native["CNI"]["plugins"][0]["type"] == "bridge"
    assert native["File"].endswith("nerdctl-front.conflist")
    assert native["Containers"] == []


def test_the_native_mode_has_whole_containers_in_a_list(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared with nerdctl, whose programs read a list there and not Docker's object."""
    _add(session, "front")
    _connect(session, "a" * 64, "front")
    session.client.containers = SimpleNamespace(list=lambda filters: [SimpleNamespace(asked=list(filters))])
    monkeypatch.setattr("pyctl.ops.inspect_native.native_container", lambda _, container: {"asked": container.asked})
    assert networks.inspect_native(session, "front")["Containers"] == [{"asked": [f"id=={'a' * 64}"]}]
