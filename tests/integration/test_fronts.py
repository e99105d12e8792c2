"""A command in front of a container is killed with SIGKILL: the next command has somebody else go on."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from tests.integration.engines import Engine

pytestmark = pytest.mark.integration

_SCRIPT = "trap 'echo good; echo bye; exit 7' USR1; echo up; while :; do sleep 1000 & wait $!; done"


@pytest.fixture
def abandoned(pyctl: Any, busybox: str, name: str) -> Any:
    """Start a container in the foreground with these flags and kill the command once it passes output on."""

    def begin(*flags: str) -> None:
        with pyctl.popen("run", *flags, "--name", name, busybox, "sh", "-c", _SCRIPT, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"up\n"
            process.kill()

    return begin


def _come_by(pyctl: Any) -> None:
    pyctl("rm", "-f", "nobody")


def test_one_that_runs_on_is_read_and_dealt_with(pyctl: Any, name: str, abandoned: Any) -> None:
    abandoned()
    _come_by(pyctl)
    pyctl("kill", "-s", "USR1", name)
    assert pyctl("wait", name).out == "7"
    assert pyctl("logs", name).stdout == "up\ngood\nbye\n"
    state = json.loads(pyctl("inspect", name).stdout)[0]
    assert (state["State"]["Status"], state["NetworkSettings"]["IPAddress"]) == ("exited", "")
    pyctl("rm", name)


def test_one_that_runs_on_is_removed_at_its_end(pyctl: Any, name: str, abandoned: Any) -> None:
    abandoned("--rm", "-p", "80")
    _come_by(pyctl)
    pyctl("kill", "-s", "USR1", name)  # the keeper removes it: what stays is found after the test


def test_one_that_has_ended_is_removed(pyctl: Any, engine: Engine, name: str, abandoned: Any) -> None:
    abandoned("--rm", "-p", "80")
    container_id = pyctl("inspect", "-f", "{{.Id}}", name).out
    engine.ctr("tasks", "kill", "-s", "KILL", container_id)
    pyctl("wait", name)
    _come_by(pyctl)
    assert pyctl("ps", "-aq").out == ""
