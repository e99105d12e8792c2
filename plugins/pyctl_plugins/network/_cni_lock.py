"""Who may run plug-ins now: for one container one at a time, and nobody while garbage is collected."""

from __future__ import annotations

import fcntl
import os
from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_OFD_SETLK, _OFD_SETLKW = 37, 38  # locks of an open file, not of a process: threads wait for one another too
_RULES = 1 << 32  # beyond what a checksum of an owner can be
_PATIENCE_S, _PAUSE_S = 60.0, 0.005


class Turn:
    """Held while the context is open, by one thread of one process. ``owner`` empty: everybody's turn at once.

    A container's turn is one byte of a single file, so no file is left behind for each. Plug-ins inherit ``fd``: one
    that goes on after its pyctl was killed keeps the turn, so nobody undoes what is still being done. Whoever has
    waited a minute goes on all the same: then a plug-in hangs, or started something that stays.
    """

    __slots__ = ("_length", "_path", "_start", "fd")

    def __init__(self, runtime_dir: str, owner: str = "") -> None:
        from zlib import crc32

        self._path = os.path.join(runtime_dir, "cni", "lock")
        self._start, self._length = (crc32(owner.encode()), 1) if owner else (0, 0)  # length 0: to the end
        self.fd = -1

    def __enter__(self) -> Self:
        from time import monotonic, sleep

        self._open()
        give_up = monotonic() + _PATIENCE_S
        while monotonic() < give_up:
            try:
                self._lock(_OFD_SETLK)
                break
            except BlockingIOError:
                sleep(_PAUSE_S)  # no call waits for a lock and for a moment
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self.fd)
        self.fd = -1

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        self.fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _lock(self, command: int) -> None:
        fcntl.fcntl(self.fd, command, pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, self._start, self._length, 0))


class Rules(Turn):
    """The turn to write rules that all containers share, taken within a container's turn and never the other way round.

    No plug-in inherits it.
    """

    __slots__ = ()

    def __init__(self, runtime_dir: str) -> None:
        super().__init__(runtime_dir)
        self._start, self._length = _RULES, 1

    def __enter__(self) -> Self:
        self._open()
        self._lock(_OFD_SETLKW)
        return self
