"""Progress of a pull: bars on a terminal, Docker's lines elsewhere, or an event per line as JSON."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Protocol, TextIO

    from pyctl_hookspecs.resolve_image import PullProgress

    class ProgressView(Protocol):
        """Takes events from any thread while the context is open."""

        def __call__(self, event: PullProgress) -> None: ...

        def __enter__(self) -> ProgressView: ...

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None: ...


STYLES = ("auto", "tty", "plain", "json", "quiet")
_FETCHED = ("exists", "downloaded", "unpacking", "done")
_COMPLETE = ("exists", "done")
_REDRAW_S = 0.1
_WORDS = {
    "waiting": "Pulling fs layer",
    "downloading": "Downloading",
    "exists": "Already exists",
    "downloaded": "Download complete",
    "unpacking": "Extracting",
    "done": "Pull complete",
}


def progress_view(style: str, stream: TextIO) -> ProgressView:
    """The view for a style; ``auto`` means bars on a terminal and lines elsewhere. Nothing reaches ``stream`` when quiet."""
    if style == "auto":
        style = "tty" if stream.isatty() else "plain"
    if style == "tty":
        return _Bars(stream)
    lines = {"plain": _plain, "json": _json, "quiet": _quiet}[style]
    return _Lines(stream, lines)


def short_digest(digest: str) -> str:
    return digest.partition(":")[2][:12] or digest[:12]


class _Lines:
    """Writes a line when a blob changes its state."""

    def __init__(self, stream: TextIO, render: Callable[[PullProgress], str]) -> None:
        from threading import Lock

        self._stream, self._render, self._lock = stream, render, Lock()
        self._last: dict[str, str] = {}

    def __call__(self, event: PullProgress) -> None:
        text = self._render(event)
        with self._lock:
            if text and self._last.get(event.digest) != text:
                self._last[event.digest] = text
                self._stream.write(text)
                self._stream.flush()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._stream.flush()


def _plain(event: PullProgress) -> str:
    """Layers only, and no line for what moves all the time."""
    if event.kind != "layer" or event.state in ("downloading", "unpacking"):
        return ""
    return f"{short_digest(event.digest)}: {_WORDS.get(event.state, event.state)}\n"


def _json(event: PullProgress) -> str:
    import json

    return json.dumps(event.as_dict()) + "\n"


def _quiet(event: PullProgress) -> str:
    return ""


class _Bars:
    """A bar per layer with bytes, rate and state; drawn by the events themselves, so that no thread outlives the pull.

    What follows a pull (a container's own terminal, for ``run``) must find the screen left alone: the bars end by
    themselves once every layer that was heard of is here.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._progress: Any = None
        self._tasks: dict[str, Any] = {}
        self._pending: set[str] = set()
        self._drawn_at = 0.0

    def __call__(self, event: PullProgress) -> None:
        if event.kind != "layer":
            return
        from time import monotonic

        if self._progress is None:
            self._begin()
        word = _WORDS.get(event.state, event.state)
        total = event.total_bytes or None
        if event.digest not in self._tasks:
            self._tasks[event.digest] = self._progress.add_task(short_digest(event.digest), total=total, state=word)
        done = event.total_bytes if event.state in _FETCHED and event.total_bytes else event.done_bytes
        self._progress.update(self._tasks[event.digest], completed=done, total=total, state=word)
        if event.state not in _COMPLETE:
            self._pending.add(event.digest)
        else:
            self._pending.discard(event.digest)
            if not self._pending:
                self._end()
                return
        if monotonic() - self._drawn_at > _REDRAW_S:
            self._drawn_at = monotonic()
            self._progress.refresh()

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._end()

    def _begin(self) -> None:
        from rich.console import Console  # 60 ms; only for people who watch, and only once there is something to see
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        self._tasks = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            TextColumn("{task.fields[state]:<17}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(file=self._stream),
            auto_refresh=False,
        )
        self._progress.start()

    def _end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
