"""Starts by a tool that knows nothing of us: ``nerdctl start`` of a container we made, or containerd's restart monitor.

The shim of such a start waits for the log binary, and that for us. So there is time to make what the container's
specification expects on this machine (``pyctl internal prepare``). Nothing may be asked about the task meanwhile: the
shim answers nobody before it may go on. Once the process runs, ``pyctl internal adopt`` connects it. Until then whoever
deals with the last exit leaves everything as it is (``is_let_in``): the new run goes on using it.
"""

from __future__ import annotations

import fcntl
import json
import os

from .wire import LAUNCHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .children import Done

_JOURNAL = "pyctl-start.journal"


def launcher(state_dir: str) -> Mapping[str, object] | None:
    """How to start pyctl for this container; None if we did not make it, or one of ours is starting it."""
    if _is_ours(f"{state_dir}/{_JOURNAL}"):
        return None
    try:
        with open(f"{state_dir}/{LAUNCHER}", "rb") as file:
            found: Mapping[str, object] = json.loads(file.read())
    except (FileNotFoundError, ValueError):
        return None
    return found


def _is_ours(path: str) -> bool:
    """Does somebody carry out the plan of a start? Who undoes one holds its lock, too, but that plan is complete."""
    try:
        journal = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(journal, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return b'\n{"complete":true}' not in os.read(journal, 1 << 20)
    finally:
        os.close(journal)
    return False


def let_in(
    launch: Callable[[str, Done], None], *, go: Callable[[], None], over: Callable[[], None], note: Callable[[str], None]
) -> None:
    """Prepare, call ``go``, adopt, call ``over``."""

    def prepared(code: int, output: bytes) -> None:
        check("prepare", code, output)
        go()
        launch("adopt", adopted)

    def adopted(code: int, output: bytes) -> None:
        check("adopt", code, output)
        over()

    def check(verb: str, code: int, output: bytes) -> None:
        if code:
            note(f"`internal {verb}` failed, exit code {code}: {output.decode(errors='replace').strip()}")

    launch("prepare", prepared)
