"""Reads json-file logs: the last lines of a large file, rotated files, and what is still being written."""

from __future__ import annotations

import json
import os
import time

from pyctl_hookspecs.errors import NotFoundError, UnavailableError
from pyctl_hookspecs.logging import LogEntry

from ._following import Changes, WriterLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl_hookspecs.host import Host
    from pyctl_hookspecs.logging import LogQuery, LogRequest

_BLOCK = 1 << 16
_QUIET_S = 1.0


def read(path: str, request: LogRequest, query: LogQuery, host: Host) -> Iterator[LogEntry]:
    """Entries, oldest first. With ``follow`` it ends when the container has and everything was read.

    Without, that is waited for only where the container has ended and its last words are being written.
    """
    if query.follow or _is_being_completed(request, host):
        yield from _bounded(_follow(path, request, query, host), query)
    else:
        yield from _bounded(_existing(path, query.tail), query)


def _bounded(entries: Iterator[LogEntry], query: LogQuery) -> Iterator[LogEntry]:
    """``tail`` counts first, then the times choose: as in Docker."""
    since = _nanoseconds_text(query.since) if query.since is not None else ""
    until = _nanoseconds_text(query.until) if query.until is not None else ""
    for entry in entries:
        when = _comparable(entry.time) if since or until else ""
        if until and when > until:
            return
        if when >= since:
            yield entry


def _nanoseconds_text(seconds: float) -> str:
    whole, nanoseconds = divmod(round(seconds * 1_000_000_000), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{nanoseconds:09d}"


def _comparable(when: str) -> str:
    """Nanoseconds filled up, because nerdctl and Docker leave zeros at the end away."""
    seconds, _, fraction = when.rstrip("Z").partition(".")
    return f"{seconds}.{fraction:<09}"


def _rotated(path: str) -> list[str]:
    """The older files of a log, oldest first: ours are numbered from the newest, nerdctl's from the oldest."""
    directory, name = os.path.split(path)
    found = []
    for entry in os.listdir(directory) if os.path.isdir(directory) else ():
        number = entry.removeprefix(f"{name}.")
        if entry != number and number.isdecimal():
            try:
                written_at = os.stat(f"{path}.{number}").st_mtime_ns
            except FileNotFoundError:
                continue  # rotated away just now
            found.append((written_at, -int(number), f"{path}.{number}"))
    return [one for _, _, one in sorted(found)]


def _existing(path: str, tail: int) -> Iterator[LogEntry]:
    log = _Log(path, tail)
    try:
        yield from log.read()
    finally:
        log.close()


def _follow(path: str, request: LogRequest, query: LogQuery, host: Host) -> Iterator[LogEntry]:
    changes = Changes({os.path.dirname(path), request.state_dir})
    lock = WriterLock(f"{request.state_dir}/logger-lock")
    log = _Log(path, query.tail)
    try:
        is_quiet = False
        while not host.cancelled():
            # Asked before reading: what was written before the end is then certain to be read.
            is_over = (lock.is_free() or is_quiet) and not _is_running(host, request.container_id)
            yield from log.read()
            if is_over or (query.until is not None and time.time() >= query.until):
                return
            wait_s = _QUIET_S if query.until is None else min(_QUIET_S, max(0.0, query.until - time.time()))
            is_quiet = not changes.wait(wait_s)
    finally:
        log.close()
        lock.close()
        changes.close()


def _is_being_completed(request: LogRequest, host: Host) -> bool:
    lock = WriterLock(f"{request.state_dir}/logger-lock")
    try:
        return not lock.is_free() and not _is_running(host, request.container_id)
    finally:
        lock.close()


def _is_running(host: Host, container_id: str) -> bool:
    try:
        host.task_pid(container_id)
    except (NotFoundError, UnavailableError):
        return False
    return True


class _Log:
    """A position in a log that is written and rotated meanwhile. ``tail`` -1: from the beginning."""

    def __init__(self, path: str, tail: int) -> None:
        self._path = path
        self._queue = [name for name in [*_rotated(path), path] if os.path.exists(name)]
        self._fd = -1
        self._at = 0
        self._rest = b""
        self._inode = 0
        if tail >= 0:
            self._seek_from_end(tail)

    def _seek_from_end(self, tail: int) -> None:
        """Count lines backwards, block by block, through as many files as it takes."""
        left = tail
        for index in range(len(self._queue) - 1, -1, -1):
            found, at = _tail_offset(self._queue[index], left)
            left -= found
            if left <= 0:
                self._queue = self._queue[index:]
                self._open(self._queue.pop(0), at)
                return

    def _open(self, path: str, at: int = 0) -> bool:
        self.close()
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self._inode = os.fstat(self._fd).st_ino
        self._at, self._rest = at, b""
        return True

    def read(self) -> Iterator[LogEntry]:
        """Everything that is there by now; may be called again for more."""
        while True:
            if self._fd >= 0:
                yield from self._read_file()
            if not self._queue:
                if not self._has_moved_on():
                    return
                if self._fd >= 0:
                    yield from self._read_file()  # what was written between our last look and the rotation
            self._open(self._queue.pop(0))

    def _read_file(self) -> Iterator[LogEntry]:
        while True:
            block = os.pread(self._fd, _BLOCK, self._at + len(self._rest))
            if not block:
                if os.fstat(self._fd).st_size == 0:
                    self._at, self._rest = 0, b""  # emptied by hand: what comes next is at its beginning
                return
            *lines, rest = (self._rest + block).split(b"\n")
            self._at += len(self._rest) + len(block) - len(rest)
            self._rest = rest
            yield from _parse(lines)

    def _has_moved_on(self) -> bool:
        """Queue the files that are newer than ours; False when there is none."""
        try:
            if os.stat(self._path).st_ino == self._inode and self._fd >= 0:
                return False
        except FileNotFoundError:
            return False  # not made yet, or this very moment being renamed: its successor will wake us
        newer = []
        for name in reversed(_rotated(self._path)):
            try:
                if os.stat(name).st_ino == self._inode:
                    break
            except FileNotFoundError:
                break
            newer.append(name)
        self._queue = [*reversed(newer), self._path]
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _tail_offset(path: str, lines: int) -> tuple[int, int]:
    """How many of the wanted lines this file has (at most ``lines``), and where the first of them begins."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        end = os.fstat(fd).st_size
        # A line that is being written has no newline yet and does not count; it is read as soon as it has one.
        wanted = lines + 1
        seen = 0
        at = end
        while at > 0:
            start = max(0, at - _BLOCK)
            block = os.pread(fd, at - start, start)
            count = block.count(b"\n")
            if seen + count >= wanted:
                offset = len(block)
                for _ in range(wanted - seen):
                    offset = block.rindex(b"\n", 0, offset)
                return lines, start + offset + 1
            seen += count
            at = start
        return seen, 0
    finally:
        os.close(fd)


def _parse(lines: list[bytes]) -> Iterator[LogEntry]:
    """Entries of whole lines. What is none is left out: a line torn by a crash of the machine, for example."""
    try:
        records = json.loads(b"[" + b",".join(lines) + b"]")  # all at once takes half the time
    except ValueError:
        if len(lines) == 1:
            return
        for line in lines:
            yield from _parse([line])
        return
    for fields in records:
        try:
            yield LogEntry(time=fields["time"], stream=fields.get("stream", "stdout"), log=fields["log"])
        except (KeyError, TypeError, AttributeError):
            continue
