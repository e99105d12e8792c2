"""Starts by a tool that knows nothing of us: who is let in, and in which order."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path

from pyctl.keeper import foreign
from pyctl.keeper.wire import LAUNCHER


def test_a_container_we_did_not_make_is_left_alone(tmp_path: Path) -> None:
    assert foreign.launcher(str(tmp_path)) is None


def test_a_start_of_ours_holds_its_journal(tmp_path: Path) -> None:
    (tmp_path / LAUNCHER).write_text(json.dumps({"python": "/p"}))
    assert foreign.launcher(str(tmp_path)) == {"python": "/p"}
    with open(tmp_path / "pyctl-start.journal", "w") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        assert foreign.launcher(str(tmp_path)) is None
    assert foreign.launcher(str(tmp_path)) == {"python": "/p"}  # what its last run used may still be there


def test_who_undoes_the_last_start_is_not_starting_it(tmp_path: Path) -> None:
    (tmp_path / LAUNCHER).write_text("{}")
    with open(tmp_path / "pyctl-start.journal", "w") as journal:
        journal.write('{"plan":[]}\n{"complete":true}\n')
        journal.flush()
        fcntl.flock(journal, fcntl.LOCK_EX)
        assert foreign.launcher(str(tmp_path)) == {}


class Doorkeeper:
    """Notes what happens; the processes end when the test says so."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.ends: list[Callable[[int, bytes], None]] = []
        foreign.let_in(
            self._launch,
            go=lambda: self.events.append("go"),
            over=lambda: self.events.append("over"),
            note=self.events.append,
        )

    def _launch(self, verb: str, done: Callable[[int, bytes], None]) -> None:
        self.events.append(verb)
        self.ends.append(done)


def test_the_shim_goes_on_once_all_is_prepared() -> None:
    door = Doorkeeper()
    assert door.events == ["prepare"]
    door.ends.pop()(0, b"")
    assert door.events == ["prepare", "go", "adopt"]
    door.ends.pop()(0, b"")
    assert door.events[-1] == "over"


def test_a_failed_preparation_is_noted_and_the_runtime_says_what_is_missing() -> None:
    door = Doorkeeper()
    door.ends.pop()(1, b"no such device\n")
    assert door.events == ["prepare", "`internal prepare` failed, exit code 1: no such device", "go", "adopt"]
