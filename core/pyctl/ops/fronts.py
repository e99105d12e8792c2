"""Commands in front of a container, and what becomes of it when one of them is killed.

Such a command reads the container's output and, unless the keeper does, deals with its exit. While it lives it holds a
locked note in ``<data store>/fronts/<namespace>/``; the next command that finds one unlocked has the keeper go on.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager

from pyctl.lifecycle.journal import open_locked
from pyctl_hookspecs.errors import PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl.ops.session import Session


@contextmanager
def in_front(session: Session, container_id: str, *, is_needed: bool = True) -> Iterator[None]:
    """Hold the note: from before the container's plan begins until its exit was dealt with or somebody took over.

    The lock is shared: of two commands that start one container at once, the plan decides which is in front, and the
    last to leave takes the note away. Who takes over wants it alone.
    """
    if not is_needed:
        yield
        return
    from pyctl.state.locks import make_private

    make_private(_directory(session))
    path = f"{_directory(session)}/{container_id}"
    note = open_locked(path, os.O_CREAT, 0, shared=True)
    try:
        yield
    finally:
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        except BlockingIOError:
            pass  # another command is still in front
        os.close(note)


def has_front(session: Session, container_id: str) -> bool:
    """Is a command in front of it, or was until it was killed?"""
    return os.path.exists(f"{_directory(session)}/{container_id}")


def take_over_abandoned(session: Session) -> list[str]:
    """Go on with every container whose command was killed; returns one line for each.

    Raises:
        ExceptionGroup: for some it could not be done; the next command tries again.
    """
    try:
        noted = os.listdir(_directory(session))
    except FileNotFoundError:
        return []
    lines: list[str] = []
    errors: list[Exception] = []
    for container_id in noted:
        path = f"{_directory(session)}/{container_id}"
        try:
            note = open_locked(path, 0, fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):
            continue  # its command lives, or somebody else was faster
        try:
            lines += _go_on(session, container_id)
            os.unlink(path)
        except (PyctlError, OSError, ExceptionGroup) as error:
            errors.append(error)
        finally:
            os.close(note)
    if errors:
        raise ExceptionGroup("could not go on with every container whose command was killed", errors)
    return lines


def _go_on(session: Session, container_id: str) -> list[str]:
    from pyctl.ops.leases import delete_abandoned
    from pyctl.ops.logger import take_over
    from pyctl.ops.reconciling import finish_forgotten
    from pyctl.ops.tasks import find_task

    delete_abandoned(session)  # the command may have been killed before it gave its lease back
    status = find_task(session.client, container_id)
    if status is None or status.status == "stopped":
        return finish_forgotten(session, container_id)
    take_over(session, container_id)
    return [f"took over container {container_id}, whose command was killed"]


def _directory(session: Session) -> str:
    return f"{session.paths.data_store}/fronts/{session.namespace}"
