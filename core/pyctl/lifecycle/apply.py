"""Carry a plan out: each step as soon as what it needs is there; on any failure undo all that was begun."""

from __future__ import annotations

import threading

from pyctl.lifecycle.journal import JournalEntry
from pyctl.lifecycle.undo import undo_all
from pyctl_hookspecs.errors import CancelledError, PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pyctl.lifecycle.cancel import Cancel
    from pyctl.lifecycle.journal import Journal
    from pyctl.lifecycle.steps import Step
    from pyctl.lifecycle.undo import Undo


class Watcher:
    """Told about steps while they run; the default tells nobody. Calls come from the steps' threads."""

    def before(self, step: Step) -> None: ...

    def after(self, step: Step, seconds: float) -> None: ...


class Chapter(Record):
    """Steps that are undone together later, and the journal that remembers them."""

    journal: Journal
    steps: tuple[Step, ...]


def apply(
    chapters: Sequence[Chapter], undo: Undo, cancel: Cancel, watcher: Watcher | None = None, *, is_trial: bool = False
) -> dict[str, Any]:
    """Run the steps of all chapters as one graph and return their results by step name.

    Setting ``cancel`` (Ctrl-C, SIGTERM) starts no further step; long steps watch it themselves. After a failure
    every begun step is undone in reverse order, and the journals are discarded if all undos succeeded, kept otherwise.
    A trial is undone even if nothing failed; its plan is complete at no time, so that a kill leads to the same.

    Raises:
        BaseExceptionGroup: the failures that came first, then whatever could not be undone.
    """
    run = _Run(chapters, cancel, watcher or Watcher())
    try:
        for chapter in chapters:
            chapter.journal.begin(chapter.steps)
    except BaseException:  # no room for the plan: no step was begun
        for chapter in chapters:
            chapter.journal.discard()
        raise
    failures = run.all_steps() or ([] if is_trial else _completed(chapters))
    if not failures and not is_trial:
        return run.results
    stuck = undo_all([JournalEntry(s.name, s.provider, s.undo_token, s.needs) for s in run.begun], undo)
    for chapter in chapters:
        if stuck:
            chapter.journal.close()
        else:
            chapter.journal.discard()
    if failures or stuck:
        raise BaseExceptionGroup("could not finish", failures + stuck)
    return run.results


def _completed(chapters: Sequence[Chapter]) -> list[BaseException]:
    """What failed while the journals were closed: the next command would undo a plan that does not say that it is done."""
    try:
        for chapter in chapters:
            chapter.journal.complete()
    except OSError as error:
        return [error]
    return []


class _Run:
    """The state of one ``apply``; everything is guarded by ``changed``."""

    def __init__(self, chapters: Sequence[Chapter], cancel: Cancel, watcher: Watcher) -> None:
        self.results: dict[str, Any] = {}
        self.begun: list[Step] = []
        self._failures: list[BaseException] = []
        self._running = 0
        self._waiting = [(step, chapter.journal) for chapter in chapters for step in chapter.steps]
        self._cancel, self._watcher = cancel, watcher
        self._changed = threading.Condition()

    def all_steps(self) -> list[BaseException]:
        """Run until everything is done or something failed and everything begun has ended."""
        self._cancel.subscribe(self._wake)
        try:
            with self._changed:
                while True:
                    if self._cancel.is_set() and not any(isinstance(e, CancelledError) for e in self._failures):
                        self._failures.append(CancelledError("interrupted", exit_code=130))
                    if not self._failures:
                        self._start_ready()
                    if self._running == 0 and (self._failures or not self._waiting):
                        return self._failures
                    self._changed.wait()
        finally:
            self._cancel.unsubscribe(self._wake)

    def _wake(self) -> None:
        with self._changed:  # re-entrant: a signal handler may run in the thread that holds it
            self._changed.notify_all()

    def _start_ready(self) -> None:
        ready = [pair for pair in self._waiting if all(need in self.results for need in pair[0].needs)]
        if not ready and not self._running and self._waiting:
            raise ValueError(f"steps wait for each other: {[step.name for step, _ in self._waiting]}")
        for step, journal in ready:
            self._waiting.remove((step, journal))
            self.begun.append(step)
            self._running += 1
            threading.Thread(target=self._work, args=(step, journal), name=step.name, daemon=True).start()

    def _work(self, step: Step, journal: Journal) -> None:
        from time import monotonic

        outcome: Any = None
        failure: BaseException | None = None
        try:
            started = monotonic()
            self._watcher.before(step)
            outcome = step.do(self.results)
            self._watcher.after(step, monotonic() - started)
            journal.mark(step.name)
        except OSError as error:  # the machine refused (disk full, not permitted): not a bug, and not ours to explain
            failure = PyctlError(f"{step.says}: {_what_failed(error)}")
            failure.__cause__ = error
            _name_step(failure, step)
        except BaseException as error:
            _name_step(error, step)
            failure = error
        with self._changed:
            self._running -= 1
            if failure is None:
                self.results[step.name] = outcome
            else:
                self._failures.append(failure)
            self._changed.notify_all()


def _what_failed(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else reason


def _name_step(error: BaseException, step: Step) -> None:
    if not hasattr(error, "step"):
        error.step = step.name  # type: ignore[attr-defined]  # for --errors json
