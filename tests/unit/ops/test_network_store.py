"""Networks created and removed, without a kernel: the file key by key, and who is in the way."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.ops.reading import World

from pyctl.lifecycle.journal import Journal
from pyctl.lifecycle.steps import Step
from pyctl.ops import network_plans, networks
from pyctl.ops.network_create import NetworkWish, create
from pyctl.ops.network_remove import prune, remove
from pyctl.ops.reconciling import pending
from pyctl.state import routes
from pyctl.state.subnets import SubnetWish
from pyctl_hookspecs import ConflictError, InvalidArgumentError, NotFoundError


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """No interface, no route, and nothing is tried: the integration tests do that."""
    monkeypatch.setattr(routes, "addresses", list)
    monkeypatch.setattr(routes, "destinations", list)
    monkeypatch.setattr(network_plans, "probe", lambda session, network: None)
    monkeypatch.setattr(network_plans, "dissolve", lambda session, network: os.unlink(network.path))
    return World(tmp_path)


def make(world: World, name: str, subnets: SubnetWish | None = None, **fields: Any) -> str:
    return create(world.session, NetworkWish(name=name, subnets=subnets or SubnetWish(), **fields))


def path_of(world: World, name: str) -> Path:
    return Path(world.session.settings.cni_netconfpath) / "ns" / f"nerdctl-{name}.conflist"


def stored(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path_of(world, name).read_text())
    return found


def test_whether_a_network_is_attachable_is_remembered_as_docker_does(world: World) -> None:
    make(world, "front", is_attachable=True, labels=(("tier", "web"),))
    make(world, "back")
    assert [networks.inspect(world.session, name)["Attachable"] for name in ("front", "back")] == [True, False]
    assert networks.inspect(world.session, "front")["Labels"] == {"tier": "web"}


def test_the_file_is_nerdctls(world: World) -> None:
    wish = SubnetWish(subnets=("10.9.0.0/24",), aux_addresses=("nas=10.9.0.5",))
    network_id = make(world, "front", wish, labels=(("tier", "web"),), options=(("com.docker.network.bridge.name", "brx0"),))
    gateway = {"gateway": "10.9.0.1"}
    assert stored(world, "front") == {
        "cniVersion": "1.0.0",
        "name": "front",
        "nerdctlID": network_id,
        "nerdctlLabels": {"tier": "web", "nerdctl/network-aux-addresses": '{"10.9.0.0/24":{"nas":"10.9.0.5"}}'},
        "plugins": [
            {
                "type": "bridge",
                "bridge": "brx0",
                "isGateway": True,
                "ipMasq": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "ranges": [
                        [
                            {"subnet": "10.9.0.0/24", "rangeStart": "10.9.0.1", "rangeEnd": "10.9.0.4", **gateway},
                            {"subnet": "10.9.0.0/24", "rangeStart": "10.9.0.6", "rangeEnd": "10.9.0.254", **gateway},
                        ]
                    ],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
            {"type": "firewall", "ingressPolicy": "same-bridge"},
            {"type": "tuning"},
        ],
    }
    assert path_of(world, "front").read_text().startswith('{\n  "cniVersion": "1.0.0",\n')
    assert path_of(world, "front").stat().st_mode & 0o777 == 0o644


def test_subnets_of_every_namespace_and_of_the_unmade_default_count(world: World) -> None:
    other = Path(world.session.settings.cni_netconfpath) / "other"
    other.mkdir()
    ipam = {"type": "host-local", "ranges": [[{"subnet": "10.4.1.0/24"}]]}
    (other / "x.conflist").write_text(json.dumps({"name": "x", "plugins": [{"type": "macvlan", "ipam": ipam}]}))
    make(world, "front")
    make(world, "back")
    assert [stored(world, n)["plugins"][0]["ipam"]["ranges"][0][0]["subnet"] for n in ("front", "back")] == [
        "10.4.2.0/24",
        "10.4.3.0/24",
    ]
    with pytest.raises(ConflictError) as caught:
        make(world, "third", SubnetWish(subnets=("10.4.0.0/24",)))
    assert "network bridge" in caught.value.hint


def test_a_name_and_a_bridge_are_given_once(world: World) -> None:
    make(world, "front", options=(("com.docker.network.bridge.name", "brx0"),))
    with pytest.raises(ConflictError, match="network with name front already exists"):
        make(world, "front")
    with pytest.raises(ConflictError, match="networks have same bridge name"):
        make(world, "back", options=(("com.docker.network.bridge.name", "brx0"),))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bridge", "operation is not permitted on predefined bridge network"),
        ("default", "operation is not permitted on predefined default network"),
        ("container", "the name is reserved"),
        ("a/b", "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ("-a", "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ("", "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ("ü", "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ("x" * 201, "at most 200 characters"),
    ],
)
def test_names_that_cannot_be(world: World, name: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        make(world, name)
    assert message in str(caught.value)


def test_labels_of_ours_are_not_for_users(world: World) -> None:
    for key in ("nerdctl/default-network", "pyctl/driver"):
        with pytest.raises(InvalidArgumentError, match="must not be specified manually"):
            make(world, "front", labels=((key, "true"),))


def test_drivers_without_networks_to_create(world: World) -> None:
    with pytest.raises(InvalidArgumentError, match='only one instance of "host" network is allowed'):
        make(world, "front", driver="host")
    with pytest.raises(InvalidArgumentError, match="network driver container has no networks to create"):
        make(world, "front", driver="container")
    with pytest.raises(NotFoundError, match="no network plug-in named acme"):
        make(world, "front", driver="acme")


@pytest.mark.parametrize(("hooks", "driver"), [({"compose_network", "setup_network"}, "acme"), ({"compose_network"}, "cni")])
def test_a_driver_that_connects_is_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch, hooks: set[str], driver: str
) -> None:
    from pyctl.state.networks import find

    ours = world.session.hooks
    monkeypatch.setattr(type(ours), "has_hook", lambda self, kind, name, hook: hook in hooks)
    monkeypatch.setattr(type(ours), "compose_network", lambda self, name, definition, host: '[{"type": "acme-cni"}]')
    make(world, "front", driver="acme")
    found = find(world.session.settings.cni_netconfpath, "ns", "front")
    assert (found.driver, found.kind) == (driver, "acme" if driver == "acme" else "acme-cni")


@pytest.mark.parametrize("text", ["", "[]", "{", '["bridge"]', '[{"name": "x"}]'])
def test_a_driver_that_composes_nonsense_is_named(world: World, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(type(world.session.hooks), "compose_network", lambda self, name, definition, host: text)
    with pytest.raises(Exception, match="network driver bridge composed no chain"):
        make(world, "front")
    assert not path_of(world, "front").exists()


@pytest.fixture
def spaces(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Containerd's namespaces; the containers of the world are in ``ns`` whoever asks."""
    found = ["ns"]
    world.session.client.namespaces = SimpleNamespace(list=lambda: tuple(found))
    yield found


@pytest.mark.parametrize("status", ["running", "paused", "stopped"])
@pytest.mark.parametrize("by", ["name", "id"])
def test_who_runs_is_in_the_way(world: World, spaces: list[str], status: str, by: str) -> None:
    network_id = make(world, "front")
    container = world.add("web", networks=("front" if by == "name" else network_id[:12],))
    world.run(container, status)
    if status == "stopped":
        remove(world.session, "front")
        assert not path_of(world, "front").exists()
        return
    with pytest.raises(ConflictError) as caught:
        remove(world.session, network_id[:5])
    assert str(caught.value) == f"error while removing network: network front id {network_id} has active endpoints"
    assert prune(world.session, ()) == ((), ())
    assert path_of(world, "front").exists()


def test_a_network_that_every_namespace_sees_is_kept_for_all_of_them(
    world: World, spaces: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pyctl.containerd import client

    make(world, "front")
    shared = path_of(world, "front").rename(tmp_path / "net.d" / "nerdctl-front.conflist")
    spaces.append("other")
    (tmp_path / "other").mkdir()
    elsewhere = World(tmp_path / "other")
    elsewhere.run(elsewhere.add("web", networks=("front",)))
    monkeypatch.setattr(client, "Client", lambda address, namespace: elsewhere.session.client)
    with pytest.raises(ConflictError, match="has active endpoints"):
        remove(world.session, "front")
    assert shared.exists()


def test_who_is_just_starting_is_in_the_way(world: World, spaces: list[str]) -> None:
    make(world, "front")
    with pending(world.session, "a" * 64):
        state = world.session.paths.state_dir("a" * 64)
        os.makedirs(state)
        journal = Journal(f"{state}/pyctl-start.journal")
        token = f"front/ns-{'a' * 64}/eth0"
        journal.begin([Step(name="network-0", says="", provider="network/bridge", undo_token=token, do=lambda _: None)])
        with pytest.raises(ConflictError, match="has active endpoints"):
            remove(world.session, "front")
        journal.discard()
        remove(world.session, "front")


@pytest.mark.parametrize("name", ["bridge", "host", "none"])
def test_predefined_networks_stay(world: World, name: str) -> None:
    with pytest.raises(ConflictError, match=f"{name} is a pre-defined network and cannot be removed"):
        remove(world.session, name)


def test_what_is_not_ours_or_not_there_stays(world: World, spaces: list[str]) -> None:
    foreign = Path(world.session.settings.cni_netconfpath) / "10-theirs.conflist"
    foreign.write_text(json.dumps({"name": "theirs", "plugins": [{"type": "macvlan"}]}))
    with pytest.raises(ConflictError, match="made by neither pyctl nor nerdctl"):
        remove(world.session, "theirs")
    with pytest.raises(NotFoundError, match="network nowhere not found"):
        remove(world.session, "nowhere")
    remove(world.session, "nowhere", force=True)
    assert prune(world.session, ()) == ((), ())
    assert foreign.exists()


def test_prune_by_label_and_age(world: World, spaces: list[str]) -> None:
    for name, labels in (("a", (("x", "1"),)), ("b", (("x", "2"),)), ("c", ())):
        make(world, name * 2, labels=labels)
    os.utime(path_of(world, "cc"), (1000, 1000))
    assert prune(world.session, (("label", "x"), ("label!", "x=1")))[0] == ("bb",)
    assert prune(world.session, (), before_s=2000)[0] == ("cc",)
    assert prune(world.session, ())[0] == ("aa",)
    with pytest.raises(InvalidArgumentError, match="invalid filter 'colour'"):
        prune(world.session, (("colour", "red"),))
