"""The end of a network and the leftovers of containers, seen by plug-ins that write down how they are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest
from tests.unit.network.cni_fakes import CniHost, Fakes

from pyctl_hookspecs import Host, PyctlError
from pyctl_plugins.network import _cni_cache, _cni_rules, cni
from pyctl_plugins.network._cni_cache import Cached

_LIST = json.dumps({"cniVersion": "1.1.0", "name": "net", "plugins": [{"type": "first"}]})
_ID = "a" * 64


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    monkeypatch.setattr(_cni_cache, "DIRECTORY", str(tmp_path / "results"))
    monkeypatch.setattr(_cni_rules, "_COMMANDS", ())  # no iptables on this host
    made = Fakes(tmp_path)
    made.add("first")
    return made


@pytest.fixture
def host(fakes: Fakes, tmp_path: Path) -> CniHost:
    return CniHost(fakes, tmp_path)


def _connected(host: CniHost, owner: str, *, netns: str = "", interface: str = "eth0") -> None:
    _cni_cache.write(
        Cached(
            network="net",
            owner=owner,
            interface=interface,
            config=_LIST,
            netns=netns or f"{host.runtime_dir}/netns/{owner}",
            capabilities={},
            result={"cniVersion": "1.1.0"},
        )
    )


def _owners() -> list[str]:
    return [cached.owner for cached in _cni_cache.everything()]


def test_a_removed_network_is_collected_without_what_another_namespace_has_there(fakes: Fakes, host: CniHost) -> None:
    _connected(host, f"default-{_ID}")
    _connected(host, f"other-{_ID}")
    cni.remove_network("net", _LIST, cast(Host, host))
    assert fakes.order == ["DEL first", "GC first"]
    assert fakes.given("first", "GC")["cni.dev/valid-attachments"] == [{"containerID": f"other-{_ID}", "ifname": "eth0"}]
    assert _owners() == [f"other-{_ID}"]


def test_a_network_is_removed_though_its_plugins_are_no_longer_installed(fakes: Fakes, host: CniHost) -> None:
    (fakes.bin / "first").unlink()
    cni.remove_network("net", _LIST, cast(Host, host))


def test_leftovers_are_those_of_dead_containers_that_we_connected(fakes: Fakes, host: CniHost) -> None:
    dead, alive, theirs = "d" * 64, "e" * 64, "f" * 64
    _connected(host, f"default-{dead}")
    _connected(host, f"default-{alive}")
    _connected(host, f"default-{theirs}", netns="/proc/7/ns/net")
    _connected(host, f"other-{dead}")
    _connected(host, f"default-more-{dead}")
    says = cni.repair_networks((), lambda container_id: container_id == alive, cast(Host, host))
    assert says == (f"disconnected {dead[:12]}, which is no more, from net",)
    assert sorted(_owners()) == sorted([f"default-{alive}", f"default-{theirs}", f"other-{dead}", f"default-more-{dead}"])


def test_cleaning_up_uses_what_was_done_and_not_what_the_list_says_now(fakes: Fakes, host: CniHost) -> None:
    _connected(host, f"default-{_ID}")
    cni.cleanup(f"net/default-{_ID}/eth0", cast(Host, host))
    cni.cleanup(f"net/default-{_ID}/eth0", cast(Host, host))
    assert fakes.order == ["DEL first"]
    assert fakes.given("first", "DEL")["prevResult"] == {"cniVersion": "1.1.0"}
    assert fakes.environment("first", "DEL")["CNI_NETNS"] == ""


def test_what_could_not_be_undone_is_remembered_for_the_next_try(fakes: Fakes, host: CniHost) -> None:
    _connected(host, f"default-{_ID}")
    fakes.refuses("first", "DEL", code=11, msg="try again later")
    with pytest.raises(PyctlError, match="failed to disconnect eth0 from network net: plug-in first: try again later"):
        cni.cleanup(f"net/default-{_ID}/eth0", cast(Host, host))
    fakes.does("first", "DEL", "exit 0")
    cni.cleanup(f"net/default-{_ID}/eth0", cast(Host, host))
    assert _owners() == []
