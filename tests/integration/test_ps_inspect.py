"""Reading containers on real daemons: what ``ps``, ``inspect``, ``port``, ``version`` and ``info`` say of real ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def make(pyctl: Any) -> Iterator[Callable[..., str]]:
    """``make("run", "-d", ...)`` makes a container that is removed afterwards; returns its ID."""
    made: list[str] = []

    def one(*args: str) -> str:
        container_id: str = pyctl(*args).out
        made.append(container_id)
        return container_id

    yield one
    if made:
        pyctl("rm", "-f", "-v", *made)


def _rows(pyctl: Any, *args: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in pyctl("ps", "--format", "json", *args).stdout.splitlines()]


def _inspect(pyctl: Any, name: str, *args: str) -> dict[str, Any]:
    (found,) = json.loads(pyctl("inspect", *args, name).stdout)
    return dict(found)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()


def test_ps_shows_running_ones_and_with_a_all(pyctl: Any, make: Callable[..., str], busybox: str) -> None:
    up = make("run", "-d", "--name", "up", "--network", "none", busybox, "sleep", "600")
    new = make("create", "--name", "new", "--network", "none", busybox, "true")
    assert pyctl("ps", "-q", "--no-trunc").out == up
    assert pyctl("ps", "-aq").stdout == f"{new[:12]}\n{up[:12]}\n"
    assert pyctl("ps", "-l", "-q").out == new[:12]
    first, second = _rows(pyctl, "-a")
    assert (first["Names"], first["State"], first["Status"], first["Ports"]) == ("new", "created", "Created", "")
    assert (second["Names"], second["State"], second["Command"]) == ("up", "running", '"sleep 600"')
    assert second["Status"].startswith("Up ")
    assert second["Networks"] == "none"


def test_an_exit_is_told_with_its_code_and_times(pyctl: Any, make: Callable[..., str], busybox: str, engine: Any) -> None:
    container_id = make("run", "-d", "--network", "none", busybox, "sh", "-c", "exit 3")
    assert pyctl("wait", container_id).out == "3"
    before = _inspect(pyctl, container_id)["State"]
    assert (before["Status"], before["ExitCode"], before["Running"], before["Pid"]) == ("exited", 3, False, 0)
    # Not one before the other: a process may be over before its start has been noted, in Docker too.
    for moment in ("StartedAt", "FinishedAt"):
        assert 0 <= time.time() - _seconds(before[moment]) < 60
    (row,) = _rows(pyctl, "-a", "--filter", "exited=3")
    assert row["Status"].startswith("Exited (3) ")
    assert pyctl("ps", "-aq", "--filter", "exited=0").out == ""


def test_the_end_of_the_last_run_is_remembered_while_the_next_one_lasts(
    pyctl: Any, make: Callable[..., str], busybox: str, name: str
) -> None:
    once = ("sh", "-c", "test -e /again && exec sleep 600; touch /again; exit 3")
    make("create", "--name", name, "--network", "none", busybox, *once)
    assert pyctl("start", "-a", name, ok=False).code == 3
    ended = _inspect(pyctl, name)["State"]
    pyctl("start", name)
    again = _inspect(pyctl, name)["State"]
    assert (again["Status"], again["ExitCode"], again["FinishedAt"]) == ("running", 0, ended["FinishedAt"])
    assert _seconds(ended["FinishedAt"]) <= _seconds(again["StartedAt"])
    pyctl("kill", name)
    pyctl("wait", name)
    over = _inspect(pyctl, name)["State"]
    assert (over["Status"], over["ExitCode"], over["StartedAt"]) == ("exited", 137, again["StartedAt"])
    assert _seconds(over["FinishedAt"]) >= _seconds(again["StartedAt"])


def test_a_restart_by_policy_tells_when_the_run_before_ended(
    pyctl: Any, make: Callable[..., str], busybox: str, name: str
) -> None:
    once = ("sh", "-c", "test -e /again && touch /up && exec sleep 600; touch /again; exit 3")
    make("run", "-d", "--name", name, "--network", "none", "--restart", "on-failure:3", busybox, *once)
    deadline = time.monotonic() + 30
    while (found := _inspect(pyctl, name))["RestartCount"] == 0 or found["State"]["Status"] != "running":
        assert time.monotonic() < deadline, found["State"]
    state = found["State"]
    assert (found["RestartCount"], state["ExitCode"]) == (1, 0)
    # Until its start is noted it is the process's: whole seconds since a boot known in whole seconds.
    assert -3 < _seconds(state["StartedAt"]) - _seconds(state["FinishedAt"]) < 30
    pyctl("restart", "-t", "0", name)
    found = _inspect(pyctl, name)
    assert (found["RestartCount"], found["State"]["Status"]) == (0, "running")
    assert _seconds(found["State"]["FinishedAt"]) >= _seconds(state["StartedAt"])


@pytest.mark.parametrize("place", [(), ("--cgroup-parent", "/pyctl-test")], ids=["usual", "parent"])
@pytest.mark.parametrize("way", [(), ("-d",)], ids=["foreground", "detached"])
def test_a_run_that_memory_ran_out_for_says_so(
    pyctl: Any, make: Callable[..., str], busybox: str, name: str, way: tuple[str, ...], place: tuple[str, ...]
) -> None:
    hungry = ("sh", "-c", "test -e /fed && exit 0; touch /fed; exec dd if=/dev/zero of=/dev/null bs=64M count=1")
    make("create", "--name", name, "--network", "none", "-m", "16m", *place, busybox, *hungry)
    pyctl("start", *(() if way else ("-a",)), name, ok=False)
    assert pyctl("wait", name).out == "137"
    state = _inspect(pyctl, name)["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 137, True)
    pyctl("start", "-a", name)
    assert _inspect(pyctl, name)["State"]["OOMKilled"] is False


def test_a_running_container_says_that_memory_ran_out_for_one_of_its_processes(
    pyctl: Any, make: Callable[..., str], busybox: str, name: str
) -> None:
    eater = "dd if=/dev/zero of=/dev/null bs=64M count=1; touch /over; exec sleep 600"
    make("run", "-d", "--name", name, "--network", "none", "-m", "16m", busybox, "sh", "-c", eater)
    pyctl("exec", name, "sh", "-c", "until [ -e /over ]; do sleep 0.05; done")
    state = _inspect(pyctl, name)["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("running", 0, True)
    pyctl("kill", name)
    pyctl("wait", name)
    assert _inspect(pyctl, name)["State"]["OOMKilled"] is True


def test_pausing_shows(pyctl: Any, make: Callable[..., str], busybox: str, engine: Any) -> None:
    container_id = make("run", "-d", "--network", "none", busybox, "sleep", "600")
    engine.ctr("task", "pause", container_id)
    (row,) = _rows(pyctl, "--filter", "status=paused")
    assert row["Status"].startswith("Up ") and row["Status"].endswith(" (Paused)")
    state = _inspect(pyctl, container_id)["State"]
    assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)


def test_filters_choose_among_real_containers(pyctl: Any, make: Callable[..., str], busybox: str) -> None:
    make("run", "-d", "--name", "one", "--network", "none", "-l", "color=red", "-v", "data:/data", busybox, "sleep", "600")
    make("create", "--name", "two", "--network", "host", "-l", "color=blue", busybox, "true")
    try:
        for filters, expected in (
            ("label=color=red", ["one"]),
            ("label=color", ["two", "one"]),
            ("name=^tw", ["two"]),
            ("volume=data", ["one"]),
            ("volume=/data", ["one"]),
            ("network=host", ["two"]),
            (f"ancestor={busybox}", ["two", "one"]),
            ("ancestor=nope", []),
            ("before=two", ["one"]),
            ("since=one", ["two"]),
            ("status=created", ["two"]),
        ):
            assert [row["Names"] for row in _rows(pyctl, "-a", "--filter", filters)] == expected, filters
        done = pyctl("ps", "--filter", "nope=1", ok=False)
        assert (done.code, done.stdout) == (1, "") and "invalid filter 'nope'" in done.stderr
    finally:
        pyctl("rm", "-f", "one", "two")
        pyctl("volume", "rm", "data")


def test_inspect_tells_limits_mounts_and_the_process(pyctl: Any, make: Callable[..., str], busybox: str, tmp_path: Any) -> None:
    container_id = make(
        *("run", "-d", "--network", "none", "-m", "64m", "-e", "A=b", "-l", "x=y", "-v", f"{tmp_path}:/mnt:ro"),
        *("-w", "/tmp", "--stop-signal", "INT", "--stop-timeout", "5", "--ulimit", "nofile=100:200", busybox, "sleep", "600"),
    )
    found = _inspect(pyctl, container_id, "-s")
    assert (found["Id"], found["Path"], found["Args"]) == (container_id, "sleep", ["600"])
    assert found["Name"].startswith("/busybox-")
    assert (found["HostConfig"]["Memory"], found["HostConfig"]["Binds"]) == (64 << 20, [f"{tmp_path}:/mnt:ro"])
    assert found["HostConfig"]["Ulimits"] == [{"Name": "nofile", "Hard": 200, "Soft": 100}]
    assert found["Mounts"] == [
        {
            "Type": "bind",
            "Source": str(tmp_path),
            "Destination": "/mnt",
            "Mode": "ro",
            "RW": False,
            "Propagation": "rprivate",
        }
    ]
    config = found["Config"]
    assert "A=b" in config["Env"]
    assert (config["Labels"], config["WorkingDir"], config["StopSignal"], config["StopTimeout"]) == ({"x": "y"}, "/tmp", "INT", 5)
    assert config["Cmd"] == ["sleep", "600"]
    assert found["SizeRootFs"] > found["SizeRw"] >= 0
    with open(f"/proc/{found['State']['Pid']}/cmdline") as file:
        assert file.read() == "sleep\x00600\x00"
    with open(found["HostnamePath"]) as file:
        assert file.read() == f"{container_id[:12]}\n"
    image = _inspect(pyctl, busybox, "--type", "image")
    assert found["Image"] == image["Id"]


def test_a_template_reads_fields_as_docker_does(pyctl: Any, make: Callable[..., str], busybox: str) -> None:
    container_id = make("run", "-d", "--name", "web", "-p", "127.0.0.1:18091:80", busybox, "sleep", "600")
    layout = '{{.Id}} {{.State.Running}} {{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}'
    assert pyctl("inspect", "-f", layout, "web").out == f"{container_id} true 18091"
    address = pyctl("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "web").out
    assert address == pyctl("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web").out
    assert f"inet {address}/" in pyctl("exec", "web", "ip", "addr", "show", "eth0").stdout
    assert pyctl("port", "web").out == "80/tcp -> 127.0.0.1:18091"
    (row,) = _rows(pyctl, "--filter", "publish=18091")
    assert row["Ports"] == "127.0.0.1:18091->80/tcp"
    pyctl("stop", "-t", "0", "web")
    settings = _inspect(pyctl, "web")["NetworkSettings"]
    assert (settings["Ports"], settings["Networks"]["bridge"]["IPAddress"]) == ({}, "")
    assert settings["Networks"]["bridge"]["NetworkID"] == _inspect(pyctl, "bridge", "--type", "network")["Id"]


def test_what_is_missing_leaves_an_empty_list_and_a_line(pyctl: Any) -> None:
    done = pyctl("inspect", "nope", ok=False)
    assert (done.code, done.out) == (1, "[]")
    assert "No such object: nope" in done.stderr
    done = pyctl("inspect", "--type", "container", "nope", ok=False)
    assert "No such container: nope" in done.stderr


def test_native_is_what_the_daemon_says(pyctl: Any, make: Callable[..., str], busybox: str, engine: Any) -> None:
    container_id = make("run", "-d", "--network", "none", busybox, "sleep", "600")
    found = _inspect(pyctl, container_id, "--mode", "native")
    told = json.loads(engine.ctr("container", "info", container_id))
    assert (found["Labels"], found["CreatedAt"]) == (told["Labels"], told["CreatedAt"])
    for part in ("mounts", "annotations", "hostname", "root"):
        assert found["Spec"][part] == told["Spec"][part]
    assert found["Spec"]["process"]["args"] == ["sleep", "600"]
    assert found["Process"]["Pid"] == _inspect(pyctl, container_id)["State"]["Pid"]


def test_a_container_that_others_made_can_be_read(pyctl: Any, busybox: str, engine: Any) -> None:
    engine.ctr("run", "-d", "--null-io", busybox, "stranger", "sleep", "600")
    try:
        (row,) = _rows(pyctl)
        assert (row["ID"], row["Names"], row["State"], row["Command"]) == ("stranger", "", "running", '"sleep 600"')
        assert row["Status"].startswith("Up ")
        found = _inspect(pyctl, "stranger")
        assert (found["State"]["Running"], found["Path"], found["HostConfig"]["RestartPolicy"]["Name"]) == (True, "sleep", "no")
    finally:
        pyctl("rm", "-f", "stranger")


def test_version_and_info_describe_the_daemon(pyctl: Any, engine: Any) -> None:
    found = json.loads(pyctl("version", "--format", "json").stdout)
    assert found["Server"]["Components"][0]["Name"] == "containerd"
    assert found["Server"]["Version"] in engine.ctr("version")
    told = json.loads(pyctl("info", "--format", "{{json .}}").stdout)
    assert (told["ServerVersion"], told["ContainersRunning"]) == (found["Server"]["Version"], 0)
    assert "overlayfs" in told["Plugins"]["Storage"]
    done = pyctl("--address", "/nonexistent.sock", "version", ok=False)
    assert done.code == 1 and done.stdout.startswith("Client:") and "Server:" not in done.stdout
