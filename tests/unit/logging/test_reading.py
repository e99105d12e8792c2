"""json-file logs read back: tails, times, rotated files, and following a writer."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyctl_hookspecs import LogRequest, NotFoundError
from pyctl_hookspecs.logging import LogQuery
from pyctl_plugins.logging import json_file


class FakeHost:
    """A container that runs until it is told otherwise."""

    def __init__(self) -> None:
        self.is_running = True
        self.is_cancelled = False

    def task_pid(self, container_id: str) -> int:
        if not self.is_running:
            raise NotFoundError("task", container_id)
        return 1

    def cancelled(self) -> bool:
        return self.is_cancelled


class Log:
    def __init__(self, directory: Path) -> None:
        self.state_dir = directory
        self.path = directory / "c1-json.log"
        self.path.touch()
        self.host = FakeHost()

    def write(self, *texts: str, time: str = "2026-01-01T00:00:00Z") -> None:
        with open(self.path, "a") as file:
            for text in texts:
                file.write(json.dumps({"log": text, "stream": "stdout", "time": time}) + "\n")

    def rotate(self) -> None:
        for number in (2, 1):
            older = f"{self.path}.{number - 1}" if number > 1 else str(self.path)
            if os.path.exists(older):
                os.rename(older, f"{self.path}.{number}")
        self.path.touch()

    def entries(self, **query: Any) -> Iterator[Any]:
        request = LogRequest(container_id="c1", state_dir=str(self.state_dir), driver="json-file")
        return json_file.read_logs(request=request, query=LogQuery(**query), host=self.host)  # type: ignore[arg-type]

    def texts(self, **query: Any) -> list[str]:
        return [entry.log for entry in self.entries(**query)]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_a_log_that_was_never_written_is_empty(log: Log) -> None:
    log.path.unlink()
    assert log.texts() == []
    assert log.texts(tail=5) == []


def test_rotated_files_come_first(log: Log) -> None:
    log.write("1", "2")
    log.rotate()
    log.write("3")
    log.rotate()
    log.write("4")
    assert log.texts() == ["1", "2", "3", "4"]


def test_nerdctl_numbers_rotated_files_from_the_oldest(log: Log) -> None:
    for number in (2, 3):
        log.write(str(number))
        os.utime(log.path, (number, number))
        log.path.rename(f"{log.path}.{number}")
    log.write("4")
    assert log.texts() == ["2", "3", "4"]
    assert log.texts(tail=2) == ["3", "4"]


@pytest.mark.parametrize(
    ("tail", "expected"), [(0, []), (1, ["4"]), (2, ["3", "4"]), (3, ["2", "3", "4"]), (99, ["1", "2", "3", "4"])]
)
def test_a_tail_reaches_into_rotated_files(log: Log, tail: int, expected: list[str]) -> None:
    log.write("1", "2")
    log.rotate()
    log.write("3")
    log.rotate()
    log.write("4")
    assert log.texts(tail=tail) == expected


@pytest.mark.parametrize("tail", [1, 700, 701, 4999, 5000, 5001])
def test_a_tail_crosses_the_blocks_it_is_read_in(log: Log, tail: int) -> None:
    lines = [f"{number} {'x' * (number % 257)}" for number in range(5000)]
    log.write(*lines)
    assert log.texts(tail=tail) == lines[-tail:]


def test_a_torn_line_is_left_out(log: Log) -> None:
    log.write("1")
    with open(log.path, "a") as file:
        file.write('{"log":"tor\n')
    log.write("2")
    with open(log.path, "a") as file:
        file.write('{"log":"being writ')
    assert log.texts() == ["1", "2"]


def test_times_bound_what_the_tail_chose(log: Log) -> None:
    for second in range(5):
        log.write(str(second), time=f"2026-01-01T00:00:0{second}.5Z")
    start = 1767225600.0
    assert log.texts(since=start + 2) == ["2", "3", "4"]
    assert log.texts(until=start + 1.5) == ["0", "1"]
    assert log.texts(tail=2, since=start + 2) == ["3", "4"]
    assert log.texts(since=start + 1.5, until=start + 1.5) == ["1"]


def test_following_ends_when_the_writer_has_let_go_and_the_container_is_gone(log: Log) -> None:
    log.write("1")
    lock = os.open(log.state_dir / "logger-lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    entries = log.entries(follow=True)
    assert next(entries).log == "1"
    log.write("2")
    assert next(entries).log == "2"
    log.write("3")
    log.host.is_running = False
    os.close(lock)
    assert [entry.log for entry in entries] == ["3"]


def test_what_an_ended_container_said_last_is_waited_for(log: Log) -> None:
    log.write("1")
    lock = os.open(log.state_dir / "logger-lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert log.texts() == ["1"]  # it runs: what there is
    log.host.is_running = False
    entries = log.entries()
    assert next(entries).log == "1"
    log.write("2")
    os.close(lock)
    assert [entry.log for entry in entries] == ["2"]


def test_following_survives_rotation_without_losing_a_line(log: Log) -> None:
    log.write("1", "2")
    entries = log.entries(follow=True)
    assert [next(entries).log for _ in range(2)] == ["1", "2"]
    log.write("3")
    log.rotate()
    log.write("4")
    log.rotate()
    log.write("5")
    assert [next(entries).log for _ in range(3)] == ["3", "4", "5"]
    log.host.is_running = False
    assert list(entries) == []


def test_following_ends_at_the_time_it_was_given(log: Log) -> None:
    log.write("1")
    assert log.texts(follow=True, until=1767225600.0 + 60) == ["1"]


def test_following_ends_when_the_user_interrupts(log: Log) -> None:
    log.write("1")
    entries = log.entries(follow=True)
    next(entries)
    log.host.is_cancelled = True
    log.write("2")
    assert [entry.log for entry in entries] == ["2"]  # what is there already is still given
