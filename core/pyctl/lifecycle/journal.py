"""The plan on disk before the first step, so that whatever kills us, somebody else can undo.

One file per plan in the container's state directory. Its first line is the whole plan, fsync'd; lines after it
mark steps that are done, and ``complete`` that all are. The owner holds a flock while it lives. A complete plan
stays: ``rm`` (or the container's exit) undoes it. An empty file means that nothing happened. Lines after ``complete``
change the plan (``amendment``).
"""

from __future__ import annotations

import fcntl
import os

from pyctl.state.locks import read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self

    from pyctl.lifecycle.steps import Step

_CHANGE = b'{"change":'


class JournalEntry:
    """What undoing needs to know of one step: who, what, and which steps stood on which."""

    __slots__ = ("name", "needs", "provider", "undo_token")

    def __init__(self, name: str, provider: str, undo_token: str, needs: Sequence[str] = ()) -> None:
        self.name, self.provider, self.undo_token, self.needs = name, provider, undo_token, tuple(needs)


class Plan:
    """A plan read back. ``is_complete`` says that every step was done, save those that a change has left ``pending``.

    ``entries`` are all that is to be undone, the pending ones too.
    """

    __slots__ = ("entries", "is_complete", "pending")

    def __init__(self, entries: list[JournalEntry], is_complete: bool, pending: Sequence[JournalEntry] = ()) -> None:
        self.entries, self.is_complete, self.pending = entries, is_complete, list(pending)


class Journal:
    """A plan being carried out by this process."""

    def __init__(self, path: str, *, owns_directory: bool = False) -> None:
        """Create the file and take its lock.

        With ``owns_directory`` discarding the journal takes the directory it stands in along: the last thing to go.

        Raises:
            BlockingIOError: another process is carrying this plan out or undoing it.
        """
        self.path = path
        self._owns_directory = owns_directory
        self._file = open_locked(path, os.O_CREAT, fcntl.LOCK_NB)

    @classmethod
    def take(cls, path: str, *, owns_directory: bool = False) -> Self | None:
        """The journal at ``path`` once nobody else holds it, or None if it is gone by then: somebody was faster."""
        journal = cls.__new__(cls)
        journal.path, journal._owns_directory = path, owns_directory
        try:
            journal._file = open_locked(path, 0, 0)
        except FileNotFoundError:
            return None
        return journal

    def begin(self, steps: Sequence[Step]) -> None:
        """Put the plan on disk. What an earlier plan of this file said must have been undone."""
        os.ftruncate(self._file, 0)
        self._line(plan=[[s.name, s.provider, s.undo_token, s.needs] for s in steps])
        os.fsync(self._file)

    def mark(self, step: str) -> None:
        """Note a finished step; no fsync, because a killed process does not lose the page cache."""
        self._line(done=step)

    def complete(self) -> None:
        """All steps are done; the plan stays for whoever undoes it one day."""
        self._line(complete=True)
        self.close()

    def discard(self) -> None:
        """Everything was undone: there is no plan any more."""
        if self._owns_directory:
            _remove_tree(os.path.dirname(self.path), last=os.path.basename(self.path))
        else:
            _unlink(self.path)
        self.close()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _line(self, **fields: Any) -> None:
        import json

        rest = memoryview(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
        try:
            while rest:  # a disk that is nearly full takes a part first; the rest is what fails
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            error.filename = self.path
            raise


def open_locked(path: str, create: int, how: int, *, shared: bool = False) -> int:
    """Open and lock what stands at ``path`` now: one that was unlinked while we waited is not it any more.

    ``create`` is ``O_CREAT`` or 0, ``how`` is ``LOCK_NB`` or 0. Returns a descriptor; closing it lets go.

    Raises:
        FileNotFoundError: nothing is there, and it was not to be created.
        BlockingIOError: somebody holds it, with ``LOCK_NB``.
    """
    while True:
        file = os.open(path, create | os.O_APPEND | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | how)
            if os.fstat(file).st_ino == os.stat(path).st_ino:
                return file
        except FileNotFoundError:
            if not create:
                os.close(file)
                raise
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _remove_tree(directory: str, *, last: str) -> None:
    """Remove a state directory, the journal after everything else so that a kill halfway leaves the plan."""
    try:
        with os.scandir(directory) as found:
            entries = list(found)
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name == last:
            continue
        if not entry.is_dir(follow_symlinks=False):
            _unlink(entry.path)
        elif not _remove_empty(entry.path):
            import shutil  # milliseconds, and only a few containers have anything in a folder there

            shutil.rmtree(entry.path)
    _unlink(f"{directory}/{last}")
    os.rmdir(directory)


def _remove_empty(directory: str) -> bool:
    """Remove a directory; False if there is something in it."""
    try:
        os.rmdir(directory)
    except OSError:
        return False
    return True


def read_plan(path: str) -> Plan | None:
    """The plan in a journal file, or None if there is no file; an empty or torn first line is an empty plan."""
    import json

    text = read_whole(path)
    if text is None:
        return None
    lines = text.split(b"\n")
    if len(lines) < 2:  # the first line has no end: it was never fsync'd, so no step was begun
        return Plan([], False)
    entries = [JournalEntry(*fields) for fields in json.loads(lines[0])["plan"]]
    changes = [line for line in lines[1:-1] if line.startswith(_CHANGE)]  # what follows the last line's end is torn
    if changes:
        return _changed(entries, changes)
    return Plan(entries, b'{"complete":true}' in lines[1:])


def _changed(entries: list[JournalEntry], changes: Sequence[bytes]) -> Plan:
    import json

    settled = {entry.name: entry for entry in entries}
    pending: dict[str, JournalEntry] = {}
    for line in changes:
        try:
            change = json.loads(line)
        except ValueError:
            continue  # torn, so it was never fsync'd and nothing was begun; somebody else went on after it
        for name in change["gone"]:
            settled.pop(name, None)
            pending.pop(name, None)
        for into, fields in ((settled, change.get("settled", ())), (pending, change.get("pending", ()))):
            into.update((entry.name, entry) for entry in (JournalEntry(*one) for one in fields))
    return Plan([*settled.values(), *pending.values()], True, list(pending.values()))


def is_owned(path: str) -> bool:
    """Does a living process hold this journal?"""
    try:
        probe = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(probe)
    return False
