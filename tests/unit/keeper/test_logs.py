"""Logs through a real keeper: every byte once, whatever is killed."""

from __future__ import annotations

import os
import select
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from pyctl.keeper import client, log_uri
from pyctl.keeper.wire import MAGIC
from pyctl_hookspecs import NotFoundError

if TYPE_CHECKING:
    from tests.unit.keeper.conftest import Keeper


class Shim:
    """Starts the log binary as a containerd shim does, and holds the container's ends of the pipes."""

    def __init__(self, keeper: Keeper, container: str = "c1", cwd_config: str = "{}") -> None:
        uri = log_uri(keeper.data_root, keeper.data_store, runtime_dir=keeper.runtime_dir)
        program, _, query = uri.removeprefix("binary://").partition("?")
        assert query == f"{MAGIC}={keeper.data_store}"
        bundle = keeper.base / "bundle"
        bundle.mkdir(exist_ok=True)
        (bundle / "config.json").write_text(cwd_config)
        out, self.stdout = os.pipe()
        err, self.stderr = os.pipe()
        self.ready, ready = os.pipe()
        high = [os.dup(fd) for fd in (out, err, ready)]
        moved = [(os.POSIX_SPAWN_DUP2, fd, 50 + index) for index, fd in enumerate(high)]
        placed = [(os.POSIX_SPAWN_DUP2, 50 + index, 3 + index) for index in range(3)]
        closed = [(os.POSIX_SPAWN_CLOSE, 50 + index) for index in range(3)]
        here = os.open(".", os.O_RDONLY)
        os.chdir(bundle)
        try:
            self.pid = os.posix_spawn(
                program,
                [program, MAGIC, keeper.data_store],
                {"CONTAINER_ID": container, "CONTAINER_NAMESPACE": "ns"},
                file_actions=[*moved, *placed, *closed],
            )
        finally:
            os.fchdir(here)
            os.close(here)
        for fd in (out, err, ready, *high):
            os.close(fd)
        self.pidfd = os.pidfd_open(self.pid)

    def wait_until_ready(self) -> bytes:
        return os.read(self.ready, 1)

    def write(self, stdout: bytes = b"", stderr: bytes = b"") -> None:
        for fd, data in ((self.stdout, stdout), (self.stderr, stderr)):
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]

    def close(self) -> None:
        for name in ("stdout", "stderr"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    def wait(self) -> None:
        os.waitpid(self.pid, 0)

    def end(self) -> None:
        self.close()
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.pidfd)
        os.close(self.ready)


@pytest.fixture
def shim(keeper: Keeper) -> Iterator[Shim]:
    keeper.state_dir()
    started = Shim(keeper)
    yield started
    started.end()


def texts(entries: Sequence[dict[str, str]], stream: str = "stdout") -> list[str]:
    return [entry["log"] for entry in entries if entry["stream"] == stream]


def test_both_streams_are_logged_and_the_holder_is_ended(keeper: Keeper, shim: Shim) -> None:
    assert shim.wait_until_ready() == b"\1"
    shim.write(b"one\ntw", b"bad\n")
    shim.write(b"o\nend")
    shim.close()
    entries = keeper.wait_for_log()
    assert texts(entries) == ["one\n", "two\n", "end"]
    assert texts(entries, "stderr") == ["bad\n"]
    shim.wait()
    assert keeper.status()["logs"] == []
    assert not os.listdir(f"{os.path.dirname(os.readlink(f'{keeper.data_store}/keeper/socket'))}/log")


def test_the_shims_term_does_not_end_the_holder(keeper: Keeper, shim: Shim) -> None:
    shim.wait_until_ready()
    os.kill(shim.pid, signal.SIGTERM)
    shim.write(b"after\n")
    shim.close()
    assert texts(keeper.wait_for_log()) == ["after\n"]


def test_nothing_is_lost_or_doubled_when_the_keeper_is_killed_under_load(keeper: Keeper, shim: Shim) -> None:
    shim.wait_until_ready()
    written = {"stdout": 0, "stderr": 0}
    is_over = threading.Event()

    def pump(stream: str, fd: int) -> None:
        while not is_over.is_set():
            first = written[stream]
            block = b"".join(b"%d %s\n" % (number, b"x" * (number % 90)) for number in range(first, first + 100))
            os.write(fd, block)
            written[stream] += 100

    threads = [threading.Thread(target=pump, args=(name, getattr(shim, name))) for name in written]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            before = dict(written)
            while any(written[name] < before[name] + 3000 for name in written):
                os.sched_yield()
            keeper("ping")
            keeper.kill()
    finally:
        is_over.set()
        keeper("ping")
        for thread in threads:
            thread.join()
    shim.close()
    shim.wait()
    entries = keeper.wait_for_log()
    for stream, count in written.items():
        numbers = [int(line.split()[0]) for line in "".join(texts(entries, stream)).splitlines()]
        assert numbers == list(range(count))


def test_the_holder_starts_a_keeper_when_its_own_is_gone(keeper: Keeper, shim: Shim) -> None:
    shim.wait_until_ready()
    shim.write(b"before\n")
    keeper.kill()
    shim.write(b"meanwhile\n")
    shim.close()
    shim.wait()  # nobody but a keeper ends it
    assert texts(keeper.wait_for_log()) == ["before\n", "meanwhile\n"]


def test_rotation_loses_nothing_across_a_kill(keeper: Keeper) -> None:
    state_dir = keeper.state_dir(**{"max-size": "10k", "max-file": "50"})
    shim = Shim(keeper)
    try:
        shim.wait_until_ready()
        for start in range(0, 2000, 500):
            shim.write(b"".join(b"%d\n" % number for number in range(start, start + 500)))
            keeper("ping")
            keeper.kill()
        shim.close()
        shim.wait()
        keeper.wait_for_log()
    finally:
        shim.end()
    files = sorted(state_dir.glob("c1-json.log*"), key=lambda path: int(path.suffix[1:]) if path.suffix[1:].isdigit() else 0)
    assert len(files) > 5
    assert all(path.stat().st_size < 10_100 for path in files)
    lines = [line for path in reversed(files) for line in path.read_text().splitlines()]
    assert [int(line.split('"')[3].removesuffix("\\n")) for line in lines] == list(range(2000))


def test_with_a_terminal_the_end_of_stdout_is_the_end(keeper: Keeper) -> None:
    keeper.state_dir()
    shim = Shim(keeper, cwd_config='{"process":{"terminal":true}}')
    try:
        shim.wait_until_ready()
        shim.write(b"hello\r\n")
        os.close(shim.stdout)
        shim.stdout = -1
        assert texts(keeper.wait_for_log()) == ["hello\r\n"]
        shim.wait()
    finally:
        shim.end()


def test_without_a_log_configuration_output_is_thrown_away_and_nobody_blocks(keeper: Keeper) -> None:
    keeper.state_dir().joinpath("log-config.json").unlink()
    shim = Shim(keeper)
    try:
        shim.wait_until_ready()
        shim.write(b"x" * 1_000_000)
        shim.close()
        shim.wait()
    finally:
        shim.end()


def test_the_shim_is_told_ready_when_no_keeper_can_be_started(keeper: Keeper) -> None:
    keeper.state_dir()
    os.makedirs(f"{keeper.data_store}/keeper/lock")  # a directory where the lock must be
    shim = Shim(keeper)
    try:
        assert shim.wait_until_ready() == b"\1"
        os.rmdir(f"{keeper.data_store}/keeper/lock")
        shim.write(b"late\n")
        shim.close()
        shim.wait()
        assert texts(keeper.wait_for_log()) == ["late\n"]
    finally:
        shim.end()


def test_an_exit_ends_the_log_though_the_shim_keeps_the_pipes(keeper: Keeper, shim: Shim) -> None:
    """The shim closes its ends when the task is deleted; ``logs -f`` must not wait for that."""
    shim.wait_until_ready()
    shim.write(b"last words\n")
    pid = os.posix_spawn("/bin/true", ["true"], {})
    keeper("watch", pid=pid, python="/bin/true")
    os.waitpid(pid, 0)
    assert texts(keeper.wait_for_log()) == ["last words\n"]
    shim.wait()


def test_an_exit_does_not_end_a_log_before_the_shim_has_copied_the_rest(keeper: Keeper) -> None:
    keeper.state_dir()
    path = str(keeper.base / "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY)
    keeper.hand_over(reader).close()
    os.close(reader)
    _see_an_end(keeper)
    os.write(writer, b"last words\n")
    os.close(writer)
    assert texts(keeper.wait_for_log()) == ["last words\n"]


def test_a_terminal_that_is_kept_open_is_not_waited_for_long(keeper: Keeper) -> None:
    keeper.state_dir()
    shim = Shim(keeper, cwd_config='{"process":{"terminal":true}}')
    try:
        shim.wait_until_ready()
        _see_an_end(keeper)
        shim.write(b"last words\r\n")
        assert texts(keeper.wait_for_log()) == ["last words\r\n"]
        shim.wait()
    finally:
        shim.end()


def test_the_log_of_the_run_before_ends_where_the_next_begins(keeper: Keeper) -> None:
    keeper.state_dir()
    first, writer = os.pipe()
    keeper.hand_over(first).close()
    os.write(writer, b"one\n")
    second, next_writer = os.pipe()
    keeper.hand_over(second).close()
    os.write(next_writer, b"two\n")
    os.close(next_writer)
    assert texts(keeper.wait_for_log()) == ["one\n", "two\n"]
    for pipe in (first, writer, second):
        os.close(pipe)


def _see_an_end(keeper: Keeper) -> None:
    """The container's process ends; returns once the keeper has had it dealt with."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    keeper("watch", pid=pid, python="/bin/true")
    os.waitpid(pid, 0)
    while keeper.status()["watches"]:
        os.sched_yield()


def test_pipes_can_be_handed_over_by_a_command(keeper: Keeper) -> None:
    keeper.state_dir()
    out, writer = os.pipe()
    connection = keeper.hand_over(out)
    os.write(writer, b"one\n")
    keeper("ping")
    keeper.kill()
    assert select.select([connection], [], [], 10)[0]
    connection.close()
    os.write(writer, b"two\n")
    keeper.hand_over(out, again=True).close()
    os.close(out)
    os.close(writer)
    assert texts(keeper.wait_for_log()) == ["one\n", "two\n"]


def test_what_was_left_in_the_spool_of_an_earlier_run_comes_first(keeper: Keeper) -> None:
    keeper.state_dir()
    for text in (b"torn", b"whole\n"):
        out, writer = os.pipe()
        os.write(writer, text)
        keeper.hand_over(out).close()
        os.close(out)
        if text == b"torn":
            keeper("ping")
            keeper.kill()
        os.close(writer)
    assert texts(keeper.wait_for_log()) == ["torn", "whole\n"]


def test_a_log_that_cannot_be_written_stops_neither_its_container_nor_the_others(keeper: Keeper) -> None:
    state_dir = keeper.state_dir(**{"max-size": "1k", "max-file": "2"})
    keeper.state_dir("c2")
    first, second = Shim(keeper), Shim(keeper, "c2")
    try:
        first.wait_until_ready()
        second.wait_until_ready()
        first.write(b"kept\n")
        keeper("ping")
        shutil.rmtree(state_dir)
        first.write(b"rotates into nowhere\n" * 10_000)
        second.write(b"fine\n")
        first.close()
        second.close()
        first.wait()
        second.wait()
        assert texts(keeper.wait_for_log("c2")) == ["fine\n"]
        assert "output is no longer kept" in keeper.notes()
    finally:
        first.end()
        second.end()


def test_one_who_attaches_gets_a_copy_until_the_end(keeper: Keeper, shim: Shim) -> None:
    shim.wait_until_ready()
    shim.write(b"before\n")
    keeper("ping")
    reader, writer = os.pipe()
    place = (keeper.data_store, keeper.runtime_dir)
    named = {"namespace": "ns", "container": "c1"}
    client.request(*place, "attach", named, (writer,), data_root=keeper.data_root)
    os.close(writer)
    shim.write(b"whi")
    assert os.read(reader, 10) == b"whi"  # what attached people see does not wait for the end of the line
    shim.write(b"le\n")
    shim.close()
    with open(reader, "rb") as copy:
        assert copy.read() == b"le\n"
    assert texts(keeper.wait_for_log()) == ["before\n", "while\n"]


def test_a_listener_that_went_away_harms_nobody(keeper: Keeper, shim: Shim) -> None:
    shim.wait_until_ready()
    reader, writer = os.pipe()
    place = (keeper.data_store, keeper.runtime_dir)
    client.request(*place, "attach", {"namespace": "ns", "container": "c1"}, (writer,), data_root=keeper.data_root)
    os.close(reader)
    os.close(writer)
    shim.write(b"one\n")
    shim.close()
    assert texts(keeper.wait_for_log()) == ["one\n"]


def test_nobody_attaches_to_a_container_that_is_not_logged(keeper: Keeper) -> None:
    with pytest.raises(NotFoundError):
        keeper("attach")


def test_a_log_path_of_the_users_choice_is_made_and_used(keeper: Keeper) -> None:
    path = keeper.base / "elsewhere" / "deep" / "my.log"
    keeper.state_dir(**{"log-path": str(path)})
    shim = Shim(keeper)
    try:
        shim.wait_until_ready()
        shim.write(b"here\n")
        shim.close()
        shim.wait()
    finally:
        shim.end()
    assert '"log":"here\\n"' in path.read_text()
