"""Networks on disk."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from pyctl.state import networks
from pyctl.state.conflists import Subnet, check_present, hold, lock_for_change, read_all
from pyctl_hookspecs import ConflictError, InvalidArgumentError, NotFoundError, UnsupportedError


def _write(path: Path, **config: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cniVersion": "1.0.0", **config}))


def test_the_default_network_is_made_on_first_use_as_nerdctl_makes_it(tmp_path: Path) -> None:
    made = networks.resolve(str(tmp_path), "default", "bridge")
    config = json.loads((tmp_path / "nerdctl-bridge.conflist").read_text())
    assert config["nerdctlID"] == "17f29b073143d8cd97b5bbe492bdeffec1c5fee55cc1fe2112c8b9335f8b6121"
    assert config["nerdctlLabels"] == {"nerdctl/default-network": "true"}
    assert [plugin["type"] for plugin in config["plugins"]] == ["bridge", "portmap", "firewall", "tuning"]
    assert config["plugins"][0]["bridge"] == "nerdctl0"
    assert made.subnets == (Subnet(subnet="10.4.0.0/24", gateway="10.4.0.1"),)
    assert os.stat(tmp_path / "nerdctl-bridge.conflist").st_mode & 0o777 == 0o644


def test_the_bridge_ip_gives_gateway_and_subnet(tmp_path: Path) -> None:
    made = networks.ensure_default(str(tmp_path), "default", bridge_ip="192.168.7.9/20")
    assert made.subnets == (Subnet(subnet="192.168.0.0/20", gateway="192.168.7.9"),)


@pytest.mark.parametrize("bridge_ip", ["192.168.7.9", "house", "10.0.0.1/99"])
def test_a_malformed_bridge_ip_is_named(tmp_path: Path, bridge_ip: str) -> None:
    with pytest.raises(InvalidArgumentError, match=bridge_ip):
        networks.ensure_default(str(tmp_path), "default", bridge_ip=bridge_ip)
    assert not (tmp_path / "nerdctl-bridge.conflist").exists()


def test_an_administrators_default_counts(tmp_path: Path) -> None:
    _write(tmp_path / "10-mine.conflist", name="mine", nerdctlLabels={"nerdctl/default-network": "true"}, plugins=[])
    assert networks.ensure_default(str(tmp_path), "default").name == "mine"
    assert not (tmp_path / "nerdctl-bridge.conflist").exists()


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert read_all(str(tmp_path / "missing"), "default") == ()
    assert not (tmp_path / "missing").exists()


def test_networks_of_another_namespace_are_not_seen(tmp_path: Path) -> None:
    _write(tmp_path / "one" / "nerdctl-a.conflist", name="a", plugins=[])
    _write(tmp_path / "two" / "nerdctl-b.conflist", name="b", plugins=[])
    assert [network.name for network in read_all(str(tmp_path), "one")] == ["a"]


def test_a_network_is_found_by_name_id_and_prefix(tmp_path: Path) -> None:
    full = networks.network_id("front")
    _write(tmp_path / "nerdctl-front.conflist", name="front", nerdctlID=full, plugins=[])
    for reference in ("front", full, full[:12], full[:3]):
        assert networks.find(str(tmp_path), "default", reference).name == "front"
    with pytest.raises(NotFoundError, match="network zz not found"):
        networks.find(str(tmp_path), "default", "zz")


def test_a_prefix_that_fits_two_networks_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "a.conflist", name="a", nerdctlID="ab" * 32, plugins=[])
    _write(tmp_path / "b.conflist", name="b", nerdctlID="ac" * 32, plugins=[])
    assert networks.find(str(tmp_path), "default", "a").name == "a"  # a name comes before an ID
    (tmp_path / "a.conflist").rename(tmp_path / "c.conflist")
    _write(tmp_path / "c.conflist", name="c", nerdctlID="ab" * 32, plugins=[])
    with pytest.raises(ConflictError, match="network a is ambiguous"):
        networks.find(str(tmp_path), "default", "a")


def test_host_and_none_are_answered_without_a_file(tmp_path: Path) -> None:
    assert networks.find(str(tmp_path), "default", "host").kind == "host"
    assert networks.find(str(tmp_path), "default", "none").kind == "null"


def test_a_single_conf_is_a_list_of_one(tmp_path: Path) -> None:
    _write(tmp_path / "10-foreign.conf", name="foreign", type="macvlan")
    (found,) = read_all(str(tmp_path), "default")
    assert (found.name, found.kind, found.driver, found.network_id) == ("foreign", "macvlan", "cni", "")


def test_a_chain_we_do_not_know_is_left_to_the_real_binaries(tmp_path: Path) -> None:
    _write(tmp_path / "10-foreign.conflist", name="foreign", plugins=[{"type": "macvlan"}])
    assert networks.resolve(str(tmp_path), "default", "foreign").driver == "cni"


def test_the_engine_cni_carries_out_the_well_known_chain_too(tmp_path: Path) -> None:
    assert networks.resolve(str(tmp_path), "default", "bridge").driver == "bridge"
    assert networks.resolve(str(tmp_path), "default", "bridge", engine="cni").driver == "cni"


def test_a_folder_of_the_networks_name_adds_plugins(tmp_path: Path) -> None:
    _write(tmp_path / "10-foreign.conflist", name="foreign", plugins=[{"type": "macvlan"}])
    _write(tmp_path / "20-alone.conflist", name="alone", loadOnlyInlinedPlugins=True, plugins=[{"type": "macvlan"}])
    for folder in ("foreign", "alone"):
        (tmp_path / folder).mkdir()
        _write(tmp_path / folder / "50-more.conf", type="tuning")
    kinds = {n.name: [p["type"] for p in json.loads(n.conflist)["plugins"]] for n in read_all(str(tmp_path), "default")}
    assert kinds == {"foreign": ["macvlan", "tuning"], "alone": ["macvlan"]}


@pytest.mark.parametrize("name", ["broken", "nerdctl-broken", "10-broken"])
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.conflist").write_text("{")
    with pytest.raises(InvalidArgumentError, match=r"broken\.conflist is not a CNI network configuration"):
        networks.find(str(tmp_path), "default", "broken")


def test_a_broken_file_stops_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "00-broken.conflist").write_text('{"name": "half", "plugins": [{}]}')
    (tmp_path / "01-binary.conflist").write_bytes(b"\xff\xfe")
    assert networks.resolve(str(tmp_path), "default", "bridge").driver == "bridge"
    with pytest.raises(InvalidArgumentError, match="00-broken"):
        networks.find(str(tmp_path), "default", "half")


def test_a_broken_default_network_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "nerdctl-bridge.conflist").write_text("{")
    with pytest.raises(InvalidArgumentError, match=r"nerdctl-bridge\.conflist"):
        networks.resolve(str(tmp_path), "default", "bridge")
    assert (tmp_path / "nerdctl-bridge.conflist").read_text() == "{"


def test_an_unknown_version_is_named_when_it_is_used(tmp_path: Path) -> None:
    _write(tmp_path / "a.conflist", name="future", cniVersion="9.0.0", plugins=[{"type": "macvlan"}])
    assert networks.find(str(tmp_path), "default", "future").kind == "macvlan"
    with pytest.raises(UnsupportedError, match=r"network future is of CNI version 9\.0\.0"):
        networks.resolve(str(tmp_path), "default", "future")


def test_a_label_names_the_driver(tmp_path: Path) -> None:
    _write(tmp_path / "a.conflist", name="a", nerdctlLabels={"pyctl/driver": "acme"}, plugins=[{"type": "macvlan"}])
    found = networks.resolve(str(tmp_path), "default", "a")
    assert (found.driver, found.kind) == ("acme", "acme")


def test_unfinished_writes_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".tmp-nerdctl-bridge.conflist1234.conflist").write_text("{")
    assert read_all(str(tmp_path), "default") == ()


def test_who_reads_does_not_wait_for_who_creates(tmp_path: Path) -> None:
    networks.ensure_default(str(tmp_path), "default")
    with lock_for_change(str(tmp_path)):
        assert networks.resolve(str(tmp_path), "default", "bridge").name == "bridge"


def test_a_network_is_looked_at_again_once_its_removal_is_decided(tmp_path: Path) -> None:
    path = tmp_path / "nerdctl-front.conflist"
    _write(path, name="front", plugins=[])
    check_present(str(path), "front")
    answers: list[str] = []

    def look() -> None:
        try:
            check_present(str(path), "front")
            answers.append("there")
        except NotFoundError as error:
            answers.append(str(error))

    with hold(str(path)):
        waiting = threading.Thread(target=look)
        waiting.start()
        path.unlink()
    waiting.join()
    look()
    assert answers == ["network front not found"] * 2
    _write(path, name="front", plugins=[])
    look()
    assert answers[2] == "there"
