"""Signals as data: each one becomes a byte on a pipe, read where the work is done and not where it struck."""

from __future__ import annotations

import os
import signal
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType
    from typing import Any

# Docker forwards everything that can be caught, except what the runtime or the terminal uses itself.
NOT_FORWARDED = frozenset(
    {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGURG, signal.SIGPIPE, signal.SIGWINCH, signal.SIGPROF}
    | {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}
    | {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
)


class SignalPipe:
    """While open, the given signals interrupt nothing; ``fileno`` becomes readable and ``take`` names them."""

    def __init__(self, signals: Iterable[int]) -> None:
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before: dict[int, Any] = {}
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in signals:
            self._before[number] = signal.signal(number, _nothing)

    def fileno(self) -> int:
        return self._reader

    def take(self) -> list[int]:
        """Signal numbers that came since the last call, in order."""
        try:
            return list(os.read(self._reader, 512))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Put the former handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reader)
        os.close(self._writer)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler must exist for the wake-up byte to be written."""


def forwardable() -> list[int]:
    """Every signal number that a foreground command passes on."""
    return [number for number in signal.valid_signals() if number not in NOT_FORWARDED]


class cancelling:
    """While in the context, SIGINT and SIGTERM call ``cancel`` instead of killing us halfway.

    Only the main thread can say so; in any other one (one container of a batch) the context of the batch holds.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._before: list[tuple[int, Any]] = []

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before.append((number, signal.signal(number, self._handle)))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._cancel()


def parse_signal(text: str) -> int:
    """A signal number from ``KILL``, ``SIGKILL``, ``9`` or ``RTMIN+3``.

    Raises:
        InvalidArgumentError: no such signal; Docker's words.
    """
    from pyctl_hookspecs.errors import InvalidArgumentError

    word = text.strip().upper().removeprefix("SIG")
    if word.isdigit() and 0 < int(word) <= 64:
        return int(word)
    base, sign, offset = word.partition("+")
    if not sign:
        base, sign, offset = word.partition("-")
    known = getattr(signal, f"SIG{base}", None)
    if isinstance(known, signal.Signals) and not offset and not sign:
        return int(known)
    if isinstance(known, signal.Signals) and base in ("RTMIN", "RTMAX") and offset.isdigit():
        number = int(known) + int(sign + offset)
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
    raise InvalidArgumentError(f"Invalid signal: {text}")
