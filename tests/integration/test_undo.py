"""Whatever step of ``run`` fails, is interrupted or is killed: nothing stays. The steps come from the plan itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import pytest
from tests.gates import open_gate
from tests.integration import leaks
from tests.integration.conftest import Pyctl
from tests.integration.engines import Engine

pytestmark = pytest.mark.integration

FAULTS = os.path.join(os.path.dirname(__file__), "outsiders", "faults")


def _arguments(name: str, image: str, cidfile: str, mode: str) -> list[str]:
    """A run that has every kind of step."""
    storage = ["-v", "/anonymous", "--tmpfs", "/scratch", f"--cidfile={cidfile}"]
    return [mode, "--name", name, "-p", "0:80", *storage, image, "sleep", "60"]


def _steps(pyctl: Pyctl, arguments: list[str]) -> list[str]:
    plan = json.loads(pyctl("run", "--dry-run=json", *arguments).stdout)
    return [step["name"] for step in plan]


@pytest.mark.parametrize("mode", ["-d", "-i"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failure_at_any_step_leaves_nothing(
    pyctl: Pyctl, engine: Engine, busybox: str, tmp_path: str, name: str, mode: str, when: str
) -> None:
    arguments = _arguments(name[-20:], busybox, f"{tmp_path}/cid", mode)
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    for step in _steps(pyctl, arguments):
        done = pyctl("run", *arguments, env={"PYTHONPATH": FAULTS, "PYCTL_FAULT": f"{when}:{step}:error"}, ok=False)
        assert done.code == 125, (step, done.stderr)
        assert f"injected {when} {step}" in done.stderr
        assert done.stdout == ""
        assert leaks.new(before, engine) == [], step
        assert not os.path.exists(f"{tmp_path}/cid")


def test_a_step_that_is_late_is_waited_for_by_all_that_need_it(pyctl: Pyctl, busybox: str, name: str) -> None:
    """Of a detached container with an open standard input, whose log has a reader before there is a task."""
    arguments = ["-d", "-i", "--name", name[-20:], "-p", "0:80", "-v", "/data", busybox, "hostname", "-i"]
    for step in _steps(pyctl, arguments):
        pyctl("run", *arguments, env={"PYTHONPATH": FAULTS, "PYCTL_FAULT": f"before:{step}:late"})
        assert pyctl("wait", name[-20:]).out == "0", step
        assert pyctl("logs", name[-20:]).out.count(".") == 3, step
        pyctl("rm", "-v", name[-20:])


@pytest.mark.parametrize("how", ["int", "term"])
def test_an_interrupt_at_any_step_leaves_nothing(
    pyctl: Pyctl, engine: Engine, busybox: str, tmp_path: str, name: str, how: str
) -> None:
    arguments = _arguments(name[-20:], busybox, f"{tmp_path}/cid", "-d")
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    for step in _steps(pyctl, arguments):
        done = pyctl("run", *arguments, env={"PYTHONPATH": FAULTS, "PYCTL_FAULT": f"before:{step}:{how}"}, ok=False)
        assert done.code == 130, (step, done.code, done.stderr)
        assert leaks.new(before, engine) == [], step


def test_a_kill_at_any_step_is_undone_by_the_next_command(
    pyctl: Pyctl, engine: Engine, busybox: str, tmp_path: str, name: str
) -> None:
    arguments = _arguments(name[-20:], busybox, f"{tmp_path}/cid", "-d")
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    for step in _steps(pyctl, arguments):
        for when in ("before", "after"):
            done = pyctl("run", *arguments, env={"PYTHONPATH": FAULTS, "PYCTL_FAULT": f"{when}:{step}:kill"}, ok=False)
            assert done.code == -9, (step, done.code, done.stderr)
            pyctl("system", "reconcile")
            assert leaks.new(before, engine) == [], f"{when} {step}"


def test_a_kill_while_the_task_is_made_leaves_nothing(pyctl: Pyctl, engine: Engine, busybox: str) -> None:
    """The shim waits for the command's end of a FIFO then; after five seconds containerd 2.1 would forget what runc made."""
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    groups = f"/sys/fs/cgroup/pids/{engine.namespace}"
    for _ in range(3):
        there = os.listdir(groups)
        with pyctl.popen("run", "-i", busybox, "sleep", "60", env=pyctl.env(), stdin=subprocess.DEVNULL) as command:
            while os.listdir(groups) == there and command.poll() is None:
                pass  # the moment is over in a few milliseconds
            command.kill()
        pyctl("system", "reconcile")
        assert leaks.new(before, engine) == []


@pytest.mark.parametrize("command", ["is there", "hears late of it", "is killed"])
def test_what_containerd_was_making_when_it_died_is_cleared_away(
    pyctl: Pyctl, engine: Engine, busybox: str, name: str, tmp_path: Path, command: str
) -> None:
    """Its runtime is ended with a control group made and nothing noted; containerd 1.6 would keep the shim for good."""
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    gate, runtime, groups = tmp_path / "gate", tmp_path / "runtime", f"/sys/fs/cgroup/pids/{engine.namespace}"
    os.mkfifo(gate)
    create = f'for id; do :; done; mkdir "{groups}/$id"; read -r _ < "{gate}"'
    runtime.write_text(f'#!/bin/sh\ncase " $* " in *" create "*) {create};; esac\nexec runc "$@"\n')
    runtime.chmod(0o755)
    flags = ("-d", "--network", "none", "--name", name, "--runtime", str(runtime))
    with pyctl.popen("run", *flags, busybox, "sleep", "60", env=pyctl.env(), stderr=subprocess.DEVNULL) as process:
        at_gate = open_gate(gate)
        if command == "is killed":
            process.kill()
        elif command == "hears late of it":
            process.send_signal(signal.SIGSTOP)
        engine.restart()
        os.close(at_gate)
        process.send_signal(signal.SIGCONT)
        assert process.wait(30) == (-9 if command == "is killed" else 125)
    begun = time.monotonic()
    pyctl("system", "reconcile")
    assert time.monotonic() - begun < 5 and leaks.new(before, engine) == []


def test_a_shim_that_containerd_does_not_know_keeps_no_container_from_starting(
    pyctl: Pyctl, engine: Engine, busybox: str, name: str
) -> None:
    """One that was on its way when containerd was killed, and was there just after containerd was back."""
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    container_id = pyctl("create", "--network", "none", "--name", name, busybox, "sleep", "60").out
    assert pyctl("start", name, env={"PYTHONPATH": FAULTS, "PYCTL_FAULT": "before:task:kill"}, ok=False).code == -9
    bundle = Path(engine.base) / "state/io.containerd.runtime.v2.task" / engine.namespace / container_id
    (bundle / "rootfs").mkdir(parents=True)
    (bundle / "config.json").write_text("{}")
    os.mkfifo(bundle / "log")
    shim = [f"{engine.binaries}/containerd-shim-runc-v2", "-namespace", engine.namespace, "-id", container_id]
    env = {**os.environ, "TTRPC_ADDRESS": f"{engine.address}.ttrpc"}
    with open(os.open(bundle / "log", os.O_RDWR)):
        subprocess.run([*shim, "-address", engine.address, "start"], cwd=bundle, env=env, check=True, stdout=subprocess.DEVNULL)
        assert pyctl("start", name).out == name
    pyctl("rm", "-f", name)
    assert leaks.new(before, engine) == [] and not bundle.exists()


def test_an_exec_killed_while_it_is_started_keeps_nobody_waiting(pyctl: Pyctl, engine: Engine, busybox: str, name: str) -> None:
    """Without a reader of its output the shim waits for half a minute, and the container's end with it."""
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    container_id = pyctl("run", "-d", "--name", name[-20:], busybox, "sleep", "60").out
    processes = f"/sys/fs/cgroup/pids/{engine.namespace}/{container_id}/cgroup.procs"
    for _ in range(3):
        there = _lines(processes)
        with pyctl.popen("exec", "-i", name[-20:], "cat", env=pyctl.env(), stdin=subprocess.PIPE) as command:
            while _lines(processes) == there and command.poll() is None:
                pass
            command.kill()
    pyctl("rm", "-f", name[-20:], timeout_s=20)
    assert leaks.new(before, engine) == []


def _lines(path: str) -> list[str]:
    with open(path) as file:
        return file.readlines()


CHANGE = ("endpoint-eth1", "attachment-eth1", "peers-eth1")


@pytest.fixture
def two_networks(pyctl: Pyctl, busybox: str, name: str) -> Iterator[str]:
    """A running container on network ``one``; there is a network ``two`` as well."""
    short = name[-20:].strip("-")
    for network in ("one", "two"):
        pyctl("network", "create", network)
    pyctl("run", "-d", "--name", short, "--network", "one", busybox, "sleep", "600")
    pyctl("network", "connect", "two", short)  # what stays by design is there before we count
    pyctl("network", "disconnect", "two", short)
    yield short
    pyctl("rm", "-f", short)
    pyctl("network", "rm", "one", "two")


def _links(pyctl: Pyctl, container: str) -> list[str]:
    return sorted(
        line.split()[1].rstrip(":").partition("@")[0] for line in pyctl("exec", container, "ip", "-o", "link").stdout.splitlines()
    )


def _fault(when: str, step: str, how: str) -> dict[str, str]:
    return {"PYTHONPATH": FAULTS, "PYCTL_FAULT": f"{when}:{step}:{how}"}


def _is_as_before(pyctl: Pyctl, engine: Engine, before: leaks.Census, container: str) -> bool:
    assert leaks.new(before, engine) == []
    return _links(pyctl, container) == ["eth0", "lo"] and _connected(pyctl, container) == {"one"}


def test_a_failed_or_interrupted_connect_leaves_nothing(pyctl: Pyctl, engine: Engine, two_networks: str) -> None:
    before = leaks.census(engine)
    for step in CHANGE:
        for when, how, code in (("before", "error", 1), ("after", "error", 1), ("before", "int", 130)):
            if (step, how) == (CHANGE[-1], "int"):
                continue  # all that is left is done by then
            done = pyctl("network", "connect", "two", two_networks, env=_fault(when, step, how), ok=False)
            assert done.code == code, (step, when, how, done.stderr)
        assert _is_as_before(pyctl, engine, before, two_networks), step


def test_a_killed_connect_is_undone_by_the_next_command(pyctl: Pyctl, engine: Engine, two_networks: str) -> None:
    before = leaks.census(engine)
    for step in CHANGE:
        for when in ("before", "after"):  # the second connect undoes the first
            done = pyctl("network", "connect", "two", two_networks, env=_fault(when, step, "kill"), ok=False)
            assert done.code == -9, (step, done.stderr)
        pyctl("system", "reconcile")
        assert _is_as_before(pyctl, engine, before, two_networks), step


def test_a_killed_connect_whose_container_then_dies_leaves_nothing(pyctl: Pyctl, engine: Engine, two_networks: str) -> None:
    pyctl("stop", "-t", "0", two_networks)
    before = leaks.census(engine)
    pyctl("start", two_networks)
    pyctl("network", "connect", "two", two_networks, env=_fault("after", "attachment-eth1", "kill"), ok=False)
    (found,) = json.loads(pyctl("inspect", two_networks).stdout)
    os.kill(found["State"]["Pid"], signal.SIGKILL)
    pyctl("wait", two_networks)
    pyctl("system", "reconcile")
    assert leaks.new(before, engine) == []
    assert _connected(pyctl, two_networks) == {"one"}
    pyctl("start", two_networks)
    assert _links(pyctl, two_networks) == ["eth0", "lo"]


def test_whoever_comes_next_goes_on_with_a_broken_off_disconnect(pyctl: Pyctl, engine: Engine, two_networks: str) -> None:
    container_id = pyctl("inspect", "-f", "{{.Id}}", two_networks).out
    before = leaks.census(engine)
    for step in CHANGE:
        for when, how, code in (("before", "error", 1), ("before", "kill", -9), ("after", "kill", -9)):
            pyctl("network", "connect", "two", two_networks)
            done = pyctl("network", "disconnect", "two", two_networks, env=_fault(when, step, how), ok=False)
            assert done.code == code, (step, done.stderr)
            (state_dir,) = glob(f"{engine.data_root}/*/containers/{engine.namespace}/{container_id}")
            with open(f"{state_dir}/.tmp-pyctl-networks.json0123456789ab", "w"):
                pass  # as a kill leaves it in one of many runs: the next step is under way then, and writes this file
        pyctl("system", "reconcile")
        assert _is_as_before(pyctl, engine, before, two_networks), step


def _connected(pyctl: Pyctl, container: str) -> set[str]:
    (found,) = json.loads(pyctl("inspect", container).stdout)
    return set(found["NetworkSettings"]["Networks"])


def _warm(pyctl: Pyctl, image: str) -> None:
    """What stays by design (the default network, the nft table) is there before we count."""
    pyctl("run", "--rm", "-p", "0:80", image, "true")


DYING = os.path.join(os.path.dirname(__file__), "outsiders", "dying")
UNDONE = (
    "core/hosts", "network/bridge", "sent", "task/containerd", "core/netns", "core/container", "core/name",
    "snapshotter/overlayfs", "core/files",
)  # fmt: skip


@pytest.mark.parametrize(
    ("how", "steps"), [(["rm", "-f"], UNDONE), (["stop", "-t", "0"], ("sent", "core/netns"))], ids=["rm", "stop"]
)
def test_a_removal_killed_anywhere_is_ended_by_the_next(
    pyctl: Pyctl, engine: Engine, busybox: str, name: str, how: list[str], steps: tuple[str, ...]
) -> None:
    names = [f"{name[:20]}-{number}" for number in (1, 2)]
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    for step in steps:
        for one in names:
            pyctl("run", "-d", "--name", one, "-p", "0:80", busybox, "sleep", "60")
        done = pyctl(*how, *names, env={"PYTHONPATH": DYING, "PYCTL_DIE": step}, ok=False)
        assert done.code == -9, (step, done.stderr)
        pyctl("rm", "-f", *names)
        assert leaks.new(before, engine) == [], step


@pytest.mark.parametrize("with_its_directory", [False, True])
def test_the_name_of_a_container_that_another_tool_removed_is_free(
    pyctl: Pyctl, engine: Engine, busybox: str, name: str, with_its_directory: bool
) -> None:
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    container_id = pyctl("create", "--name", name, busybox, "true").out
    engine.ctr("containers", "rm", container_id)
    if with_its_directory:  # as nerdctl does, and with it goes what says how to undo the rest
        directories = glob(f"{engine.data_root}/*/*/{engine.namespace}/{container_id}")
        assert len(directories) == 2  # its state, its hosts file
        for directory in directories:
            shutil.rmtree(directory)
    assert pyctl("run", "--rm", "--name", name, busybox, "echo", "again").out == "again"
    assert leaks.new(before, engine) == []


@pytest.mark.parametrize("how", [("rm", "-f"), ("stop", "-t", "0")])
def test_what_could_not_be_released_is_not_forgotten(
    pyctl: Pyctl, engine: Engine, busybox: str, name: str, tmp_path: Path, how: tuple[str, ...]
) -> None:
    """The container stays while something of its run does, or nobody could ever delete its task."""
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    runtime, broken = tmp_path / "runtime", tmp_path / "broken"
    runtime.write_text(f'#!/bin/sh\ncase " $* " in *" delete "*) [ ! -e "{broken}" ] || exit 1;; esac\nexec runc "$@"\n')
    runtime.chmod(0o755)
    pyctl("run", "-d", "--name", name, "-p", "0:80", "--runtime", str(runtime), busybox, "sleep", "60")
    broken.touch()
    done = pyctl(*how, name, ok=False)
    assert done.code == 1 and "failed to delete task" in done.stderr
    assert pyctl("ps", "-a", "--format", "{{.Names}} {{.State}}").out == f"{name} exited"
    broken.unlink()
    pyctl("rm", "-f", name)
    assert leaks.new(before, engine) == []


def test_many_are_removed_together_whatever_they_do(pyctl: Pyctl, engine: Engine, busybox: str, name: str) -> None:
    _warm(pyctl, busybox)
    before = leaks.census(engine)
    kinds = ("running", "stubborn", "paused", "stopped", "created", "elsewhere")
    names = {kind: f"{name[:20]}-{kind}" for kind in kinds}
    idle = ("create", "--network", "none")
    ids = {kind: pyctl(*idle, "--name", names[kind], busybox, "sleep", "60").out for kind in ("created", "elsewhere")}
    engine.ctr("tasks", "start", "-d", ids["elsewhere"])  # no run of ours
    for kind in ("running", "paused", "stopped"):
        ids[kind] = pyctl("run", "-d", "--name", names[kind], busybox, "sleep", "60").out
    trap = "trap '' TERM; while :; do sleep 1; done"
    ids["stubborn"] = pyctl("run", "-d", "--restart=always", "--name", names["stubborn"], busybox, "sh", "-c", trap).out
    pyctl("stop", "-t", "0", names["stopped"])
    engine.ctr("tasks", "pause", ids["paused"])
    asked = [*names.values(), ids["running"][:12], "nobody", names["paused"]]
    done = pyctl("rm", "-f", *asked)
    assert set(names.values()) <= set(done.stdout.split())  # the second of two names may come while the first is at work
    assert "No such container: nobody" in done.stderr
    assert leaks.new(before, engine) == []
