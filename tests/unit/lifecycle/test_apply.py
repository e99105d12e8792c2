"""Plans carried out: order, failure, undo, interruption. Steps are real closures over a small world of names."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.unit.state import full_disk

from pyctl.lifecycle.apply import Chapter, apply
from pyctl.lifecycle.cancel import Cancel
from pyctl.lifecycle.journal import Journal, is_owned, read_plan
from pyctl.lifecycle.recover import undo_plan
from pyctl.lifecycle.steps import Step, planned
from pyctl_hookspecs.errors import CancelledError, PyctlError


class World:
    """Remembers what exists; undoing what does not exist succeeds."""

    def __init__(self) -> None:
        self.things: set[str] = set()
        self.undone: list[str] = []
        self.refuses: set[str] = set()

    def step(self, name: str, *needs: str, fail: BaseException | None = None) -> Step:
        def do(_results: Any) -> str:
            self.things.add(name)
            if fail is not None:
                raise fail
            return f"made {name}"

        return Step(name=name, says=f"make {name}", provider="core/thing", undo_token=name, needs=needs, do=do)

    def undo(self, provider: str, token: str) -> None:
        assert provider == "core/thing"
        self.undone.append(token)
        if token in self.refuses:
            raise PyctlError(f"{token} does not go away")
        self.things.discard(token)


@pytest.fixture
def world() -> World:
    return World()


def carry_out(path: Path, world: World, steps: list[Step], cancel: Cancel | None = None) -> dict[str, Any]:
    return apply([Chapter(journal=Journal(str(path)), steps=tuple(steps))], world.undo, cancel or Cancel())


def test_results_arrive_and_the_plan_stays_complete(tmp_path: Path, world: World) -> None:
    results = carry_out(tmp_path / "j", world, [world.step("a"), world.step("b", "a")])
    assert results == {"a": "made a", "b": "made b"}
    plan = read_plan(str(tmp_path / "j"))
    assert plan is not None and plan.is_complete
    assert [(e.name, e.undo_token, e.needs) for e in plan.entries] == [("a", "a", ()), ("b", "b", ("a",))]


def test_independent_steps_run_at_the_same_time(tmp_path: Path, world: World) -> None:
    meeting = threading.Barrier(2, timeout=10)  # both must be inside at once to pass

    def meet(_results: Any) -> None:
        meeting.wait()

    steps = [Step(name=n, says=n, provider="core/thing", undo_token=n, do=meet) for n in ("left", "right")]
    carry_out(tmp_path / "j", world, steps)


@pytest.mark.parametrize("broken", ["a", "b", "c"])
def test_a_failure_undoes_everything_begun_in_reverse(tmp_path: Path, world: World, broken: str) -> None:
    steps = [
        world.step(name, *needs, fail=PyctlError("no") if name == broken else None)
        for name, needs in (("a", ()), ("b", ("a",)), ("c", ("b",)))
    ]
    with pytest.raises(BaseExceptionGroup) as caught:
        carry_out(tmp_path / "j", world, steps)
    assert [str(e) for e in caught.value.exceptions] == ["no"]
    assert getattr(caught.value.exceptions[0], "step", "") == broken
    assert world.things == set()
    assert world.undone == ["c", "b", "a"]["abc".index("c") - "abc".index(broken) :]
    assert not (tmp_path / "j").exists()


def test_every_undo_runs_and_all_their_failures_are_reported(tmp_path: Path, world: World) -> None:
    world.refuses = {"a", "b"}
    with pytest.raises(BaseExceptionGroup) as caught:
        carry_out(tmp_path / "j", world, [world.step("a"), world.step("b", "a"), world.step("c", "b", fail=PyctlError("no"))])
    assert sorted(str(e) for e in caught.value.exceptions) == ["a does not go away", "b does not go away", "no"]
    assert sorted(world.undone) == ["a", "b", "c"]
    assert not is_owned(str(tmp_path / "j"))  # kept for the next attempt
    world.refuses = set()
    assert undo_plan(str(tmp_path / "j"), world.undo) == []
    assert world.things == set() and not (tmp_path / "j").exists()


def test_an_interrupt_starts_nothing_more_and_undoes(tmp_path: Path, world: World) -> None:
    cancel = Cancel()
    first = world.step("a")
    interrupted = first.replace(do=lambda results: (first.do(results), cancel.set()))
    with pytest.raises(BaseExceptionGroup) as caught:
        carry_out(tmp_path / "j", world, [interrupted, world.step("b", "a")], cancel)
    error = caught.value.exceptions[0]
    assert isinstance(error, CancelledError) and error.exit_code == 130
    assert world.undone == ["a"] and world.things == set()


def test_steps_that_wait_for_each_other_are_a_bug(tmp_path: Path, world: World) -> None:
    with pytest.raises(ValueError, match="wait for each other"):
        carry_out(tmp_path / "j", world, [world.step("a", "b"), world.step("b", "a")])


def test_what_the_machine_refuses_is_one_line(tmp_path: Path, world: World) -> None:
    full = OSError(28, "No space left on device", "/var/lib/x")
    with pytest.raises(BaseExceptionGroup) as caught:
        carry_out(tmp_path / "j", world, [world.step("a", fail=full)])
    assert str(caught.value.exceptions[0]) == "make a: /var/lib/x: no space left on device"


def test_a_plan_as_data_says_everything_but_how(world: World) -> None:
    (only,) = planned([world.step("a", "z")])
    assert only.as_dict() == {
        "name": "a", "says": "make a", "provider": "core/thing", "undo_token": "a", "needs": ["z"], "late": [],
    }  # fmt: skip


def test_a_disk_without_room_for_the_plan_keeps_no_trace_of_it(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    chapters = [
        Chapter(journal=Journal(f"{state}/create", owns_directory=True), steps=(world.step("a"),)),
        Chapter(journal=Journal(f"{state}/start"), steps=(world.step("b", "a"),)),
    ]
    monkeypatch.setattr(os, "write", full_disk.writer(room=10))
    with pytest.raises(OSError, match="No space left"):
        apply(chapters, world.undo, Cancel())
    monkeypatch.undo()
    assert (list(tmp_path.iterdir()), world.things, world.undone) == ([], set(), [])


class Unfinished(Journal):
    """A journal whose disk fills up at the very end."""

    def complete(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)


def test_a_plan_that_cannot_be_marked_as_complete_is_undone_at_once(tmp_path: Path, world: World) -> None:
    chapter = Chapter(journal=Unfinished(f"{tmp_path}/j"), steps=(world.step("a"),))
    with pytest.raises(BaseExceptionGroup) as caught:
        apply([chapter], world.undo, Cancel())
    assert (str(caught.value.exceptions[0]).startswith("[Errno 28]"), world.things, list(tmp_path.iterdir())) == (True, set(), [])
