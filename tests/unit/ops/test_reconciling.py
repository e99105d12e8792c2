"""Notes of unfinished work: nobody undoes what a living command is doing, everybody what a dead one left."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.lifecycle.journal import Journal
from pyctl.lifecycle.steps import Step
from pyctl.ops import reconciling
from pyctl.ops.reconciling import pending, undo_abandoned
from pyctl.state.names import NameStore
from pyctl.state.paths import StatePaths
from pyctl_hookspecs import PyctlError


@pytest.fixture
def session(tmp_path: Path) -> Any:
    paths = StatePaths(data_root=str(tmp_path), data_store=f"{tmp_path}/store", namespace="n", runtime_dir=f"{tmp_path}/run")
    os.makedirs(paths.containers)
    return SimpleNamespace(paths=paths, namespace="n", names=NameStore(paths.names))


def test_a_state_directory_that_is_about_to_be_filled_is_left_alone(session: Any) -> None:
    with pending(session, "c1"):
        os.mkdir(session.paths.state_dir("c1"))  # its journal comes next: nothing else tells that somebody lives
        assert undo_abandoned(session) == []
        assert os.path.isdir(session.paths.state_dir("c1"))


def test_what_a_killed_command_left_is_undone_and_its_note_goes(session: Any) -> None:
    pid = os.fork()
    if pid == 0:
        with pending(session, "c1"):
            os.mkdir(session.paths.state_dir("c1"))
            journal = Journal(f"{session.paths.state_dir('c1')}/pyctl-create.journal", owns_directory=True)
            journal.begin([Step(name="a", says="a", provider="core/none", undo_token="a", do=lambda _: None)])
            os._exit(9)
    os.waitpid(pid, 0)
    assert undo_abandoned(session) == ["undid the interrupted creation of container c1"]
    assert not os.path.exists(session.paths.state_dir("c1"))
    assert undo_abandoned(session) == []


def test_what_cannot_be_undone_is_said_and_stops_nobody(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_session: Any, container_id: str) -> list[str]:
        raise ExceptionGroup("no", [PyctlError("the plug-in's words"), OSError(28, "full")])

    monkeypatch.setattr(reconciling, "undo_container", fail)
    session.notices = []
    pid = os.fork()
    if pid == 0:
        with pending(session, "c1"):
            os._exit(9)
    os.waitpid(pid, 0)
    assert undo_abandoned(session) == []
    assert session.notices[0] == "WARNING: leftovers of c1 are still there: the plug-in's words"
    assert len(session.notices) == 2


def test_a_finished_plan_leaves_no_note(session: Any) -> None:
    with pending(session, "c1"):
        pass
    assert os.listdir(f"{session.paths.data_store}/pending/n") == []
