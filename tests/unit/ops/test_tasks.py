"""Killing a container's first process directly, and only that."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.containerd.records import ExitStatus, TaskStatus
from pyctl.ops.tasks import _kill_init, await_dying, await_end, kill_and_wait
from pyctl_hookspecs.errors import PyctlError

_FOREVER = ["sleep", "1000"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(_FOREVER) as process:
        yield process
        process.kill()


def _cgroup_name(pid: int) -> str:
    """Something that is certainly in ``/proc/PID/cgroup``, as a container's ID is."""
    with open(f"/proc/{pid}/cgroup") as cgroups:
        return cgroups.readline().strip()


def test_a_process_that_is_not_the_first_of_a_namespace_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    assert not _kill_init(sleeper.pid, _cgroup_name(sleeper.pid))
    assert sleeper.poll() is None


def test_a_process_of_somebody_else_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    assert not _kill_init(sleeper.pid, "0123456789abcdef")
    assert sleeper.poll() is None


def test_a_number_that_nobody_has_is_nothing_to_kill(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    assert not _kill_init(sleeper.pid, "")
    assert not _kill_init(0, "")


def test_ends_are_waited_for_together(sleeper: subprocess.Popen[bytes]) -> None:
    with subprocess.Popen(["true"]) as short:
        processes = {"short": os.pidfd_open(short.pid), "long": os.pidfd_open(sleeper.pid)}
        try:
            assert await_end({"short": processes["short"]}) == {"short"}
            assert await_end(processes, 0.01) == {"short"}
            sleeper.kill()
            assert await_end(processes) == {"short", "long"}
        finally:
            for process in processes.values():
                os.close(process)
    assert await_end({}) == set()


def test_one_that_was_killed_is_waited_for_once(sleeper: subprocess.Popen[bytes]) -> None:
    process = os.pidfd_open(sleeper.pid)
    dying = {"c1": process}
    assert not await_dying(dying, "c2")
    sleeper.kill()
    assert await_dying(dying, "c1")
    assert os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    assert not await_dying(dying, "c1") and dying == {}
    with pytest.raises(OSError):
        os.fstat(process)


@pytest.mark.parametrize("ends", [True, False])
def test_a_runtime_that_thaws_to_kill_need_not_resume(ends: bool) -> None:
    """It says "container not paused" then, and the task may be called paused until the end is known."""

    def refuse(_container_id: str) -> None:
        raise PyctlError("container not paused")

    def result(timeout_s: float | None = None) -> ExitStatus:
        if timeout_s is not None and not ends:
            raise TimeoutError
        return ExitStatus(code=137, exited_at="then")

    waiting = SimpleNamespace(result=result, cancel=lambda: None)
    tasks = SimpleNamespace(wait=lambda _: waiting, kill=lambda *_, all_processes: None, resume=refuse)
    client: Any = SimpleNamespace(tasks=tasks)
    paused = TaskStatus(container_id="c", exec_id="", pid=1, status="paused")
    if ends:
        ended = kill_and_wait(client, "c", paused)
        assert ended is not None and (ended.status, ended.exit_status) == ("stopped", 137)
    else:
        with pytest.raises(PyctlError, match="not paused"):
            kill_and_wait(client, "c", paused)
