"""Starts by a tool that knows nothing of us: ``nerdctl start`` of a container we made, or containerd's restart monitor.

The shim of such a start waits for the log binary, and that for us. So there is time to make what the container's
specification expects on this machine (``pyctl internal prepare``). Nothing may be asked about the task meanwhile: the
shim answers nobody before it may go on. Once the process runs, ``pyctl internal adopt`` connects it.
"""

from __future__ import annotations

import fcntl
import json
import os

from .wire import LAUNCHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .children import Done, Job
    from .loop import Timer

_PATIENCE_S = 0.5  # with who deals with the last exit: it may be waiting for the shim that waits for us
_JOURNAL = "pyctl-start.journal"


def launcher(state_dir: str) -> Mapping[str, object] | None:
    """How to start pyctl for this container; None if we did not make it, or one of ours is starting it."""
    try:
        with open(f"{state_dir}/{LAUNCHER}", "rb") as file:
            found = json.loads(file.read())
    except (FileNotFoundError, ValueError):
        return None
    return None if _is_held(f"{state_dir}/{_JOURNAL}") else found


def _is_held(path: str) -> bool:
    """Whoever carries a plan out, or undoes it, holds a lock on it."""
    try:
        journal = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(journal, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(journal)
    return False


def let_in(
    launch: Callable[[str, Done], None],
    *,
    after: Job | None,
    later: Callable[[float, Callable[[], None]], Timer],
    go: Callable[[], None],
    note: Callable[[str], None],
) -> None:
    """Prepare, call ``go``, adopt. ``after`` is the process that deals with the last exit, if it is not through yet."""
    has_begun = False

    def begin() -> None:
        nonlocal has_begun
        if not has_begun:
            has_begun = True
            launch("prepare", prepared)

    def prepared(code: int, output: bytes) -> None:
        check("prepare", code, output)
        go()
        launch("adopt", lambda code, output: check("adopt", code, output))

    def check(verb: str, code: int, output: bytes) -> None:
        if code:
            note(f"`internal {verb}` failed, exit code {code}: {output.decode(errors='replace').strip()}")

    if after is None:
        begin()
    else:
        after.on_end.append(begin)
        later(_PATIENCE_S, begin)
