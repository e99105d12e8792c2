"""The pump between a user and a process, and the keys that detach; real FIFOs, no daemon."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pyctl.ops.streams import FifoPaths, Pump, fifo_paths, make_fifos, open_fifos, remove_fifos
from pyctl.ops.terminal import DetachWatch, parse_detach_keys
from pyctl_hookspecs.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("text", "keys"), [("ctrl-p,ctrl-q", b"\x10\x11"), ("a", b"a"), ("ctrl-a,x,ctrl-@", b"\x01x\x00"), ("ctrl-[", b"\x1b")]
)
def test_detach_keys_become_bytes(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-pp", "escape", "ctrl-1"])
def test_keys_that_are_none_are_named(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="unknown character"):
        parse_detach_keys(text)


def test_half_a_sequence_is_held_back_until_it_is_decided() -> None:
    watch = DetachWatch(b"\x10\x11")
    assert watch.feed(b"ab\x10") == (b"ab", False)
    assert watch.feed(b"c") == (b"\x10c", False)
    assert watch.feed(b"\x10") == (b"", False)
    assert watch.feed(b"\x11zz") == (b"", True)


class Shim:
    """The other end of the FIFOs, as containerd's shim opens them."""

    def __init__(self, paths: FifoPaths) -> None:
        self.paths = paths

    def write(self, stdout: bytes, stderr: bytes) -> None:
        for path, data in ((self.paths.stdout, stdout), (self.paths.stderr, stderr)):
            descriptor = os.open(path, os.O_WRONLY)
            os.write(descriptor, data)
            os.close(descriptor)


def test_output_is_teed_and_the_pump_ends_after_exit_and_end_of_file(tmp_path: Path) -> None:
    paths = fifo_paths(str(tmp_path / "f"), stdin=False, stderr=True)
    make_fifos(paths)
    seen: list[tuple[str, bytes]] = []
    exits: list[str] = []
    pump = Pump(
        open_fifos(paths),
        on_exit=lambda: exits.append("exit"),
        on_stdin_end=lambda: None,
        tee=lambda stream, chunk: seen.append((stream, chunk)),
        show_stdout=False,
        show_stderr=False,
    )
    writer = threading.Thread(target=Shim(paths).write, args=(b"out", b"err"))
    writer.start()
    writer.join()
    pump.notify_exit()
    assert pump.run() is False
    pump.close()
    assert sorted(seen) == [("stderr", b"err"), ("stdout", b"out")]
    assert exits == ["exit"]
    remove_fifos(str(tmp_path / "f"))
    remove_fifos(str(tmp_path / "f"))
    assert not (tmp_path / "f").exists()


def test_the_pump_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    paths = fifo_paths(str(tmp_path / "f"), stdin=True, stderr=True)
    make_fifos(paths)
    pump = Pump(open_fifos(paths), on_exit=lambda: None, on_stdin_end=lambda: None)
    pump.close()
    assert len(os.listdir("/proc/self/fd")) == before
