"""``-t`` as a person meets it: pyctl on a pseudo-terminal of its own, and the container's terminal behind it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.integration


class Terminal:
    """A terminal with pyctl on it, and the person in front of it."""

    def __init__(self, pyctl: Any, *args: str, columns: int = 91, rows: int = 17) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process: subprocess.Popen[bytes] = pyctl.popen(
            *args, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True
        )

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def until(self, words: bytes, seconds: float = 30) -> bytes:
        """Everything shown up to and including ``words``; the rest is kept for the next call."""
        give_up = time.monotonic() + seconds
        while words not in self.seen:
            left = give_up - time.monotonic()
            assert left > 0 and select.select([self.master], [], [], left)[0], f"{words!r} was not shown, only {self.seen!r}"
            self.seen += os.read(self.master, 4096)
        shown, _, self.seen = self.seen.partition(words)
        return shown + words

    def end(self) -> int:
        """The exit code; the terminal must be as it was."""
        code = self.process.wait(30)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal was not restored"
        return code

    def rest(self) -> bytes:
        """What is still to be read after the end."""
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 4096)
        return self.seen

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def sit_down(pyctl: Any) -> Iterator[Any]:
    """``sit_down("run", "-it", ...)``: pyctl started on a new terminal."""
    opened: list[Terminal] = []

    def start(*args: str, **size: int) -> Terminal:
        opened.append(Terminal(pyctl, *args, **size))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


RUN = ("run", "--rm", "-it", "--network", "none")


def test_the_container_has_a_terminal_of_the_same_size(sit_down: Any, busybox: str) -> None:
    terminal = sit_down(*RUN, busybox, "sh", "-c", "tty; test -t 2 && stty size; exit 5")
    assert terminal.end() == 5
    assert terminal.rest() == b"/dev/pts/0\r\n17 91\r\n"


def test_a_new_size_is_passed_on(sit_down: Any, busybox: str) -> None:
    script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do read x; done"
    terminal = sit_down(*RUN, busybox, "sh", "-c", script)
    terminal.until(b"ready")
    terminal.resize(120, 40)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.until(b"40 120")
    assert terminal.end() == 0


def test_keys_arrive_as_typed_and_ctrl_c_is_the_containers(sit_down: Any, busybox: str) -> None:
    terminal = sit_down(
        *RUN, busybox, "sh", "-c", "trap 'echo interrupted; exit 42' INT; echo ready; while read x; do echo got $x; done"
    )
    terminal.until(b"ready")
    terminal.type(b"hello\n")
    terminal.until(b"got hello")
    terminal.type(b"\x03")
    terminal.until(b"interrupted")
    assert terminal.end() == 42


def test_ctrl_d_ends_a_shell(sit_down: Any, busybox: str) -> None:
    terminal = sit_down(*RUN, busybox)
    terminal.until(b"# ")
    terminal.type(b"exit 3\n")
    assert terminal.end() == 3
    terminal = sit_down(*RUN, busybox)
    terminal.until(b"# ")
    terminal.type(b"\x04")
    assert terminal.end() == 0


@pytest.mark.parametrize(("flags", "keys"), [((), b"\x10\x11"), (("--detach-keys", "ctrl-a,d"), b"\x01d")])
def test_detach_keys_leave_the_container_running(
    pyctl: Any, sit_down: Any, busybox: str, name: str, flags: tuple[str, ...], keys: bytes
) -> None:
    script = "echo ready; while read x; do echo got $x; done"
    terminal = sit_down("run", "-it", "--network", "none", "--name", name, *flags, busybox, "sh", "-c", script)
    terminal.until(b"ready")
    terminal.type(keys)
    assert terminal.end() == 0
    assert pyctl("inspect", "-f", "{{.State.Status}}", name).out == "running"
    pyctl("rm", "-f", name)


def test_who_attaches_sees_a_prompt_and_may_leave_or_end_the_container(
    pyctl: Any, sit_down: Any, busybox: str, name: str
) -> None:
    pyctl("run", "-dit", "--rm", "--network", "none", "--name", name, busybox)
    terminal = sit_down("attach", name)
    terminal.until(b"# ")
    terminal.type(b"\x10\x11")
    assert terminal.end() == 1  # as Docker's
    assert terminal.rest().endswith(b"pyctl: read escape sequence\r\n")
    terminal = sit_down("attach", name)
    terminal.until(b"# ")
    terminal.type(b"exit 42\n")
    assert terminal.end() == 42
    assert pyctl("ps", "-aq").out == ""


def test_exec_has_a_terminal_too(pyctl: Any, sit_down: Any, busybox: str, name: str) -> None:
    pyctl("run", "-d", "--network", "none", "--name", name, busybox, "sleep", "1000")
    terminal = sit_down("exec", "-it", name, "sh", "-c", "stty size; read x; echo got $x; exit 6", columns=77, rows=11)
    terminal.until(b"11 77\r\n")
    terminal.type(b"it\n")
    assert terminal.end() == 6
    assert b"got it\r\n" in terminal.rest()
    pyctl("rm", "-f", name)


def test_detach_keys_leave_an_exec_running(pyctl: Any, sit_down: Any, busybox: str, name: str) -> None:
    pyctl("run", "-d", "--network", "none", "--name", name, busybox, "sleep", "1000")
    script = "echo ready; until [ -e /go ]; do usleep 10000; done; seq 100000; echo over > /over; exec sleep 1000"
    terminal = sit_down("exec", "-it", name, "sh", "-c", script)
    terminal.until(b"ready")
    terminal.type(b"\x10\x11")
    assert terminal.end() == 1  # as Docker's
    assert b"pyctl: read escape sequence\r\n" in terminal.rest()
    pyctl("exec", name, "touch", "/go")
    patient = "n=0; until [ -e /over ] || [ $n -gt 100 ]; do n=$((n + 1)); usleep 100000; done; cat /over"
    assert pyctl("exec", name, "sh", "-c", patient).out == "over"
    pyctl("rm", "-f", name)


def test_t_without_i_needs_no_terminal(pyctl: Any, busybox: str) -> None:
    done = pyctl("run", "--rm", "-t", "--network", "none", busybox, "sh", "-c", "echo out; echo err >&2")
    assert (done.raw, done.stderr) == (b"out\r\nerr\r\n", "")


def test_it_without_a_terminal_is_refused(pyctl: Any, busybox: str) -> None:
    done = pyctl("run", "--rm", "-it", "--network", "none", busybox, "true", ok=False)
    assert done.code == 1 and done.stderr == "pyctl: the input device is not a TTY\n"


def test_the_terminal_comes_back_when_pyctl_is_terminated(pyctl: Any, sit_down: Any, busybox: str, name: str) -> None:
    terminal = sit_down("run", "-it", "--network", "none", "--name", name, busybox, "sh", "-c", "echo ready; exec sleep 1000")
    terminal.until(b"ready")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == -signal.SIGTERM
    pyctl("rm", "-f", name)
