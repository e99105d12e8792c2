"""Whatever step of ``run`` fails, is interrupted or is killed: nothing stays. The steps come from the plan itself."""

from __future__ import annotations

import json
import os

import pytest
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


def _warm(pyctl: Pyctl, image: str) -> None:
    """What stays by design (the default network, the nft table) is there before we count."""
    pyctl("run", "--rm", "-p", "0:80", image, "true")
