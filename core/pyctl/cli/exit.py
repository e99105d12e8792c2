"""What has to happen before the process ends, because interpreter teardown is skipped."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_callbacks: list[Callable[[], None]] = []


def at_exit(callback: Callable[[], None]) -> None:
    """Call ``callback`` once before the process ends; the last registered is called first."""
    _callbacks.append(callback)


def run_callbacks() -> None:
    """Run and forget every callback. One that fails does not keep the others from running."""
    while _callbacks:
        callback = _callbacks.pop()
        try:
            callback()
        except Exception as error:  # the last chance: nobody is left to handle it
            import sys

            print(f"pyctl: at exit: {error}", file=sys.stderr)
