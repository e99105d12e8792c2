"""The CNI protocol, seen by plug-ins that write down how they are called."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.gates import open_gate
from tests.unit.network.cni_fakes import CniHost, Fakes

from pyctl_hookspecs import Host, NotFoundError, PyctlError, UnavailableError, UnsupportedError
from pyctl_hookspecs.errors import CancelledError
from pyctl_plugins.network import _cni_config, _cni_exec, _cni_lock
from pyctl_plugins.network._cni_cache import Cached
from pyctl_plugins.network._cni_chain import Runner


@pytest.fixture
def fakes(tmp_path: Path) -> Fakes:
    made = Fakes(tmp_path)
    made.add("first")
    made.add("second")
    return made


@pytest.fixture
def host(fakes: Fakes, tmp_path: Path) -> Iterator[CniHost]:
    made = CniHost(fakes, tmp_path)
    with made.turn:
        yield made


def _runner(host: CniHost, *kinds: str, lenient: bool = False, **more: Any) -> Runner:
    import json

    plugins = [{"type": kind, "capabilities": {"portMappings": kind == "second"}, "own": kind} for kind in kinds]
    text = json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": plugins, **more})
    return Runner(_cni_config.read(text), cast(Host, host), host.turn, lenient=lenient)


def _cached(runner: Runner, **more: Any) -> Cached:
    values: dict[str, Any] = {
        "network": "net",
        "owner": "default-c1",
        "interface": "eth0",
        "config": runner.chain.text,
        "netns": "/run/ns",
        "arguments": (("IgnoreUnknown", "1"), ("IP", "10.1.0.9")),
        "capabilities": {"portMappings": [{"hostPort": 80}], "ips": ["::1"]},
        "result": {},
    }
    return Cached(**{**values, **more})


def _forget(_cached: Cached) -> None:
    pass


def test_add_goes_forwards_and_hands_each_result_on(fakes: Fakes, host: CniHost) -> None:
    runner = _runner(host, "first", "second")
    kept: list[Cached] = []
    added = runner.add(_cached(runner), kept.append)
    assert added.result == {"cniVersion": "1.0.0", "dns": {"domain": "second"}}
    assert [one.result["dns"]["domain"] for one in kept] == ["first", "second"]  # each before the next plug-in runs
    assert fakes.order == ["ADD first", "ADD second"]
    assert "prevResult" not in fakes.given("first", "ADD")
    assert fakes.given("second", "ADD")["prevResult"] == {"cniVersion": "1.0.0", "dns": {"domain": "first"}}


def test_a_plugin_gets_its_own_configuration_with_name_and_version(fakes: Fakes, host: CniHost) -> None:
    runner = _runner(host, "first")
    runner.add(_cached(runner), _forget)
    given = fakes.given("first", "ADD")
    assert (given["name"], given["cniVersion"], given["type"], given["own"]) == ("net", "1.0.0", "first", "first")


def test_the_environment_is_the_specifications(fakes: Fakes, host: CniHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNI_STRAY", "x")
    runner = _runner(host, "first")
    runner.add(_cached(runner), _forget)
    assert fakes.environment("first", "ADD") == {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "default-c1",
        "CNI_NETNS": "/run/ns",
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": "IgnoreUnknown=1;IP=10.1.0.9",
        "CNI_PATH": ":".join(host.cni_paths),
    }


def test_capability_arguments_go_only_where_they_are_declared(fakes: Fakes, host: CniHost) -> None:
    runner = _runner(host, "first", "second")
    runner.add(_cached(runner), _forget)
    assert "runtimeConfig" not in fakes.given("first", "ADD")
    assert fakes.given("second", "ADD")["runtimeConfig"] == {"portMappings": [{"hostPort": 80}]}


def test_a_failure_stops_the_chain_and_is_shown_in_the_plugins_words(fakes: Fakes, host: CniHost) -> None:
    fakes.refuses("first", "ADD", code=7, msg="Invalid Configuration", details="network too small")
    runner = _runner(host, "first", "second")
    with pytest.raises(PyctlError) as raised:
        runner.add(_cached(runner), _forget)
    assert str(raised.value) == "plug-in first: Invalid Configuration (network too small)"
    assert str(raised.value.__cause__).endswith("/first: lost")  # for --debug
    assert fakes.order == ["ADD first"]


def test_a_plugin_that_dies_without_a_word_is_named_with_its_last_line(fakes: Fakes, host: CniHost) -> None:
    fakes.does("first", "ADD", "echo one >&2; echo two >&2; exit 3")
    runner = _runner(host, "first")
    with pytest.raises(PyctlError, match=r"^plug-in first: exit status 3 \(two\)$"):
        runner.add(_cached(runner), _forget)


@pytest.mark.parametrize(("script", "says"), [("echo '{'; exit 0", "its answer is not JSON"), ("exit 0", "no result")])
def test_an_answer_that_is_no_result_is_refused(fakes: Fakes, host: CniHost, script: str, says: str) -> None:
    fakes.does("first", "ADD", script)
    runner = _runner(host, "first")
    with pytest.raises(PyctlError, match=f"plug-in first: {says}"):
        runner.add(_cached(runner), _forget)


def test_delete_goes_backwards_with_the_last_result(fakes: Fakes, host: CniHost) -> None:
    runner = _runner(host, "first", "second")
    runner.delete(_cached(runner, result={"cniVersion": "1.0.0", "ips": []}), "")
    assert fakes.order == ["DEL second", "DEL first"]
    for kind in ("first", "second"):
        assert fakes.given(kind, "DEL")["prevResult"] == {"cniVersion": "1.0.0", "ips": []}
        assert fakes.environment(kind, "DEL")["CNI_NETNS"] == ""


def test_delete_of_an_old_list_has_no_result(fakes: Fakes, host: CniHost) -> None:
    runner = _runner(host, "first", cniVersion="0.3.1")
    runner.delete(_cached(runner, result={"cniVersion": "0.3.1"}), "/run/ns")
    assert "prevResult" not in fakes.given("first", "DEL")


def test_delete_calls_every_plugin_and_then_tells_the_first_failure(fakes: Fakes, host: CniHost) -> None:
    fakes.refuses("second", "DEL", code=100, msg="stuck")
    runner = _runner(host, "first", "second")
    with pytest.raises(PyctlError, match="plug-in second: stuck"):
        runner.delete(_cached(runner), "")
    assert fakes.order == ["DEL second", "DEL second", "DEL first"]


def test_a_plugin_that_refused_to_connect_need_not_disconnect(fakes: Fakes, host: CniHost) -> None:
    fakes.refuses("second", "ADD", code=7, msg="bad")
    fakes.refuses("second", "DEL", code=7, msg="bad")
    runner = _runner(host, "first", "second")
    kept: list[Cached] = []
    with pytest.raises(PyctlError, match="bad"):
        runner.add(_cached(runner), kept.append)
    assert [(one.refused, one.result["dns"]) for one in kept] == [(-1, {"domain": "first"}), (1, {"domain": "first"})]
    assert not runner.delete(_cached(runner, refused=1), "")
    assert fakes.order[-1] == "DEL first"


def test_a_plugin_that_stumbles_once_is_called_again(fakes: Fakes, host: CniHost, tmp_path: Path) -> None:
    fakes.does("first", "DEL", f"mkdir {tmp_path}/stumbled && exit 1")
    runner = _runner(host, "first")
    assert not runner.delete(_cached(runner), "")
    assert runner.delete(_cached(runner), "")


def test_check_looks_with_the_last_result_and_says_which_plugin_misses_something(fakes: Fakes, host: CniHost) -> None:
    fakes.refuses("second", "CHECK", code=100, msg="no rule")
    runner = _runner(host, "first", "second")
    wrong = runner.check(_cached(runner, result={"cniVersion": "1.0.0"}))
    assert [(position, str(error)) for position, error in wrong] == [(1, "plug-in second: no rule")]
    assert fakes.given("first", "CHECK")["prevResult"] == {"cniVersion": "1.0.0"}


@pytest.mark.parametrize("more", [{"disableCheck": True}, {"disableCheck": "true"}, {"cniVersion": "0.3.1"}])
def test_check_is_not_called_where_it_must_not_be(fakes: Fakes, host: CniHost, more: dict[str, Any]) -> None:
    runner = _runner(host, "first", **more)
    assert runner.check(_cached(runner, result={"cniVersion": "1.0.0"})) == []
    assert fakes.order == []


def test_garbage_is_collected_with_what_is_still_valid(fakes: Fakes, host: CniHost) -> None:
    runner = _runner(host, "first", "second", cniVersion="1.1.0")
    runner.collect([("default-c1", "eth0")])
    assert fakes.order == ["GC first", "GC second"]
    expected = [{"containerID": "default-c1", "ifname": "eth0"}]
    assert fakes.given("second", "GC")["cni.dev/valid-attachments"] == expected


@pytest.mark.parametrize("more", [{"cniVersion": "1.0.0"}, {"cniVersion": "1.1.0", "disableGC": True}])
def test_garbage_is_not_collected_where_it_must_not_be(fakes: Fakes, host: CniHost, more: dict[str, Any]) -> None:
    _runner(host, "first", **more).collect([])
    assert fakes.order == []


def test_status_is_asked_of_a_list_of_1_1_only(fakes: Fakes, host: CniHost) -> None:
    fakes.refuses("second", "STATUS", code=50, msg="not ready", details="daemon is away")
    _runner(host, "first", "second").status()
    assert fakes.order == []
    with pytest.raises(PyctlError, match=r"plug-in second: not ready \(daemon is away\)"):
        _runner(host, "first", "second", cniVersion="1.1.0").status()


def test_the_best_version_that_every_plugin_knows_is_chosen(fakes: Fakes, host: CniHost) -> None:
    fakes.add("second", versions=("0.4.0", "1.0.0"))
    runner = _runner(host, "first", "second", cniVersion="0.4.0", cniVersions=["1.1.0", "1.0.0", "9.0.0"])
    runner.settle()
    assert runner.chain.version == "1.0.0"
    assert _cni_config.read(runner.chain.text).versions == ("1.0.0",)


def test_with_one_version_to_choose_from_nobody_is_asked(fakes: Fakes, host: CniHost) -> None:
    _runner(host, "first").settle()
    assert fakes.order == []


def test_a_plugin_too_old_for_the_list_is_named(fakes: Fakes, host: CniHost) -> None:
    fakes.add("second", versions=("0.4.0", "1.0.0"))
    with pytest.raises(
        UnsupportedError, match=r"network net needs version 1\.1\.0 of CNI; plug-in second knows 0\.4\.0, 1\.0\.0"
    ):
        _runner(host, "first", "second", cniVersion="1.1.0").settle()


def test_a_missing_binary_is_named_with_where_it_was_searched(fakes: Fakes, host: CniHost) -> None:
    with pytest.raises(NotFoundError) as raised:
        _runner(host, "first", "absent")
    assert str(raised.value) == f'network net needs the CNI plug-in "absent", which is not in {", ".join(host.cni_paths)}'
    assert "containernetworking-plugins" in raised.value.hint


def test_an_address_plugin_that_is_missing_is_named_too(fakes: Fakes, host: CniHost) -> None:
    with pytest.raises(NotFoundError, match='"absent"'):
        _runner(host, plugins=[{"type": "first", "ipam": {"type": "absent"}}])


def test_undoing_without_a_binary_still_calls_the_others(fakes: Fakes, host: CniHost) -> None:
    runner = _runner(host, "first", "absent", lenient=True)
    with pytest.raises(NotFoundError, match='"absent"'):
        runner.delete(_cached(runner), "")
    assert fakes.order == ["DEL first"]


def test_a_plugin_that_hangs_is_ended_with_what_it_started(fakes: Fakes, tmp_path: Path) -> None:
    fakes.does("first", "ADD", f"sleep 600 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(UnavailableError, match=r"plug-in first: no answer to ADD within 0\.3 s"):
        _cni_exec.run(str(fakes.bin / "first"), "ADD", {}, {}, deadline_s=0.3)
    _wait_for_end(int((tmp_path / "child").read_text()))


def test_an_interrupt_ends_the_plugin(fakes: Fakes, tmp_path: Path) -> None:
    fakes.does("first", "ADD", f"echo $$ > {tmp_path}/self; exec sleep 600")
    with pytest.raises(CancelledError, match=r"^interrupted$"):
        _cni_exec.run(str(fakes.bin / "first"), "ADD", {}, {}, is_cancelled=(tmp_path / "self").exists)
    _wait_for_end(int((tmp_path / "self").read_text()))


def test_what_is_undone_is_not_interrupted(fakes: Fakes, host: CniHost) -> None:
    fakes.does("first", "DEL", "sleep 0.3")
    host.is_cancelled = True
    runner = _runner(host, "first")
    runner.delete(_cached(runner), "")
    assert fakes.order == ["DEL first"]


_RUN_ONE = """
import sys
from pyctl_plugins.network import _cni_exec, _cni_lock
runtime_dir, plugin = sys.argv[1:]
with _cni_lock.Turn(runtime_dir, "default-c2") as turn:
    _cni_exec.run(plugin, "ADD", {}, {}, inherited=(turn.fd,))
"""


def test_a_plugin_that_outlives_its_pyctl_keeps_the_turn(fakes: Fakes, host: CniHost, tmp_path: Path) -> None:
    gate, over = tmp_path / "gate", tmp_path / "over"
    os.mkfifo(gate)
    fakes.does("first", "ADD", f"read -r line < {gate}; echo > {over}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _RUN_ONE, host.runtime_dir, str(fakes.bin / "first")]
    seen: list[bool] = []

    def follow() -> None:
        with _cni_lock.Turn(host.runtime_dir, "default-c2"):
            seen.append(over.exists())

    with subprocess.Popen(command, env=environment) as pyctl, os.fdopen(open_gate(gate), "w") as opened:
        pyctl.kill()
        pyctl.wait()
        follower = threading.Thread(target=follow)
        follower.start()
        opened.write("go\n")
    follower.join(10)
    assert seen == [True]


def _wait_for_end(pid: int) -> None:
    """Ended, or a zombie that nobody has waited for yet."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} still runs")
