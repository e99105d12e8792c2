"""The user's wish to stop (Ctrl-C, SIGTERM), seen by every thread of an operation."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Cancel:
    """Set once, from a signal handler if need be; whoever waits is woken by what it subscribed."""

    def __init__(self) -> None:
        self._is_set = False
        self._callbacks: list[Callable[[], None]] = []

    def set(self) -> None:
        """Ask everybody to stop. Runs the callbacks in the calling thread; a second call does nothing."""
        if not self._is_set:
            self._is_set = True
            for callback in list(self._callbacks):
                callback()

    def is_set(self) -> bool:
        return self._is_set

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when set; at once if it is already."""
        self._callbacks.append(callback)
        if self._is_set:
            callback()

    def unsubscribe(self, callback: Callable[[], None]) -> None:
        if callback in self._callbacks:
            self._callbacks.remove(callback)
