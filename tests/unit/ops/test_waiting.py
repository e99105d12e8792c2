"""``wait`` while somebody else deletes the task: the exit code is on disk by then."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.containerd.records import Container, TaskStatus
from pyctl.lifecycle.cancel import Cancel
from pyctl.ops.containers import wait_one
from pyctl.ops.ending import state_of
from pyctl.state.containers import ExitRecord
from pyctl.state.paths import StatePaths
from pyctl_hookspecs import NotFoundError, PyctlError
from pyctl_hookspecs.errors import CancelledError


class Tasks:
    """One task whose shim hangs up on whoever waits for it; ``is_there`` says whether the task is."""

    is_there = False

    def wait(self, _container_id: str) -> Any:
        def hang_up(_timeout_s: float | None) -> None:
            raise PyctlError("ttrpc: closed")

        return SimpleNamespace(result=hang_up, cancel=lambda: None)

    def get(self, container_id: str) -> TaskStatus:
        if not self.is_there:
            raise NotFoundError("task", container_id)
        return TaskStatus(container_id=container_id, exec_id="", pid=1, status="running")


@pytest.fixture
def session(tmp_path: Path) -> Any:
    paths = StatePaths(data_root=str(tmp_path), data_store=f"{tmp_path}/store", namespace="n", runtime_dir=f"{tmp_path}/run")
    session: Any = SimpleNamespace(paths=paths, client=SimpleNamespace(tasks=Tasks()), cancel=Cancel())
    state = state_of(session, "c1")
    state.make()
    state.save_exit(ExitRecord(exit_code=7, exited_at="2026-01-01T00:00:00Z"))
    return session


def test_the_code_of_a_task_that_was_deleted_meanwhile_is_the_recorded_one(session: Any) -> None:
    assert wait_one(session, Container(container_id="c1")) == 7


def test_a_shim_that_hangs_up_while_the_task_is_there_is_an_error(session: Any) -> None:
    session.client.tasks.is_there = True
    with pytest.raises(PyctlError, match="ttrpc"):
        wait_one(session, Container(container_id="c1"))


def test_who_has_had_enough_ends_the_call(session: Any) -> None:
    """Before it is waited for; the task's end is not."""
    session.client.tasks.is_there = True
    happened: list[str] = []

    def result(_timeout_s: float | None) -> Any:
        happened.append("waited")
        raise CancelledError("the call was cancelled")

    pending = SimpleNamespace(result=result, cancel=lambda: happened.append("cancelled"))
    session.client.tasks.wait = lambda _container_id: pending
    session.cancel.set()
    with pytest.raises(CancelledError):
        wait_one(session, Container(container_id="c1"))
    assert happened[:2] == ["cancelled", "waited"]
