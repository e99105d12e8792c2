"""A plan that changes while its container runs: what a kill leaves pending, and that the plan itself stays."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctl.lifecycle.amendment import Amendment, undo_pending
from pyctl.lifecycle.apply import Chapter, apply
from pyctl.lifecycle.cancel import Cancel
from pyctl.lifecycle.journal import Journal, JournalEntry, read_plan
from pyctl.lifecycle.recover import undo_plan
from pyctl.lifecycle.steps import Step
from pyctl_hookspecs import PyctlError


def _step(name: str, needs: tuple[str, ...] = (), do: Callable[[], object] = lambda: None) -> Step:
    return Step(name=name, says=name, provider="core/thing", undo_token=name, needs=needs, do=lambda _: do())


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A complete plan: ``base``, and ``hosts`` that stands on it."""
    journal = Journal(str(tmp_path / "j"))
    journal.begin([_step("base"), _step("hosts", ("base",))])
    journal.complete()
    return journal.path


def _amended(path: str, **how: object) -> Amendment:
    amendment = Amendment.of(path)
    assert amendment is not None
    amendment.amend(**how)  # type: ignore[arg-type]
    return amendment


def _names(path: str) -> tuple[list[str], list[str]]:
    plan = read_plan(path)
    assert plan is not None and plan.is_complete
    return [entry.name for entry in plan.entries], [entry.name for entry in plan.pending]


def _undone(path: str) -> list[str]:
    tokens: list[str] = []
    assert undo_plan(path, lambda _, token: tokens.append(token)) == []
    return tokens


def test_a_complete_change_leaves_what_it_said(path: str) -> None:
    amendment = _amended(path, stays=[JournalEntry("more", "network/bridge", "token")])
    apply([Chapter(journal=amendment, steps=(_step("attach"), _step("names", ("attach",))))], print, Cancel())
    assert _names(path) == (["base", "hosts", "more"], [])
    assert not os.path.exists(path + ".tmp") and set(_undone(path)) == {"base", "hosts", "token"}


def test_what_is_about_to_happen_is_on_disk_before_it_does(path: str) -> None:
    seen: list[list[str]] = []
    amendment = _amended(path)
    apply([Chapter(journal=amendment, steps=(_step("attach", do=lambda: seen.append(_names(path)[1])),))], print, Cancel())
    assert seen == [["attach"]]


def test_a_failed_change_is_undone_and_the_plan_stays(path: str) -> None:
    def fail() -> None:
        raise PyctlError("no")

    undone: list[str] = []
    steps = (_step("attach"), _step("names", ("attach",), fail))
    with pytest.raises(BaseExceptionGroup):
        apply([Chapter(journal=_amended(path), steps=steps)], lambda _, token: undone.append(token), Cancel())
    assert undone == ["names", "attach"]
    assert _names(path) == (["base", "hosts"], [])


def _killed(path: str, **how: object) -> None:
    """A process that dies in the middle of a change."""
    pid = os.fork()
    if pid == 0:
        amendment = _amended(path, **how)
        amendment.begin([_step("attach"), _step("names", ("attach",))])
        amendment.mark("attach")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_kill_in_the_middle_leaves_only_the_change_to_be_undone(path: str) -> None:
    _killed(path)
    assert _names(path) == (["base", "hosts", "attach", "names"], ["attach", "names"])
    undone: list[str] = []
    assert undo_pending(path, lambda _, token: undone.append(token)) == []
    assert undone == ["names", "attach"]
    assert _names(path) == (["base", "hosts"], [])
    assert undo_pending(path, lambda *_: pytest.fail("twice")) == []


def test_what_could_not_be_undone_stays_pending(path: str) -> None:
    def refuse(_: str, token: str) -> None:
        if token == "attach":
            raise PyctlError("busy")

    _killed(path)
    assert [str(error) for error in undo_pending(path, refuse)] == ["busy"]
    assert _names(path)[1] == ["attach", "names"]


def test_the_exit_undoes_what_is_pending_before_what_it_stands_on(path: str) -> None:
    _killed(path, stands_on=("hosts",))
    assert _undone(path) == ["names", "attach", "hosts", "base"]
    assert not os.path.exists(path)


def test_what_is_replaced_is_no_longer_undone_by_itself(path: str) -> None:
    _killed(path, replaces=("hosts",))
    assert _names(path) == (["base", "attach", "names"], ["attach", "names"])


def test_an_entry_that_stays_takes_the_place_of_one_of_its_name(path: str) -> None:
    stays = [
        JournalEntry("more", "core/thing", "more", ("base",)),
        JournalEntry("hosts", "core/thing", "hosts", ("base", "more")),
    ]
    apply([Chapter(journal=_amended(path, stays=stays), steps=(_step("attach"),))], print, Cancel())
    assert _undone(path) == ["hosts", "more", "base"]


@pytest.mark.parametrize("torn", [b'{"change":true,"gone":[],"pen', b'{"change"', b"{"])
def test_a_torn_line_means_nothing_was_begun_and_does_not_swallow_the_next(path: str, torn: bytes) -> None:
    with open(path, "ab") as file:
        file.write(torn)
    assert _names(path) == (["base", "hosts"], [])
    stays = [JournalEntry("more", "core/thing", "more")]
    apply([Chapter(journal=_amended(path, stays=stays), steps=(_step("attach"),))], print, Cancel())
    assert _names(path) == (["base", "hosts", "more"], [])


def test_a_plan_that_is_gone_cannot_be_changed(tmp_path: Path) -> None:
    assert Amendment.of(str(tmp_path / "nothing")) is None
    assert undo_pending(str(tmp_path / "nothing"), lambda *_: pytest.fail("no")) == []
