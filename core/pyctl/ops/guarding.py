"""Rules that somebody flushed come back for a foreground container too: its own command looks after them.

The keeper does this for containers it watches; for one that lives and ends with its command it need not even run.
"""

from __future__ import annotations

import os
import select
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctl.ops.session import Session


class RulesGuard:
    """A thread that notices missing rules as the keeper would. Begins after ``patience_s``: most runs are over by then."""

    def __init__(self, session: Session, patience_s: float = 1.0) -> None:
        self._session, self._patience_s = session, patience_s
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        self._is_over = False
        self._thread = threading.Thread(target=self._watch, name="rules", daemon=True)

    def __enter__(self) -> RulesGuard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Returns when a repair that is under way has ended."""
        os.write(self._writer, b"x")
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def _watch(self) -> None:
        if select.select([self._reader], (), (), self._patience_s)[0]:
            return
        from pyctl.keeper.guard import Guard
        from pyctl.keeper.loop import Loop

        loop = Loop()
        guard = Guard(loop, f"{self._session.paths.runtime_dir}/bridges", self._repair, _ignore)
        loop.watch(self._reader, self._end)
        guard.set_needed(True)
        while not self._is_over:
            loop.turn(60.0)
        guard.set_needed(False)

    def _end(self) -> None:
        self._is_over = True

    def _repair(self, done: Callable[[], None]) -> None:
        """What cannot be repaired is not said here: the container's own output is what the user looks at."""
        from pyctl.ops.network_repair import repair
        from pyctl.ops.session import Session
        from pyctl_hookspecs.errors import PyctlError

        session = Session(self._session.settings)  # with a connection of its own
        try:
            repair(session)
        except (PyctlError, OSError):
            pass  # the engine is away; the next look tries again
        finally:
            session.close()
        done()


def _ignore(_message: str) -> None:
    """Nobody keeps notes here."""
