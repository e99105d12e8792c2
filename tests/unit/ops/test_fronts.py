"""The note of a command in front of a container, against whoever looks whether it is alive."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyctl.lifecycle.journal import open_locked
from pyctl.ops.fronts import in_front


@pytest.fixture
def note(tmp_path: Path) -> Path:
    (tmp_path / "fronts/default").mkdir(parents=True)
    return tmp_path / "fronts/default/c1"


@pytest.fixture
def session(tmp_path: Path) -> Any:
    return cast("Any", SimpleNamespace(paths=SimpleNamespace(data_store=str(tmp_path)), namespace="default"))


def test_somebody_who_looks_at_a_note_that_is_not_locked_yet_does_no_harm(session: Any, note: Path) -> None:
    looking = open_locked(str(note), os.O_CREAT, 0)
    inside, leave = threading.Event(), threading.Event()

    def command() -> None:
        with in_front(session, "c1"):
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=command)
    thread.start()
    note.unlink()  # what it would do with the note of a dead command
    os.close(looking)
    assert inside.wait(20) and note.exists()
    leave.set()
    thread.join()
    assert not note.exists()


def test_the_last_of_two_takes_the_note_away(session: Any, note: Path) -> None:
    with in_front(session, "c1"):
        with in_front(session, "c1"):
            assert note.exists()
        assert note.exists()
    assert not note.exists()
