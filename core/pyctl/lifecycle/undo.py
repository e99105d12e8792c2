"""Undo what a plan did: everything is tried, nothing waits for what it does not stand on."""

from __future__ import annotations

import threading

from pyctl.lifecycle.threads import BatchThread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyctl.lifecycle.journal import JournalEntry

    Undo = Callable[[str, str], None]  # (provider, undo token)


def undo_all(entries: Sequence[JournalEntry], undo: Undo) -> list[BaseException]:
    """Undo every entry once the entries that needed it are undone (or failed to be); errors are gathered.

    Entries without a token have nothing to undo. Independent ones run at the same time, because deleting a task
    and removing firewall rules both wait for the kernel; in a batch one after the other.
    """
    todo = [e for e in entries if e.undo_token]
    if len(todo) < 2:
        return [error for entry in todo if (error := _caught(undo, entry)) is not None]
    return _Unwind(todo, undo).run()


def _caught(undo: Undo, entry: JournalEntry) -> BaseException | None:
    try:
        undo(entry.provider, entry.undo_token)
    except Exception as error:
        return error
    return None


class _Unwind:
    def __init__(self, entries: Sequence[JournalEntry], undo: Undo) -> None:
        self._undo = undo
        self._waiting = list(entries)
        self._pending = list(entries)  # not yet undone: waiting or being worked on
        self._errors: list[BaseException] = []
        self._changed = threading.Condition()

    def run(self) -> list[BaseException]:
        if isinstance(threading.current_thread(), BatchThread):
            while self._pending:
                self._work(next(entry for entry in self._pending if not self._is_stood_on(entry)))
            return self._errors
        with self._changed:
            while self._pending:
                for entry in [e for e in self._waiting if not self._is_stood_on(e)]:
                    self._waiting.remove(entry)
                    threading.Thread(target=self._work, args=(entry,), name=f"undo {entry.name}", daemon=True).start()
                self._changed.wait()
        return self._errors

    def _is_stood_on(self, entry: JournalEntry) -> bool:
        return any(entry.name in other.needs for other in self._pending)

    def _work(self, entry: JournalEntry) -> None:
        error = _caught(self._undo, entry)
        with self._changed:
            self._pending.remove(entry)
            if error is not None:
                self._errors.append(error)
            self._changed.notify()
