"""Undo a plan from its journal: after a crash, when a container is removed, or when its task has ended."""

from __future__ import annotations

from pyctl.lifecycle.journal import Journal, JournalEntry, read_plan
from pyctl.lifecycle.undo import undo_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctl.lifecycle.undo import Undo


def _every(_entry: JournalEntry) -> bool:
    return True


def undo_plan(
    path: str, undo: Undo, *, owns_directory: bool = False, which: Callable[[JournalEntry], bool] = _every
) -> list[BaseException]:
    """Undo the steps of the plan at ``path`` that ``which`` picks and drop the journal; no plan there is a success.

    Waits while another process carries the plan out or undoes it. A journal that could not be undone completely
    stays, so that a later command tries again.
    """
    journal = Journal.take(path, owns_directory=owns_directory)
    if journal is None:
        return []
    try:
        plan = read_plan(path)
        errors = undo_all([entry for entry in plan.entries if which(entry)], undo) if plan else []
        if not errors:
            journal.discard()
        return errors
    finally:
        journal.close()
