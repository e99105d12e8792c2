"""Docker's json-file format: one JSON object per line of output, in files that rotate."""

from __future__ import annotations

import os
import time

try:
    from _json import encode_basestring as _escape
except ImportError:  # an interpreter without the accelerator
    from json.encoder import encode_basestring as _escape

LINE_LIMIT = 16384  # Docker splits longer lines; the pieces but the last lack a newline
_STAND_IN = "\ue000"  # for private use: nobody prints it
_OPENING, _STREAM, _TIME = '{"log":"', '"stream":"', '","time":"'
_second: list[object] = [0, ""]


def timestamp() -> str:
    """Now, UTC, RFC 3339 with nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    if _second[0] != seconds:
        _second[:] = [seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))]
    return f"{_second[1]}.{nanoseconds:09d}Z"


def split(data: bytes, *, final: bool) -> list[bytes]:
    """Entries of a piece of output, each with its newline.

    What follows the last newline waits for the rest of its line, unless it has grown to the limit or this is
    the end.
    """
    lines = data.split(b"\n")
    tail = lines.pop()
    entries = [line + b"\n" for line in lines]
    if entries and max(map(len, entries)) > LINE_LIMIT + 1:
        entries = [piece for entry in entries for piece in _pieces(entry)]
    while len(tail) > LINE_LIMIT:
        cut = _cut(tail)
        entries.append(tail[:cut])
        tail = tail[cut:]
    if final and tail:
        entries.append(tail)
    return entries


def _pieces(entry: bytes) -> list[bytes]:
    pieces = []
    while len(entry) > LINE_LIMIT + 1:
        cut = _cut(entry)
        pieces.append(entry[:cut])
        entry = entry[cut:]
    pieces.append(entry)
    return pieces


def _cut(data: bytes) -> int:
    """Where to split so that no UTF-8 character is torn."""
    cut = LINE_LIMIT
    while cut > LINE_LIMIT - 4 and cut < len(data) and data[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def whole_lines(data: bytes) -> int:
    """Length of the lines at the front that are complete and within the limit: ``encode_block`` takes those."""
    end = data.rfind(b"\n") + 1
    at = 0
    while end - at > LINE_LIMIT + 1:
        newline = data.rfind(b"\n", at, at + LINE_LIMIT + 1)
        if newline < 0:
            return at
        at = newline + 1
    return end


def encode_block(data: bytes, stream: str, when: str) -> bytes | None:
    """``encode`` for whole lines in a handful of passes over all of them, several times as fast.

    None where that cannot be done. It rests on this: in escaped text without backslashes of its own, a
    backslash followed by n is a newline.
    """
    text = data.decode("utf-8", "replace")
    has_backslashes = "\\" in text
    if has_backslashes:
        if _STAND_IN in text:
            return None
        text = text.replace("\\", _STAND_IN)
    tail = f'",{_STREAM}{stream}{_TIME}{when}"}}\n'
    lines = _escape(text).replace("\\n", f'\\n{tail}{{"log":"')
    lines = f'{{"log":{lines[: -len(_OPENING) - 1]}'
    return (lines.replace(_STAND_IN, "\\\\") if has_backslashes else lines).encode()


def encode(entries: list[bytes], stream: str, when: str) -> bytes:
    """The log file's lines for these entries. What is no UTF-8 becomes U+FFFD, as in Docker."""
    tail = f',"stream":"{stream}","time":"{when}"}}\n'
    between = tail + '{"log":'
    text = between.join([_escape(entry.decode("utf-8", "replace")) for entry in entries])
    return f'{{"log":{text}{tail}'.encode()


class LogFile:
    """The current log file. ``max_size_bytes`` 0: it never rotates; ``max_files`` counts the current one."""

    def __init__(self, path: str, *, max_size_bytes: int = 0, max_files: int = 1) -> None:
        self.path = path
        self.max_size_bytes = max_size_bytes
        self.max_files = max_files
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        status = os.fstat(self._fd)
        self.size = status.st_size
        self.inode = status.st_ino

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        self.size = size

    def append(self, data: bytes) -> None:
        """Write all of it, or nothing.

        Raises:
            OSError: the disk is full, for example; the file is as it was.
        """
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self.truncate(self.size)
            raise
        self.size += len(data)

    @property
    def is_full(self) -> bool:
        return 0 < self.max_size_bytes <= self.size

    def rotate(self) -> None:
        """``x`` becomes ``x.1``, ``x.1`` becomes ``x.2``; the oldest goes. May be repeated after a kill."""
        self.close()
        for number in range(self.max_files - 1, 0, -1):
            older = self.path if number == 1 else f"{self.path}.{number - 1}"
            try:
                os.rename(older, f"{self.path}.{number}")
            except FileNotFoundError:
                continue
        if self.max_files == 1:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass
        self._open()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def size_bytes(text: str) -> int:
    """Docker's sizes: decimal, ``10m``, ``1.5g``, ``64kb``; -1 and 0 mean no limit.

    Raises:
        ValueError: no such size.
    """
    number = text.strip().lower()
    if number == "-1":
        return 0
    unit = 1
    number = number.removesuffix("b").removesuffix("i")
    if number and number[-1] in "kmgtp":
        unit = 1000 ** ("kmgtp".index(number[-1]) + 1)
        number = number[:-1]
    value = float(number)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return int(value * unit)
