"""Locks and whole-file writes."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest
from tests.unit.state import full_disk

from pyctl.state.locks import Lock, is_temporary, lock_directory, make_private, sweep, write_atomic


def test_a_held_lock_excludes_everybody_else_in_this_process_too(tmp_path: Path) -> None:
    with lock_directory(str(tmp_path / "d")), pytest.raises(BlockingIOError):
        Lock(str(tmp_path / "d"), blocking=False)
    Lock(str(tmp_path / "d"), blocking=False).release()


def test_shared_locks_stand_side_by_side(tmp_path: Path) -> None:
    with Lock(str(tmp_path), shared=True), Lock(str(tmp_path), shared=True, blocking=False):
        pass


def test_the_lock_is_a_flock_on_the_directory_itself(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            Lock(str(tmp_path), blocking=False)
    finally:
        os.close(fd)


def test_a_missing_target_becomes_a_file_of_0600(tmp_path: Path) -> None:
    with Lock(str(tmp_path / "lock")):
        pass
    facts = os.stat(tmp_path / "lock")
    assert stat.S_ISREG(facts.st_mode) and stat.S_IMODE(facts.st_mode) == 0o600


def test_releasing_twice_is_fine(tmp_path: Path) -> None:
    lock = Lock(str(tmp_path))
    lock.release()
    lock.release()


def test_a_write_replaces_the_whole_file_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old and longer")
    write_atomic(str(path), "new", mode=0o644)
    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "dir" / "x").mkdir(parents=True)
    with pytest.raises(OSError):
        write_atomic(str(tmp_path / "dir"), b"x")
    assert os.listdir(tmp_path) == ["dir"]


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    others = {"file", "tmp-file0123456789ab", ".tmp-file1234567890", ".tmp-entering", ".tmp-0123456789ab"}
    for name in (*others, ".tmp-file0123456789ab"):
        (tmp_path / name).touch()
    sweep(str(tmp_path))
    assert set(os.listdir(tmp_path)) == others
    sweep(str(tmp_path / "nowhere"))


def test_a_writer_that_is_swept_writes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, swept = os.rename, []

    def late(source: str, target: str) -> None:
        if not swept:
            sweep(str(tmp_path))
            swept.append(source)
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    write_atomic(str(tmp_path / "file"), "whole")
    assert (tmp_path / "file").read_text() == "whole" and len(os.listdir(tmp_path)) == len(swept) == 1


def test_unfinished_writes_are_recognised() -> None:
    assert is_temporary(".tmp-volume.json123") and not is_temporary("volume.json")


def test_a_full_disk_is_named_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", full_disk.writer(room=2))
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomic(f"{tmp_path}/file", "content")
    monkeypatch.undo()
    assert (caught.value.filename, os.listdir(tmp_path)) == (f"{tmp_path}/file", [])


def test_nobody_else_may_look_into_a_private_directory_or_its_new_parents(tmp_path: Path) -> None:
    deep = tmp_path / "root" / "store" / "names"
    make_private(str(deep))
    make_private(str(deep))
    assert {stat.S_IMODE(path.stat().st_mode) for path in (deep, deep.parent, deep.parent.parent)} == {0o700}
    (deep / "file").touch()
    with pytest.raises(FileExistsError):
        make_private(str(deep / "file"))
