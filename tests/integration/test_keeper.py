"""The log binary and the keeper under real shims: no pyctl command takes part, so what is seen here is theirs alone."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.engines import Engine
from tests.integration.waiting import until

from pyctl.containerd.client import Client
from pyctl.keeper import client, log_uri

pytestmark = pytest.mark.integration


class Room:
    """A data store of its own for containers that ``ctr`` makes."""

    def __init__(self, engine: Engine, base: str) -> None:
        self.engine, self.base = engine, base
        self.data_root, self.data_store, self.runtime_dir = f"{base}/d", f"{base}/d/0123abcd", f"{base}/r"
        self.uri = log_uri(self.data_root, self.data_store, runtime_dir=self.runtime_dir)

    def state_dir(self, container: str) -> str:
        return f"{self.data_store}/containers/{self.engine.namespace}/{container}"

    def prepare(self, container: str) -> None:
        os.makedirs(self.state_dir(container))
        with open(f"{self.state_dir(container)}/log-config.json", "w") as file:
            json.dump({"driver": "json-file", "address": self.engine.address}, file)

    def run(self, image: str, container: str, script: str) -> int:
        """Start a detached container and return the process ID of its init."""
        self.prepare(container)
        self.engine.ctr("run", "-d", "--log-uri", self.uri, image, container, "sh", "-c", script)
        return self.pid(container)

    def pid(self, container: str) -> int:
        found = re.search(rf"^{container}\s+(\d+)", self.engine.ctr("tasks", "ls"), re.MULTILINE)
        assert found
        return int(found[1])

    def ask(self, command: str, **payload: object) -> dict[str, object]:
        payload["namespace"] = self.engine.namespace
        return client.request(self.data_store, self.runtime_dir, command, payload, data_root=self.data_root)

    def kill_keeper(self) -> None:
        answer = client.request_if_running(self.data_store, self.runtime_dir, "ping", {}, data_root=self.data_root)
        if answer:
            os.kill(int(answer["pid"]), signal.SIGKILL)

    def log(self, container: str) -> list[dict[str, str]]:
        """Every entry, once the writer is done."""
        lock = os.open(f"{self.state_dir(container)}/logger-lock", os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.close(lock)
        with open(f"{self.state_dir(container)}/{container}-json.log") as file:
            return [json.loads(line) for line in file]

    def holder(self) -> int:
        """Process ID of the shell that holds the pipes of this room's only container; the log binary soon becomes it."""
        until(lambda: bool(self._holders()))
        return self._holders()[0]

    def _holders(self) -> list[int]:
        found = []
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if words[0] == b"sh" and f"{self.data_root}/bin/pyctl-log".encode() in words:
                found.append(int(entry))
        return found

    def remove(self, container: str) -> None:
        self.engine.ctr("tasks", "rm", "-f", container)
        self.engine.ctr("containers", "rm", container)


@pytest.fixture
def room(engine: Engine, workshop: str) -> Iterator[Room]:
    base = tempfile.mkdtemp(prefix="k", dir=workshop)
    made = Room(engine, base)
    try:
        yield made
    finally:
        client.stop(made.data_store, made.runtime_dir, data_root=made.data_root)
        shutil.rmtree(base)


def test_output_is_logged_and_the_holder_is_small(room: Room, busybox: str, name: str) -> None:
    room.run(busybox, name, "echo out; echo err >&2; read -t 600 never < /dev/zero; sleep 600")
    holder = room.holder()
    with open(f"/proc/{holder}/smaps_rollup") as file:
        pss_kib = int(re.findall(r"^Pss:\s+(\d+)", file.read(), re.MULTILINE)[0])
    pidfd = os.pidfd_open(holder)
    room.remove(name)

    assert [(entry["stream"], entry["log"]) for entry in room.log(name)] == [("stdout", "out\n"), ("stderr", "err\n")]
    assert pss_kib < 1024
    assert select.select([pidfd], [], [], 10)[0], "the holder outlives the task"
    os.close(pidfd)


def test_killing_the_keeper_under_load_loses_and_doubles_nothing(room: Room, busybox: str, name: str) -> None:
    script = "i=0; while [ $i -lt 60000 ]; do echo $i; echo e$i >&2; i=$((i+1)); done"
    pid = room.run(busybox, name, script)
    pidfd = os.pidfd_open(pid)
    for _ in range(8):  # the holder takes its time after more
        room.kill_keeper()
        select.select([pidfd], [], [], 0.1)
    select.select([pidfd], [], [])
    os.close(pidfd)
    room.ask("ping")
    room.remove(name)
    entries = room.log(name)

    assert [entry["log"] for entry in entries if entry["stream"] == "stdout"] == [f"{number}\n" for number in range(60000)]
    assert [entry["log"] for entry in entries if entry["stream"] == "stderr"] == [f"e{number}\n" for number in range(60000)]


def test_a_log_ends_when_the_container_exits_though_its_task_remains(room: Room, busybox: str, name: str) -> None:
    pid = room.run(busybox, name, "echo one; sleep 0.2; printf two")
    room.ask("watch", container=name, pid=pid, python="/bin/true")

    assert [entry["log"] for entry in room.log(name)] == ["one\n", "two"]
    room.remove(name)


def test_a_terminal_is_logged_and_its_holder_is_ended(room: Room, busybox: str, name: str) -> None:
    engine = room.engine
    room.prepare(name)
    engine.ctr("containers", "create", "--tty", busybox, name, "echo", "hello")
    with Client(engine.address, engine.namespace) as containerd:  # ctr has FIFOs for terminals and nothing else
        rootfs = containerd.snapshots.mounts("overlayfs", name)
        containerd.tasks.create(name, rootfs=rootfs, stdout=room.uri, terminal=True)
        holder = os.pidfd_open(room.holder())
        containerd.tasks.start(name)
    room.remove(name)

    assert [entry["log"] for entry in room.log(name)] == ["hello\r\n"]
    assert select.select([holder], [], [], 10)[0]
    os.close(holder)


def test_logs_flow_on_when_a_stopped_container_runs_again(room: Room, busybox: str, name: str) -> None:
    room.prepare(name)
    room.engine.ctr("containers", "create", busybox, name, "echo", "again")
    with Client(room.engine.address, room.engine.namespace) as containerd:
        for _ in range(2):
            rootfs = containerd.snapshots.mounts("overlayfs", name)
            containerd.tasks.create(name, rootfs=rootfs, stdout=room.uri)
            ended = containerd.tasks.wait(name)
            containerd.tasks.start(name)
            ended.result(60)
            containerd.tasks.delete(name)
    room.engine.ctr("containers", "rm", name)

    assert [entry["log"] for entry in room.log(name)] == ["again\n", "again\n"]


def kill_keeper_of(engine: Engine) -> None:
    """SIGKILL the keeper pyctl itself uses with this engine, and see it gone."""
    (store,) = (entry for entry in os.listdir(engine.data_root) if re.fullmatch("[0-9a-f]{8}", entry))
    place = (f"{engine.data_root}/{store}", "/run/pyctl")
    answer = client.request(*place, "ping", {}, data_root=engine.data_root)
    pidfd = os.pidfd_open(int(answer["pid"]))
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    select.select([pidfd], [], [])
    os.close(pidfd)


def test_following_goes_on_when_the_keeper_is_killed(engine: Engine, pyctl: Any, busybox: str, name: str) -> None:
    script = "for i in $(seq 20); do echo $i; sleep 0.05; done; read -t 1 x < /dev/zero; echo end"
    pyctl("run", "-d", "--network", "none", "--name", name, busybox, "sh", "-c", script)
    follower = pyctl.popen("logs", "-f", name, stdout=subprocess.PIPE)
    assert follower.stdout.readline() == b"1\n"
    kill_keeper_of(engine)
    rest = follower.stdout.read().decode().split()
    assert follower.wait() == 0
    pyctl("rm", "-f", name)

    assert rest == [*(str(number) for number in range(2, 21)), "end"]


@pytest.mark.parametrize("terminal", [(), ("-t",)], ids=["pipes", "terminal"])
def test_output_of_a_container_its_command_left_is_kept_though_the_keeper_is_killed(
    engine: Engine, pyctl: Any, busybox: str, name: str, tmp_path: Path, terminal: tuple[str, ...]
) -> None:
    script = "echo ready; until [ -e /shared/go ]; do usleep 10000; done; seq 100000; touch /shared/over; exec sleep 600"
    flags = ("--network", "none", "--sig-proxy=false", "-v", f"{tmp_path}:/shared", "--name", name, *terminal)
    front = pyctl.popen("run", *flags, busybox, "sh", "-c", script, stdout=subprocess.PIPE)
    assert front.stdout.readline().strip() == b"ready"
    front.terminate()
    front.communicate(timeout=30)
    kill_keeper_of(engine)
    (tmp_path / "go").touch()
    give_up = time.monotonic() + 30
    while not (tmp_path / "over").exists():  # and no command is run meanwhile
        assert time.monotonic() < give_up, "nobody reads what the container says"
    pyctl("kill", name)
    pyctl("wait", name)
    assert pyctl("logs", name).stdout.split() == ["ready", *(str(number) for number in range(1, 100001))]
    pyctl("rm", "-f", name)


def test_rm_is_carried_out_though_the_keeper_was_killed(engine: Engine, pyctl: Any, busybox: str, name: str) -> None:
    pyctl("run", "-d", "--rm", "--network", "none", "--name", name, busybox, "sleep", "600")
    pid = int(pyctl("inspect", "--format", "{{.State.Pid}}", name).out)
    kill_keeper_of(engine)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not pyctl("ps", "-aq", "--filter", f"name={name}").out)


def test_a_container_is_restarted_as_often_as_its_policy_says(engine: Engine, pyctl: Any, busybox: str, name: str) -> None:
    pyctl("run", "-d", "--restart", "on-failure:2", "--network", "none", "--name", name, busybox, "sh", "-c", "echo run; exit 3")
    until(lambda: pyctl("logs", name).out.split().count("run") >= 3)
    until(lambda: "Exited (3)" in pyctl("ps", "-a", "--format", "{{.Status}}", "--filter", f"name={name}").out)
    count = pyctl("logs", name).out.split().count("run")
    pyctl("rm", "-f", name)

    assert count == 3
