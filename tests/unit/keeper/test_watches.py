"""Exits, and the processes that deal with them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctl.keeper import client, wire

if TYPE_CHECKING:
    from tests.unit.keeper.conftest import Keeper


class Init:
    """Stands in for a container's init: ends when told to."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


class Program:
    """Stands in for ``python -m pyctl``: tells each call through a FIFO, then answers as scripted, by verb."""

    def __init__(self, base: Path) -> None:
        self.path = base / "python"
        self.base = base
        os.mkfifo(base / "calls")
        self.answer("exited", "echo '{}'")
        self.answer("restart", "")
        self.path.write_text(
            f'#!/bin/sh\nfor verb do case "$verb" in exited|restart) break;; esac; done\n'
            f'echo "$*" > {base}/calls\n. {base}/$verb\n'
        )
        self.path.chmod(0o755)

    def answer(self, verb: str, script: str) -> None:
        (self.base / verb).write_text(script + "\n")

    def next_call(self) -> list[str]:
        """Blocks until the keeper has started one."""
        with open(self.base / "calls") as calls:
            return calls.read().split()


@pytest.fixture
def program(keeper: Keeper) -> Iterator[Program]:
    made = Program(keeper.base)
    yield made
    reader = os.open(keeper.base / "calls", os.O_RDONLY | os.O_NONBLOCK)  # frees those nobody listened to
    while _is_busy(keeper):
        os.sched_yield()
    os.close(reader)


@pytest.fixture
def init(program: Program) -> Iterator[Init]:
    """Ended before ``program`` looks whether everything it started is over."""
    started = Init()
    yield started
    started.end()


def _is_busy(keeper: Keeper) -> bool:
    place = (keeper.data_store, keeper.runtime_dir)
    status = client.request_if_running(*place, "status", {}, data_root=keeper.data_root)
    return status is not None and (status["children"] > 0 or bool({*status["watches"].values()} - {"waiting"}))


def watch(keeper: Keeper, init: Init, program: Program, **more: object) -> None:
    keeper("watch", pid=init.pid, python=str(program.path), address="/run/x.sock", **more)


def wait_until_unwatched(keeper: Keeper) -> None:
    while keeper.status()["watches"]:
        os.sched_yield()


def let_a_restart_wait(keeper: Keeper, init: Init, program: Program, seconds: float) -> None:
    """The container ends, and is to be started again after a while."""
    program.answer("exited", f"""echo '{{"restart_in_s": {seconds}}}'""")
    watch(keeper, init, program)
    init.end()
    program.next_call()
    while keeper.status()["watches"].get("ns-c1") != "waiting":
        os.sched_yield()


def test_an_exit_starts_pyctl_with_the_flags_it_needs(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program)
    assert keeper.status()["watches"] == {"ns-c1": "running"}
    init.end()
    expected = [
        "-m",
        "pyctl",
        "--data-root",
        keeper.data_root,
        "--address",
        "/run/x.sock",
        "--namespace",
        "ns",
        "internal",
        "exited",
        "c1",
    ]
    assert program.next_call() == expected
    wait_until_unwatched(keeper)


def test_global_flags_may_be_given(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program, args=["--cni-path=/x", "--debug"])
    init.end()
    assert program.next_call() == ["-m", "pyctl", "--cni-path=/x", "--debug", "--namespace", "ns", "internal", "exited", "c1"]


def test_an_exit_before_the_watch_counts(keeper: Keeper, init: Init, program: Program) -> None:
    init.end()
    watch(keeper, init, program)
    assert program.next_call()[-2:] == ["exited", "c1"]


def test_a_restart_follows_when_the_answer_asks_for_it(keeper: Keeper, init: Init, program: Program) -> None:
    program.answer("exited", """echo '{"restart_in_s": 0.01}'""")
    watch(keeper, init, program)
    init.end()
    assert program.next_call()[-2:] == ["exited", "c1"]
    assert program.next_call()[-2:] == ["restart", "c1"]
    wait_until_unwatched(keeper)


def test_unwatching_cancels_a_restart_that_waits(keeper: Keeper, init: Init, program: Program) -> None:
    let_a_restart_wait(keeper, init, program, 3600)
    keeper("unwatch")
    assert keeper.status()["watches"] == {}
    assert not list(Path(keeper.data_store, "keeper", "watch").iterdir())


def ask_for_port(keeper: Keeper, container: str, port: object) -> socket.socket:
    """Ask without waiting for the answer; the keeper has seen the question when this returns."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(f"{wire.run_dir(keeper.data_store, keeper.runtime_dir)}/keeper.sock")
    asked = {"command": "hold_ports", "namespace": "ns", "container": container, "ports": [port]}
    connection.sendall(json.dumps(asked).encode() + b"\n")
    for _ in range(2):
        keeper("ping")
    return connection


def test_a_port_of_a_container_that_has_just_ended_is_waited_for(keeper: Keeper, init: Init, program: Program) -> None:
    """``wait`` or another tool's ``rm`` returns before our process has released what the container used."""
    (port,) = keeper("hold_ports", ports=[["127.0.77.9", 0, "tcp"]])["ports"]
    watch(keeper, init, program)
    init.end()
    with ask_for_port(keeper, "c2", port) as patient:
        with ask_for_port(keeper, "c3", port):
            pass  # it went away: nothing is held for it later
        keeper("release_ports")  # by the process that deals with the exit, before it ends
        assert keeper.status()["ports"] == {}
        program.next_call()
        assert json.loads(patient.recv(4096)) == {"ok": True, "ports": [port]}
    assert keeper.status()["ports"] == {"ns-c2": [port]}
    wait_until_unwatched(keeper)
    keeper("release_ports", container="c2")


def test_a_port_that_is_not_released_after_all_is_refused(keeper: Keeper, init: Init, program: Program) -> None:
    (port,) = keeper("hold_ports", ports=[["127.0.77.9", 0, "tcp"]])["ports"]
    watch(keeper, init, program)
    init.end()
    with ask_for_port(keeper, "c2", port) as patient:
        program.next_call()
        assert json.loads(patient.recv(4096))["code"] == "conflict"
    keeper("release_ports")


def test_unwatching_waits_for_the_process_that_is_at_it(keeper: Keeper, init: Init, program: Program) -> None:
    program.answer("exited", f"read go < {keeper.base}/calls; echo '{{\"restart_in_s\": 3600}}'; : > {keeper.base}/done")
    watch(keeper, init, program)
    init.end()
    program.next_call()
    go = threading.Thread(target=lambda: Path(keeper.base, "calls").write_text("go\n"))
    go.start()
    keeper("unwatch")
    assert Path(keeper.base, "done").exists()
    assert keeper.status() | {"pid": 0, "build": ""} == {
        "ok": True, "pid": 0, "build": "", "logs": [], "watches": {}, "ports": {}, "names": {},
        "children": 0,
    }  # fmt: skip
    go.join()


def test_who_holds_the_note_is_not_waited_for_in_turn(keeper: Keeper, init: Init, program: Program) -> None:
    program.answer("exited", f"read go < {keeper.base}/calls; : > {keeper.base}/done")
    watch(keeper, init, program)
    init.end()
    program.next_call()
    keeper("unwatch", holds_note=True)
    assert keeper.status()["children"] == 0
    assert not Path(keeper.base, "done").exists()


def deputy(keeper: Keeper, *containers: str) -> client.Deputy:
    place = keeper.data_store, keeper.runtime_dir, "ns"
    return client.Deputy(*place, containers or ["c1"], data_root=keeper.data_root, holds_notes=False)


def test_a_watch_rests_while_somebody_else_sees_to_the_exit(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program)
    with closing(deputy(keeper, "c1", "c2")) as somebody:
        assert somebody.pids == {"c1": init.pid}
        assert keeper.status()["watches"] == {"ns-c1": "resting"}
        init.end()
        somebody.done(["c1", "c2"])
        assert keeper.status()["watches"] == {}
    assert keeper.status()["children"] == 0


@pytest.mark.parametrize("is_over", [True, False])
def test_who_leaves_before_the_exit_was_seen_to_leaves_it_to_the_keeper(
    keeper: Keeper, init: Init, program: Program, is_over: bool
) -> None:
    watch(keeper, init, program)
    with closing(deputy(keeper)), closing(deputy(keeper)) as second:
        second.close()
        assert keeper.status()["watches"] == {"ns-c1": "resting"}
        if is_over:
            init.end()
    if not is_over:
        assert keeper.status()["watches"] == {"ns-c1": "running"}
        init.end()
    assert program.next_call()[-2:] == ["exited", "c1"]
    wait_until_unwatched(keeper)


def test_a_restart_that_waits_rests_too(keeper: Keeper, init: Init, program: Program) -> None:
    let_a_restart_wait(keeper, init, program, 0.2)
    with closing(deputy(keeper)) as somebody:
        assert somebody.pids == {}
        until = time.monotonic() + 0.3
        while time.monotonic() < until:  # longer than it was to wait
            status = keeper.status()
            assert (status["children"], status["watches"]) == (0, {"ns-c1": "resting"})
    assert program.next_call()[-2:] == ["restart", "c1"]


def test_a_new_process_is_watched_whatever_became_of_the_one_before(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program)
    second = Init()
    with closing(deputy(keeper)):
        keeper("watch", pid=second.pid, python=str(program.path))
        init.end()
        assert keeper.status()["watches"] == {"ns-c1": "running"}
    assert keeper.status()["watches"] == {"ns-c1": "running"}
    second.end()
    assert program.next_call()[-2:] == ["exited", "c1"]


def test_a_deputy_outlives_the_keeper(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program)
    with closing(deputy(keeper)) as somebody:
        keeper.kill()
        somebody.done(["c1"])
    assert keeper.status()["watches"] == {}


def test_the_process_that_deals_with_an_exit_may_unwatch_and_still_have_it_restarted(
    keeper: Keeper, init: Init, program: Program
) -> None:
    place = (keeper.data_store, keeper.runtime_dir, "unwatch", {"namespace": "ns", "container": "c1"})
    code = (
        f"from pyctl.keeper import client\nclient.request_if_running(*{place!r}, data_root={keeper.data_root!r})\n"
        """print('{"restart_in_s": 0}')"""
    )
    (keeper.base / "code.py").write_text(code)
    program.answer("exited", f"exec {sys.executable} {keeper.base}/code.py")
    watch(keeper, init, program)
    init.end()
    assert program.next_call()[-2:] == ["exited", "c1"]
    assert program.next_call()[-2:] == ["restart", "c1"]


def test_a_restart_that_waits_outlives_a_killed_keeper(keeper: Keeper, init: Init, program: Program) -> None:
    let_a_restart_wait(keeper, init, program, 0.2)
    keeper.kill()
    keeper("ping")
    assert program.next_call()[-2:] == ["restart", "c1"]


def test_an_exit_while_no_keeper_runs_is_dealt_with_by_the_next(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program)
    keeper.kill()
    init.end()
    keeper("ping")
    assert program.next_call()[-2:] == ["exited", "c1"]


def test_a_running_container_is_watched_again_by_the_next_keeper(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program)
    keeper.kill()
    assert keeper.status()["watches"] == {"ns-c1": "running"}
    init.end()
    assert program.next_call()[-2:] == ["exited", "c1"]


def test_a_process_that_fails_is_started_again(keeper: Keeper, init: Init, program: Program) -> None:
    program.answer("exited", f"[ -e {keeper.base}/failed ] || {{ : > {keeper.base}/failed; exit 3; }}")
    watch(keeper, init, program)
    init.end()
    assert program.next_call()[-2:] == ["exited", "c1"]
    assert program.next_call()[-2:] == ["exited", "c1"]
    wait_until_unwatched(keeper)
    assert keeper.notes() == ""


def test_an_answer_that_is_no_json_is_noted_and_the_watch_ends(keeper: Keeper, init: Init, program: Program) -> None:
    program.answer("exited", "echo oops")
    watch(keeper, init, program)
    init.end()
    program.next_call()
    wait_until_unwatched(keeper)
    assert "oops" in keeper.notes()


def test_a_new_process_of_the_same_container_replaces_the_watch(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program)
    second = Init()
    keeper("watch", pid=second.pid, python=str(program.path))
    init.end()
    assert keeper.status()["watches"] == {"ns-c1": "running"}
    second.end()
    assert program.next_call()[-2:] == ["exited", "c1"]


def test_a_damaged_watch_file_is_dropped_and_noted(keeper: Keeper) -> None:
    folder = Path(keeper.data_store, "keeper", "watch")
    folder.mkdir(parents=True)
    (folder / "ns-c9.json").write_text("{")
    assert keeper.status()["watches"] == {}
    assert "ns-c9" in keeper.notes()
    assert not list(folder.iterdir())


def test_unwatching_reaches_what_a_killed_keeper_left(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program)
    keeper.kill()
    named = {"namespace": "ns", "container": "c1"}
    client.request_if_running(keeper.data_store, keeper.runtime_dir, "unwatch", named, data_root=keeper.data_root)
    assert keeper.status()["watches"] == {}


def test_nothing_is_started_when_nothing_is_left_to_do(keeper: Keeper) -> None:
    named = {"namespace": "ns", "container": "c1"}
    place = (keeper.data_store, keeper.runtime_dir)
    assert client.request_if_running(*place, "unwatch", named, data_root=keeper.data_root) is None
    assert not client.wake(*place, data_root=keeper.data_root)
    assert not client.stop(*place, data_root=keeper.data_root)


def test_a_keeper_is_woken_for_a_watch_that_was_left(keeper: Keeper, init: Init, program: Program) -> None:
    watch(keeper, init, program)
    keeper.kill()
    assert client.wake(keeper.data_store, keeper.runtime_dir, data_root=keeper.data_root)
    assert client.request_if_running(keeper.data_store, keeper.runtime_dir, "ping", {}, data_root=keeper.data_root)


def test_standard_input_stays_open_until_the_exit(keeper: Keeper, init: Init, program: Program) -> None:
    path = str(keeper.base / "stdin")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    watch(keeper, init, program, stdin=path)
    writer = os.open(path, os.O_WRONLY)
    os.write(writer, b"x")
    os.close(writer)
    assert os.read(reader, 10) == b"x"
    with pytest.raises(BlockingIOError):  # nothing to read, and not the end either
        os.read(reader, 10)
    init.end()
    program.next_call()
    assert os.read(reader, 10) == b""
    os.close(reader)
