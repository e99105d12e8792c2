"""The streams between the user and a process in a container: FIFOs, and the pump that moves bytes.

One thread, one ``poll``: standard input, both outputs, signals and the exit notice all end up in it, so nothing races.
"""

from __future__ import annotations

import os
import select
import stat  # as os itself does
from _thread import allocate_lock
from contextlib import contextmanager

from pyctl_hookspecs.errors import PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyctl.ops.signals import SignalPipe
    from pyctl.ops.terminal import DetachWatch

_CHUNK = 65536


class FifoPaths(Record):
    """FIFOs the shim opens, empty for a stream that is not wanted."""

    stdin: str = ""
    stdout: str = ""
    stderr: str = ""


def fifo_paths(directory: str, *, stdin: bool, stderr: bool, prefix: str = "") -> FifoPaths:
    """The paths ``make_fifos`` will make; a terminal has no separate stderr."""
    return FifoPaths(
        stdin=f"{directory}/{prefix}stdin" if stdin else "",
        stdout=f"{directory}/{prefix}stdout",
        stderr=f"{directory}/{prefix}stderr" if stderr else "",
    )


def make_fifos(paths: FifoPaths) -> None:
    """Make the FIFOs, replacing what an earlier run left."""
    for path in (paths.stdin, paths.stdout, paths.stderr):
        if path:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            os.mkfifo(path, 0o600)


def remove_fifos(directory: str) -> None:
    """Remove a container's FIFO directory; one that is not there counts as removed."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{directory}/{name}"
        try:  # a reader whose writer never came sees the end only after one has come and gone
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            pass  # nobody reads it
        os.unlink(path)
    os.rmdir(directory)


@contextmanager
def stand_in(directory: str) -> Iterator[None]:
    """Be at the other end of a container's FIFOs for somebody who was killed: the shim opens them, and waits for a reader."""
    held: list[int] = []
    try:
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            held.append(os.open(f"{directory}/{name}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


class Ends(Record):
    """Our open ends of a process's streams. ``outputs`` pairs a readable descriptor with ``stdout`` or ``stderr``."""

    stdin: int = -1
    outputs: tuple[tuple[int, str], ...] = ()


def open_fifos(paths: FifoPaths) -> Ends:
    """Open the user's ends. Standard input for reading too, or it would fail until the shim has opened it."""
    outputs = tuple(
        (os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), stream)
        for path, stream in ((paths.stdout, "stdout"), (paths.stderr, "stderr"))
        if path
    )
    stdin = os.open(paths.stdin, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC) if paths.stdin else -1
    return Ends(stdin=stdin, outputs=outputs)


def _ignore(_number: int) -> bool:
    return False


class Pump:
    """Moves bytes until the process has exited and its outputs are at their end, or the user detaches.

    ``on_exit`` is called once, in the pump's thread, when ``notify_exit`` was called from another one.
    ``tee`` sees every output chunk with its stream name.
    """

    def __init__(
        self,
        ends: Ends,
        *,
        on_exit: Callable[[], None],
        on_stdin_end: Callable[[], None],
        on_signal: Callable[[int], bool] = _ignore,
        detach: DetachWatch | None = None,
        tee: Callable[[str, bytes], None] | None = None,
        show_stdout: bool = True,
        show_stderr: bool = True,
    ) -> None:
        self._on_exit, self._on_stdin_end = on_exit, on_stdin_end
        self._signals: SignalPipe | None = None
        self._on_signal = on_signal
        self._detach, self._tee = detach, tee
        self._poll = select.poll()
        self._outputs: dict[int, tuple[str, int]] = {}
        self._writers: dict[int, int] = {}  # our standard streams, opened once more so that writing need not wait
        self._unshown: dict[int, tuple[int, bytes]] = {}  # writer -> whose output waits for the user's reader, and what
        self.is_reader_gone = False
        self._exit_reader, self._exit_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._exit_lock = allocate_lock()
        self._poll.register(self._exit_reader, select.POLLIN)
        for descriptor, stream in ends.outputs:
            target, is_shown = (1, show_stdout) if stream == "stdout" else (2, show_stderr)
            self._outputs[descriptor] = (stream, target if is_shown else -1)
            self._poll.register(descriptor, select.POLLIN)
        self._stdin = ends.stdin
        self._unwritten = b""
        self._is_stdin_over = False
        if self._stdin >= 0:
            self._watch_user(True)

    def watch_signals(self, signals: SignalPipe) -> None:
        """From now on signals are data: ``on_signal`` gets them while the pump runs."""
        self._signals = signals
        self._poll.register(signals.fileno(), select.POLLIN)

    def notify_exit(self) -> None:
        """The process has ended. Callable from any thread, at any time."""
        with self._exit_lock:
            if self._exit_writer >= 0:
                os.write(self._exit_writer, b"x")

    def run(self) -> bool:
        """Move bytes to the end; True if the user left instead: by the detach keys, a signal, or by not reading any more."""
        has_exited = False
        while self._outputs or not has_exited:
            for descriptor, events in self._poll.poll():
                if descriptor == self._exit_reader:
                    os.read(self._exit_reader, 16)
                    has_exited = True
                    self._close_stdin()
                    self._on_exit()
                elif descriptor in self._outputs:
                    self._copy_output(descriptor)
                    if self.is_reader_gone:
                        return True
                elif descriptor in self._unshown:
                    self._show_rest(descriptor)
                    if self.is_reader_gone:
                        return True
                elif self._signals is not None and descriptor == self._signals.fileno():
                    verdicts = [self._on_signal(number) for number in self._signals.take()]
                    if any(verdicts):
                        return True
                elif descriptor == self._stdin:
                    self._flush_stdin()
                elif descriptor == 0 and self._read_user(events):
                    return True
        return False

    def close(self) -> None:
        """Let every descriptor go; the user's own stay."""
        self._close_stdin()
        for descriptor in list(self._outputs):
            self._end_output(descriptor)
        for target, writer in self._writers.items():
            if writer != target:
                os.close(writer)
        self._writers.clear()
        self._unshown.clear()
        with self._exit_lock:
            writer, self._exit_writer = self._exit_writer, -1
        os.close(self._exit_reader)
        os.close(writer)

    def _copy_output(self, descriptor: int) -> None:
        stream, target = self._outputs[descriptor]
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._end_output(descriptor)
            return
        if self._tee is not None:
            self._tee(stream, chunk)
        if target >= 0:
            writer = self._writers.get(target)
            if writer is None:
                writer = self._writers[target] = _open_again(target)
            rest = self._write(writer, chunk)
            if rest:  # the container waits for the user's reader, signals do not
                self._poll.unregister(descriptor)
                self._unshown[writer] = descriptor, rest
                self._poll.register(writer, select.POLLOUT)

    def _show_rest(self, writer: int) -> None:
        descriptor, rest = self._unshown[writer]
        rest = self._write(writer, rest)
        if rest:
            self._unshown[writer] = descriptor, rest
            return
        del self._unshown[writer]
        self._poll.unregister(writer)
        self._poll.register(descriptor, select.POLLIN)

    def _write(self, writer: int, data: bytes) -> bytes:
        """What does not fit now."""
        try:
            while data:
                data = data[os.write(writer, data) :]
        except BlockingIOError:
            return data
        except BrokenPipeError:
            self.is_reader_gone = True
        return b""

    def _end_output(self, descriptor: int) -> None:
        try:
            self._poll.unregister(descriptor)
        except KeyError:
            pass  # it waited for the user's reader
        os.close(descriptor)
        del self._outputs[descriptor]

    def _read_user(self, _events: int) -> bool:
        typed = os.read(0, _CHUNK)
        if not typed:
            self._watch_user(False)
            self._is_stdin_over = True
            self._flush_stdin()
            return False
        is_over = False
        if self._detach is not None:
            typed, is_over = self._detach.feed(typed)
        self._unwritten += typed
        self._flush_stdin()
        return is_over

    def _flush_stdin(self) -> None:
        if self._stdin < 0:
            return
        try:
            while self._unwritten:
                self._unwritten = self._unwritten[os.write(self._stdin, self._unwritten) :]
        except BlockingIOError:
            self._watch_user(False)  # the container does not read: neither do we
            self._poll.register(self._stdin, select.POLLOUT)
            return
        try:
            self._poll.unregister(self._stdin)
        except KeyError:
            pass
        if self._is_stdin_over:
            self._close_stdin()
            self._on_stdin_end()
        else:
            self._watch_user(True)

    def _close_stdin(self) -> None:
        if self._stdin >= 0:
            self._watch_user(False)
            try:
                self._poll.unregister(self._stdin)
            except KeyError:
                pass
            os.close(self._stdin)
            self._stdin = -1

    def _watch_user(self, on: bool) -> None:
        try:
            if on:
                self._poll.register(0, select.POLLIN)
            else:
                self._poll.unregister(0)
        except KeyError:
            pass  # was not watched


def _open_again(target: int) -> int:
    """A descriptor for what one of our standard streams leads to whose writes never wait.

    Whether they do is a property of the opening, and the first one is shared with whoever started us. What cannot be
    opened again (a socket) stays as it is, and a file never waits.
    """
    kind = os.fstat(target).st_mode
    if not stat.S_ISFIFO(kind) and not stat.S_ISCHR(kind):
        return target
    try:
        return os.open(f"/proc/self/fd/{target}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # another user's, or its reader is gone
        return target


def check_terminal(*, tty: bool, interactive: bool) -> None:
    """``-it`` needs a terminal on standard input.

    Raises:
        PyctlError: Docker's words.
    """
    if tty and interactive and not os.isatty(0):
        raise PyctlError("the input device is not a TTY", exit_code=1)
