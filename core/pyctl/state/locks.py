"""flock(2) on the targets nerdctl locks, and files that are either old or new, never torn."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

_TEMPORARY = ".tmp-"
_TAIL = 12  # random hexadecimal digits at the end of ours; nerdctl's end in fewer, decimal ones


class Lock:
    """A held lock; leaving the context (or ``release``) lets it go, twice if need be.

    The target is a directory or a file. A missing one is created: the caller says which by making the
    directory first, because nerdctl makes a missing target a 0600 file. BSD flock, not fcntl: the lock belongs
    to the open file, so two threads of one process exclude each other as well.
    """

    __slots__ = ("_fd", "path")

    def __init__(
        self, path: str, *, shared: bool = False, blocking: bool = True, make: Callable[[str], None] | None = None
    ) -> None:
        """Take the lock, waiting as long as it takes. ``make`` is called for a target that is missing.

        Raises:
            BlockingIOError: another owner holds it and ``blocking`` is false.
            OSError: the target cannot be opened.
        """
        self.path = path
        self._fd = _open(path, make)
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._fd, how if blocking else how | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._fd)
            self._fd = -1
            raise

    def release(self) -> None:
        """Let the lock go; the target stays."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def make_private(path: str) -> None:
    """Make a directory that nobody else may look into; parents that are missing are made alike, up to the data root."""
    try:
        os.mkdir(path, 0o700)
    except FileNotFoundError:
        make_private(os.path.dirname(path))
        make_private(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def lock_directory(path: str, *, shared: bool = False, blocking: bool = True) -> Lock:
    """Lock a directory, made with its parents if it is missing."""
    return Lock(path, shared=shared, blocking=blocking, make=make_private)


def _open(path: str, make: Callable[[str], None] | None) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if make is None:
            return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    make(path)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def read_whole(path: str) -> bytes | None:
    """What is in a small file; None where there is no file. ``open`` makes twice the system calls, which batches feel."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        pieces = []
        while piece := os.read(fd, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def write_atomic(path: str, content: bytes | str, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write a whole file: readers see the old content or the new one, also after a crash.

    The temporary beside it is called ``.tmp-<name>...``; whoever lists the directory leaves those out
    (``is_temporary``). ``mode`` is exact, whatever the umask. ``durable=False`` skips fsync for files a reboot may lose.

    Raises:
        OSError: nothing was changed.
    """
    data = content.encode() if isinstance(content, str) else content
    while not _replace(path, data, mode, durable):
        pass  # ``sweep`` took us for dead


def _replace(path: str, data: bytes, mode: int, durable: bool) -> bool:
    """False, and nothing was changed, if somebody took the temporary away."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f"{_TEMPORARY}{name}{os.urandom(_TAIL // 2).hex()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        try:
            os.rename(temporary, path)
        except FileNotFoundError:
            return False
        return True
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path  # a full disk does not say of what
        _unlink(temporary)
        raise


def sweep(directory: str) -> None:
    """Remove what ``write_atomic`` left half-written where it was killed; one that lives writes again.

    nerdctl's temporaries stay: its writers do not look. A directory that is not there is swept.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        tail = name[-_TAIL:]
        if is_temporary(name) and len(name) > len(_TEMPORARY) + _TAIL and not tail.strip("0123456789abcdef"):
            _unlink(f"{directory}/{name}")


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def is_temporary(name: str) -> bool:
    """Is this directory entry an unfinished write of ours or nerdctl's?"""
    return name.startswith(_TEMPORARY)
