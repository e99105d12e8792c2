"""Be the user's end of a process in a container: streams, terminal, signals, and its exit code."""

from __future__ import annotations

import os
import threading

from pyctl_hookspecs.errors import NotFoundError, PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctl.containerd.records import ExitStatus
    from pyctl.containerd.tasks import WaitHandle
    from pyctl.ops.session import Session
    from pyctl.ops.signals import SignalPipe
    from pyctl.ops.starting import TaskStreams
    from pyctl.ops.streams import Ends, Pump
    from pyctl.ops.terminal import RawTerminal


class DetachedError(PyctlError):
    """The user left a process that goes on. ``attach`` and ``exec`` end with it as Docker's do, ``run`` and ``start`` with 0."""

    code = "detached"

    def __init__(self) -> None:
        super().__init__("read escape sequence")


class Attachment(Record):
    """How much of the streams the user gets, and what is done with signals and typed keys."""

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False
    sig_proxy: bool = True
    detach_keys: str = ""


class Foreground:
    """One process, from before it starts until it has ended or the user has detached.

    ``open`` before the process is created, ``before_start`` right before it runs, ``stay`` after. ``tee`` sees every
    output chunk with its stream name. ``exec_id`` is empty for a container's init.
    """

    def __init__(
        self,
        session: Session,
        container_id: str,
        streams: TaskStreams,
        attachment: Attachment,
        *,
        exec_id: str = "",
        tee: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._session, self._id, self._exec_id = session, container_id, exec_id
        self._streams, self._attachment, self._tee = streams, attachment, tee
        self._pump: Pump | None = None
        self._wait: WaitHandle | None = None
        self._signals: SignalPipe | None = None
        self._terminal: RawTerminal | None = None
        self._is_proxy = False
        self._release: Callable[[], None] | None = None
        self._releasing: threading.Thread | None = None
        self._fatal_signal = 0

    def open(self) -> None:
        """Make the FIFOs and open our ends: the shim waits for somebody at the other end."""
        from pyctl.ops.streams import FifoPaths, make_fifos, open_fifos

        paths = FifoPaths(stdin=self._streams.stdin, stdout=self._streams.stdout, stderr=self._streams.stderr)
        make_fifos(paths)
        self.use(open_fifos(paths))

    def use(self, ends: Ends) -> None:
        """Move bytes between the user and these open ends."""
        from pyctl.ops.streams import Pump
        from pyctl.ops.terminal import DEFAULT_DETACH_KEYS, DetachWatch, parse_detach_keys

        wanted = self._attachment
        keys = parse_detach_keys(wanted.detach_keys or DEFAULT_DETACH_KEYS)
        self._pump = Pump(
            ends,
            on_exit=self._on_exit,
            on_stdin_end=self._close_stdin,
            on_signal=self._on_signal,
            detach=DetachWatch(keys) if wanted.tty and wanted.stdin else None,
            tee=self._tee,
            show_stdout=wanted.stdout,
            show_stderr=wanted.stderr,
        )

    def before_start(self) -> None:
        """Begin to wait, so that no exit is missed; a container's terminal has its size before its process looks."""
        self._wait = self._session.client.tasks.wait(self._id, self._exec_id)
        if self._attachment.tty and not self._exec_id:  # an exec has none yet: its size is in its specification
            self._resize()

    def ask_to_redraw(self) -> None:
        """Before ``stay``: a size that is none, which ``stay`` corrects, so that a prompt shows for who has just come."""
        if self._attachment.tty:
            self._resize(by=1)

    def stay(self, release: Callable[[], None]) -> int | None:
        """Move bytes until the process has ended; its exit code, or None if the user left.

        Then our ends are still open, so that somebody can take over before ``close``; ``die_if_told`` comes last.

        ``release`` runs in a thread of its own as soon as the process has ended: it deletes the task, which makes the
        shim let go of the outputs.
        """
        from pyctl.ops.signals import SignalPipe, forwardable
        from pyctl.ops.terminal import RawTerminal

        assert self._pump is not None and self._wait is not None
        self._release = release
        wanted = self._attachment
        import signal

        self._is_proxy = wanted.sig_proxy and not wanted.tty
        numbers = forwardable() if self._is_proxy else [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        self._signals = SignalPipe([*numbers, *([signal.SIGWINCH] if wanted.tty else [])])
        self._pump.watch_signals(self._signals)
        try:
            if wanted.tty:
                self._resize()
                if wanted.stdin and os.isatty(0):
                    self._terminal = RawTerminal(0)
            self._wait.on_done(self._pump.notify_exit)
            if not self._pump.run():
                return self._result().code
            if self._pump.is_reader_gone:
                self._fatal_signal = signal.SIGPIPE  # as every program whose reader has left
            return None
        finally:
            self._give_back_terminal()

    def join(self) -> None:
        """Wait until ``release`` has done its work."""
        if self._releasing is not None:
            self._releasing.join()

    def die_if_told(self) -> None:
        """End by the signal that made the user leave, if one did: the shell sees what happened."""
        if self._fatal_signal:
            import signal

            signal.signal(self._fatal_signal, signal.SIG_DFL)
            os.kill(os.getpid(), self._fatal_signal)

    def _give_back_terminal(self) -> None:
        if self._terminal is not None:
            self._terminal.restore()
            self._terminal = None
        if self._signals is not None:
            self._signals.close()
            self._signals = None

    def close(self) -> None:
        """Give the terminal and all descriptors back. Safe to call twice."""
        self._give_back_terminal()
        if self._pump is not None:
            self._pump.close()
            self._pump = None
        if self._wait is not None and not self._wait.done():
            self._wait.cancel()

    def _result(self) -> ExitStatus:
        assert self._wait is not None
        return self._wait.result()

    def _on_exit(self) -> None:
        self._result()  # raises if the engine went away: the outputs may stay open for ever then
        if self._release is not None:
            self._releasing = threading.Thread(target=self._release, name="release", daemon=True)
            self._releasing.start()

    def _close_stdin(self) -> None:
        try:
            self._session.client.tasks.close_io(self._id, self._exec_id)
        except PyctlError:
            pass  # it has ended in the meantime

    def _on_signal(self, number: int) -> bool:
        """True if the signal is ours and ends the user's stay."""
        import signal

        if number == signal.SIGWINCH:
            self._resize()
        elif not self._is_proxy:
            self._fatal_signal = number
            return True
        else:
            try:
                self._session.client.tasks.kill(self._id, number, exec_id=self._exec_id)
            except NotFoundError:
                pass  # it has ended in the meantime
        return False

    def _resize(self, by: int = 0) -> None:
        from pyctl.ops.terminal import user_terminal_size

        columns, rows = user_terminal_size()
        if columns:
            try:
                self._session.client.tasks.resize(self._id, columns + by, rows + by, self._exec_id)
            except PyctlError:
                pass  # it has ended, or is not quite there yet: the next size change tries again
