"""Between pipe and log file: nothing lost and nothing doubled, whenever the keeper is killed.

Output is moved from the container's pipe into a small file with ``splice(2)``: one system call, which a kill
does not tear. From there it goes to the log, and one ``pwrite`` of a record commits how far both sides are. A
keeper that takes over truncates the log to the committed size and goes on from the committed place. The files
live in the run-time directory, because a reboot ends the pipes too.
"""

from __future__ import annotations

import os
import struct

_RECORD = struct.Struct("<8Q")
_CHUNK = 1 << 17
_LARGEST = 1 << 20
STREAMS = ("stdout", "stderr")


class Spool:
    """What has left one pipe and is not yet committed to the log: ``pending``."""

    def __init__(self, directory: str, stream: str, generation: int, taken: int) -> None:
        self.directory = directory
        self.stream = stream
        self.generation = generation
        self._fd = self._open()
        self.size = os.fstat(self._fd).st_size
        self.taken = taken if taken <= self.size else 0  # it was emptied, and the record did not come to it
        self.pending = os.pread(self._fd, self.size - self.taken, self.taken)

    def _path(self) -> str:
        return f"{self.directory}/{self.stream}.{self.generation}"

    def _open(self) -> int:
        return os.open(self._path(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def pull(self, pipe: int) -> int:
        """Move what the pipe holds, up to a bound; 0 at its end.

        Raises:
            BlockingIOError: the pipe is empty.
            OSError: no room here; nothing was moved.
        """
        count = os.splice(pipe, self._fd, _CHUNK, None, self.size, os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
        if count:
            self.pending += os.pread(self._fd, count, self.size)
            self.size += count
        return count

    def take(self, count: int) -> None:
        """So many bytes of ``pending`` are in the log; the record is to be written next."""
        self.pending = self.pending[count:]
        self.taken += count

    @property
    def is_worth_emptying(self) -> bool:
        return self.size > _LARGEST or (not self.pending and self.size > 0)

    def empty(self) -> int:
        """Give the memory back; call it once the record is written, and write it again. Returns a file to drop."""
        if not self.pending:
            os.ftruncate(self._fd, 0)  # a record that points beyond the end means: emptied
            self.size = self.taken = 0
            return -1
        old = self.generation
        self.generation += 1
        os.close(self._fd)
        self._fd = self._open()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, self.pending, 0)
        self.size, self.taken = len(self.pending), 0
        return old

    def drop(self, generation: int) -> None:
        os.unlink(f"{self.directory}/{self.stream}.{generation}")

    def close(self) -> None:
        os.close(self._fd)


class Spools:
    """Both spools of a container and the record that commits them together with the log's size."""

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.directory = directory
        self._fd = os.open(f"{directory}/record", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        raw = os.pread(self._fd, _RECORD.size, 0)
        self.is_new = len(raw) < _RECORD.size
        values = _RECORD.unpack(raw) if not self.is_new else (0,) * 8
        self.log_inode, self.log_size = values[0], values[1]
        self.spools = {
            name: Spool(directory, name, values[2 + 2 * index], values[3 + 2 * index]) for index, name in enumerate(STREAMS)
        }

    def commit(self, log_inode: int, log_size: int) -> None:
        """From here on, what is in the log up to this size, and what was taken, counts as done."""
        self.log_inode, self.log_size = log_inode, log_size
        out, err = (self.spools[name] for name in STREAMS)
        os.pwrite(self._fd, _RECORD.pack(log_inode, log_size, out.generation, out.taken, err.generation, err.taken, 0, 0), 0)

    def tidy(self, spool: Spool) -> None:
        """Empty a spool that has grown or is done with."""
        if spool.is_worth_emptying:
            old = spool.empty()
            self.commit(self.log_inode, self.log_size)
            if old >= 0:
                spool.drop(old)

    def close(self, *, remove: bool) -> None:
        for spool in self.spools.values():
            spool.close()
        os.close(self._fd)
        if remove:
            remove_spools(self.directory)


def remove_spools(directory: str) -> None:
    """Remove a container's spools; not there is fine."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        os.unlink(f"{directory}/{name}")
    os.rmdir(directory)
