"""Waiting for a log to grow or to end: inotify, and the lock of whoever writes it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE, _DELETE_SELF = 0x2, 0x8, 0x80, 0x100, 0x400


class Changes:
    """What happens in some directories; one that is missing is left out."""

    def __init__(self, directories: Iterable[str]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)  # Python has no inotify
        self._fd: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        for directory in directories:
            # The writer closes logger-lock when it is done, and that is an event too.
            libc.inotify_add_watch(self._fd, os.fsencode(directory), _MODIFY | _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE_SELF)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def wait(self, longest_s: float) -> bool:
        """Until something changes; False when nothing did in this time."""
        if not self._poll.poll(int(longest_s * 1000)):
            return False
        try:
            while os.read(self._fd, 65536):
                pass
        except BlockingIOError:
            return True
        return True

    def close(self) -> None:
        os.close(self._fd)


class WriterLock:
    """``logger-lock``, which the writer of a log holds for as long as it writes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def is_free(self) -> bool:
        """True as well when nobody ever took it. Opened once, because each closing would wake ``Changes``."""
        if self._fd < 0:
            try:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return True
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
