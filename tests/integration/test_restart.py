"""Restart policies: who is started again, how often, and who is left alone."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration


class Lives:
    """A container that says every time it starts, through a FIFO it shares with the test."""

    def __init__(self, pyctl: Any, image: str, name: str, directory: Path) -> None:
        self._pyctl, self._image, self.name = pyctl, image, name
        self._directory = str(directory)
        os.mkfifo(directory / "says")
        self._fifo = os.open(directory / "says", os.O_RDWR)

    def start(self, policy: str, script: str) -> None:
        flags = ("--network", "none", "--restart", policy, "--name", self.name, "-v", f"{self._directory}:/test")
        self._pyctl("run", "-d", *flags, self._image, "sh", "-c", f"echo x > /test/says; {script}")

    def count(self, wanted: int) -> None:
        """Return once it has started ``wanted`` times more."""
        for _ in range(wanted):
            assert select.select([self._fifo], [], [], 30)[0], f"{self.name} was not started again"
            assert os.read(self._fifo, 2) == b"x\n"

    def is_silent(self) -> bool:
        return not select.select([self._fifo], [], [], 0)[0]

    def state(self) -> str:
        out: str = self._pyctl("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}", self.name).out
        return out

    def end(self) -> None:
        self._pyctl("rm", "-f", "-v", self.name, ok=False)
        os.close(self._fifo)


@pytest.fixture
def lives(pyctl: Any, busybox: str, name: str, tmp_path: Path) -> Iterator[Lives]:
    container = Lives(pyctl, busybox, name, tmp_path)
    yield container
    container.end()


OBEDIENT = "trap 'exit 0' TERM USR1; while :; do sleep 1000 & wait; done"


def test_on_failure_gives_up_after_its_count(pyctl: Any, lives: Lives) -> None:
    lives.start("on-failure:2", "echo said; exit 5")
    lives.count(3)
    assert pyctl("wait", lives.name).out == "5"
    assert lives.state() == "exited 5 2" and lives.is_silent()
    assert pyctl("logs", lives.name).stdout == "said\n" * 3


def test_on_failure_leaves_success_alone(pyctl: Any, lives: Lives) -> None:
    lives.start("on-failure", "exit 0")
    lives.count(1)
    assert pyctl("wait", lives.name).out == "0"
    assert lives.state() == "exited 0 0"


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_what_ends_comes_back_and_what_is_stopped_stays(pyctl: Any, lives: Lives, policy: str) -> None:
    lives.start(policy, OBEDIENT)
    lives.count(1)
    pyctl("exec", lives.name, "kill", "-USR1", "1", ok=False)  # the end may overtake the answer
    lives.count(1)
    assert lives.state() == "running 0 1"
    pyctl("stop", lives.name)
    assert lives.state().startswith("exited ") and lives.is_silent()
    pyctl("start", lives.name)
    lives.count(1)
    assert lives.state() == "running 0 0"


def test_a_process_that_is_killed_comes_back(pyctl: Any, lives: Lives) -> None:
    lives.start("always", OBEDIENT)
    lives.count(1)
    os.kill(int(pyctl("inspect", "-f", "{{.State.Pid}}", lives.name).out), 9)
    lives.count(1)
    assert lives.state() == "running 0 1"


def test_a_restart_that_waits_is_called_off_by_stop(pyctl: Any, lives: Lives) -> None:
    """Its delay grows; stop in the middle of it is the last word."""
    lives.start("always", "exit 1")
    lives.count(3)
    pyctl("stop", lives.name)
    assert lives.state().startswith("exited ")
    pyctl("rm", lives.name)
    assert lives.is_silent()


def test_restart_starts_what_runs_and_what_does_not(pyctl: Any, lives: Lives) -> None:
    lives.start("no", OBEDIENT)
    lives.count(1)
    first = pyctl("inspect", "-f", "{{.State.Pid}}", lives.name).out
    assert pyctl("restart", lives.name).out == lives.name
    lives.count(1)
    assert pyctl("inspect", "-f", "{{.State.Pid}}", lives.name).out != first
    pyctl("stop", lives.name)
    pyctl("restart", "-t", "0", lives.name)
    lives.count(1)
    assert lives.state() == "running 0 0"
