"""A change of a plan that is complete: a container that runs is connected to one more network, or to one less.

The change is lines at the end of the plan's file. What it begins is pending, on disk before anything happens, until
the change says what stays. Pending entries of a dead owner are undone by the next command; the plan itself stays.
"""

from __future__ import annotations

import os

from pyctl.lifecycle.journal import Journal, JournalEntry, read_plan
from pyctl.lifecycle.undo import undo_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from pyctl.lifecycle.steps import Step
    from pyctl.lifecycle.undo import Undo


class Amendment(Journal):
    """Takes the place of a journal in a chapter. The plan's lock is held, so nobody undoes the plan meanwhile."""

    _replaces: tuple[str, ...] = ()
    _stands_on: tuple[str, ...] = ()
    _stays: tuple[JournalEntry, ...] = ()
    _pending: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: str) -> Self | None:
        """Wait for the plan at ``path``; None if it is gone by then."""
        return cls.take(path)

    def amend(self, *, replaces: Sequence[str] = (), stands_on: Sequence[str] = (), stays: Sequence[JournalEntry] = ()) -> None:
        """Say what the change is to the plan before it begins.

        ``replaces`` names entries that the pending ones undo as well, ``stands_on`` entries that are to be undone after
        them, ``stays`` are the entries that the whole change leaves behind once it is complete, in the place of those of
        the same names.
        """
        self._replaces, self._stands_on, self._stays = tuple(replaces), tuple(stands_on), tuple(stays)

    def begin(self, steps: Sequence[Step | JournalEntry]) -> None:
        """Put what is about to happen on disk."""
        self._pending = tuple(step.name for step in steps)
        self._end_torn_line()
        pending = [[s.name, s.provider, s.undo_token, [*s.needs, *self._stands_on]] for s in steps]
        self._line(change=True, gone=self._replaces, pending=pending)
        os.fsync(self._file)

    def complete(self) -> None:
        """All steps are done: of what was pending only ``stays`` is to be undone one day."""
        stays = [[entry.name, entry.provider, entry.undo_token, entry.needs] for entry in self._stays]
        self._line(change=True, gone=self._pending, settled=stays)
        self.close()

    def discard(self) -> None:
        """Everything pending was undone."""
        if self._file >= 0:
            self._line(change=True, gone=self._pending)
        self.close()

    def forget(self, names: Sequence[str]) -> None:
        """These entries of the plan were undone."""
        self._end_torn_line()
        self._line(change=True, gone=names)

    def _end_torn_line(self) -> None:
        """A line that a full disk or a crash cut short must not swallow the next one."""
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")


def undo_pending(path: str, undo: Undo) -> list[BaseException]:
    """Undo what an interrupted change left pending in the plan at ``path``; the rest of the plan stays.

    What could not be undone stays pending, so that a later command tries again.
    """
    amendment = Amendment.of(path)
    if amendment is None:
        return []
    try:
        plan = read_plan(path)
        if plan is None or not plan.pending:
            return []
        errors = undo_all(plan.pending, undo)
        if not errors:
            amendment.forget([entry.name for entry in plan.pending])
        return errors
    finally:
        amendment.close()
