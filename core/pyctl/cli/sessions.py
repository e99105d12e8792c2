"""A session for the time of a command, with what it has to say to people on standard error."""

from __future__ import annotations

import sys

from pyctl.ops.session import open_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import TextIO

    from pyctl.ops.session import Session
    from pyctl.ops.settings import Settings
    from pyctl_hookspecs.resolve_image import PullProgress


class session_for:
    """``with session_for(settings) as session``: opened, its notices shown, and closed again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: Session | None = None

    def __enter__(self) -> Session:
        self._session = open_session(self._settings)
        show_notices(self._session)
        return self._session

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            show_notices(self._session)
            self._session.close()


def show_notices(session: Session) -> None:
    """Print what has gathered since the last time, and forget it."""
    while session.notices:
        sys.stderr.write(f"{session.notices.pop(0)}\n")


def echo(text: str) -> None:
    """One line on standard output, at once: whoever reads it may be waiting for it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def echo_batch(results: Iterable[tuple[str, object]]) -> int:
    """Echo each name whose operation succeeded, report each that failed; the exit status is 1 if one did.

    Unless somebody interrupted: that shows in any case.
    """
    code = 0
    for name, result in results:
        if isinstance(result, BaseException):
            from pyctl.cli.errors import INTERRUPTED, report

            reported = report(result)
            code = reported if reported in INTERRUPTED else code or 1
        else:
            echo(name)
    return code


class pull_progress:
    """``with pull_progress(session, style, stream) as progress``: shows a pull, after what has to be said first.

    ``is_newer`` says afterwards whether anything had to be fetched.
    """

    def __init__(self, session: Session, style: str, stream: TextIO) -> None:
        from pyctl.cli.output.progress import progress_view

        self._session = session
        self._view = progress_view(style, stream)
        self.is_newer = False

    def __call__(self, event: PullProgress) -> None:
        show_notices(self._session)
        self.is_newer = self.is_newer or event.state == "downloaded"
        self._view(event)

    def __enter__(self) -> pull_progress:
        self._view.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._view.__exit__(kind, error, trace)


def expect_long_life() -> None:
    """Turn the collector on again, rarely enough that a short run does not notice: this process may live for days."""
    import gc

    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
