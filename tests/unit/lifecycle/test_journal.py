"""The plan on disk: who owns it, what a kill leaves, who undoes it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.unit.state import full_disk

from pyctl.lifecycle.journal import Journal, is_owned, read_plan
from pyctl.lifecycle.recover import undo_plan
from pyctl.lifecycle.steps import Step


def _step(name: str) -> Step:
    return Step(name=name, says=name, provider="core/thing", undo_token=name, do=lambda _: None)


def test_nobody_else_may_carry_out_a_plan_that_has_an_owner(tmp_path: Path) -> None:
    path = str(tmp_path / "j")
    journal = Journal(path)
    assert is_owned(path)
    with pytest.raises(BlockingIOError):
        Journal(path)
    journal.close()
    assert not is_owned(path)


def test_an_empty_journal_means_nothing_happened(tmp_path: Path) -> None:
    path = str(tmp_path / "j")
    Journal(path).close()
    assert os.path.exists(path) and not is_owned(path)
    assert undo_plan(path, lambda provider, token: pytest.fail("nothing to undo")) == []
    assert not os.path.exists(path)


def test_a_torn_first_line_means_nothing_happened(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"plan":[["a","core/thi')
    plan = read_plan(str(path))
    assert plan is not None and plan.entries == []


def test_a_killed_owner_leaves_a_plan_that_others_undo(tmp_path: Path) -> None:
    path = str(tmp_path / "j")
    pid = os.fork()
    if pid == 0:
        journal = Journal(path)
        journal.begin([_step("a"), _step("b")])
        journal.mark("a")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert os.path.exists(path) and not is_owned(path)
    undone: list[str] = []
    assert undo_plan(path, lambda provider, token: undone.append(token)) == []
    assert sorted(undone) == ["a", "b"]
    assert not os.path.exists(path)


def test_discarding_takes_the_directory_along(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "shm").mkdir(parents=True)
    (state / "hostname").write_text("x")
    journal = Journal(str(state / "j"), owns_directory=True)
    journal.begin([_step("a")])
    journal.discard()
    assert not state.exists()


def test_only_what_is_picked_is_undone(tmp_path: Path) -> None:
    path = str(tmp_path / "j")
    journal = Journal(path)
    journal.begin([_step("kept"), _step("gone")])
    journal.complete()
    undone: list[str] = []
    undo_plan(path, lambda provider, token: undone.append(token), which=lambda entry: entry.name == "gone")
    assert undone == ["gone"]


def test_a_plan_that_somebody_else_undid_in_the_meantime_is_a_success(tmp_path: Path) -> None:
    assert undo_plan(str(tmp_path / "nothing"), lambda provider, token: pytest.fail("no")) == []


def test_a_plan_that_a_full_disk_takes_in_part_is_not_carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(str(tmp_path / "j"))
    monkeypatch.setattr(os, "write", full_disk.writer(room=20))
    with pytest.raises(OSError, match="No space left") as caught:
        journal.begin([_step("a")])
    monkeypatch.undo()
    assert caught.value.filename == journal.path
    journal.close()
