"""CNI's lists, results and libcni's cache, read and written."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from pyctl_hookspecs import InvalidArgumentError, UnsupportedError
from pyctl_plugins.network import _cni_cache, _cni_config, _cni_result
from pyctl_plugins.network._cni_cache import Cached


def _read(**config: Any) -> _cni_config.Chain:
    return _cni_config.read(json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}], **config}))


@pytest.mark.parametrize("version", ["2.0.0", "1.0.1", "one"])
def test_a_list_of_an_unknown_version_is_refused(version: str) -> None:
    with pytest.raises(
        UnsupportedError, match=rf"network net is written for version {version} of CNI; versions 0\.1\.0 to 1\.1\.0"
    ):
        _read(cniVersion=version)


def test_of_several_versions_the_best_known_comes_first() -> None:
    assert _read(cniVersion="0.3.1", cniVersions=["0.4.0", "1.1.0", "7.0.0"]).versions == ("1.1.0", "0.4.0", "0.3.1")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", 5])
def test_a_name_that_is_no_file_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid name"):
        _read(name=name)


@pytest.mark.parametrize("plugins", [[{}], [{"type": "../bridge"}], [{"type": ""}], ["bridge"]])
def test_a_plugin_without_a_proper_type_is_refused(plugins: object) -> None:
    with pytest.raises(InvalidArgumentError, match="network net: invalid plug-in type"):
        _read(plugins=plugins)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="network net has no plug-ins"):
        _read(plugins=[])


def test_a_flag_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="invalid value 'maybe' for disableCheck"):
        _read(disableCheck="maybe")


def test_results_of_every_version_become_one_of_1_0() -> None:
    expected = {
        "cniVersion": "1.0.0",
        "interfaces": [],
        "ips": [{"address": "10.1.0.5/16", "gateway": "10.1.0.1"}],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dns": {},
    }
    old = {"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.5/16", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0"}]}}
    ip = {"address": "10.1.0.5/16", "gateway": "10.1.0.1"}
    middle = {"cniVersion": "0.4.0", "ips": [{"version": "4", **ip}], "routes": [{"dst": "0.0.0.0/0"}], "dns": {}}
    new = {"cniVersion": "1.1.0", "ips": [ip], "routes": [{"dst": "0.0.0.0/0", "priority": 5}]}
    assert [_cni_result.as_1_0(one) for one in (old, middle, new)] == [expected] * 3


def test_a_result_says_what_the_container_got_and_not_what_the_host_got() -> None:
    result = {
        "interfaces": [
            {"name": "br0", "mac": "aa:aa:aa:aa:aa:aa"},
            {"name": "eth0", "mac": "bb:bb:bb:bb:bb:bb", "sandbox": "/ns"},
        ],
        "ips": [{"interface": 0, "address": "10.1.0.1/16"}, {"interface": 1, "address": "10.1.0.5/16", "gateway": "10.1.0.1"}],
    }
    facts = _cni_result.Facts(_cni_result.as_1_0(result), "eth0")
    assert (facts.addresses, facts.gateway, facts.mac_address) == (("10.1.0.5/16",), "10.1.0.1", "bb:bb:bb:bb:bb:bb")


def test_a_result_goes_back_to_the_version_of_its_list() -> None:
    text = json.dumps({"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.5/16"}, {"address": "fd00::5/64"}]})
    assert [one["version"] for one in _cni_result.from_1_0(text, "0.4.0")["ips"]] == ["4", "6"]
    assert "version" not in _cni_result.from_1_0(text, "1.0.0")["ips"][0]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_cni_cache, "DIRECTORY", str(tmp_path / "results"))
    return tmp_path / "results"


_CACHED = Cached(
    network="net",
    owner="default-c1",
    interface="eth0",
    config='{"name":"net"}',
    netns="/run/ns",
    arguments=(("IgnoreUnknown", "1"),),
    capabilities={"portMappings": [{"hostPort": 80}]},
    result={"cniVersion": "1.0.0"},
)


def test_the_cache_is_libcnis(cache: Path) -> None:
    _cni_cache.write(_CACHED)
    (path,) = cache.iterdir()
    assert path.name == "net-default-c1-eth0"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "kind": "cniCacheV1",
        "containerId": "default-c1",
        "config": base64.b64encode(b'{"name":"net"}').decode(),
        "ifName": "eth0",
        "networkName": "net",
        "netns": "/run/ns",
        "cniArgs": [["IgnoreUnknown", "1"]],
        "capabilityArgs": {"portMappings": [{"hostPort": 80}]},
        "result": {"cniVersion": "1.0.0"},
    }


def test_what_was_cached_is_read_again(cache: Path) -> None:
    _cni_cache.write(_CACHED)
    assert _cni_cache.read("net", "default-c1", "eth0") == _CACHED
    assert list(_cni_cache.everything()) == [_CACHED]
    _cni_cache.remove("net", "default-c1", "eth0")
    _cni_cache.remove("net", "default-c1", "eth0")
    assert _cni_cache.read("net", "default-c1", "eth0") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cniVersion":"1.0.0","ips":[]}', '{"kind":"cniCacheV1"}'])
def test_a_file_that_says_nothing_of_how_it_was_done_is_passed_over(cache: Path, text: str) -> None:
    cache.mkdir()
    (cache / "net-default-c1-eth0").write_text(text)
    assert _cni_cache.read("net", "default-c1", "eth0") is None
    assert list(_cni_cache.everything()) == []
