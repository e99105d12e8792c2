"""Undo what interrupted commands left behind.

A command notes the container it works on in ``<data store>/pending/<namespace>/`` before its plan begins and removes
the note when the plan is complete or undone. So any later command sees at a glance whether somebody was killed.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager

from pyctl.lifecycle.journal import open_locked
from pyctl.ops.ending import state_of
from pyctl.state.locks import sweep
from pyctl_hookspecs.errors import NotFoundError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl.ops.session import Session
    from pyctl.state.containers import StateDir


@contextmanager
def pending(session: Session, container_id: str) -> Iterator[None]:
    """Note that this container's plan is being carried out, and be the only one who does.

    The note is locked while we live: whoever can lock it knows that its owner is gone.
    """
    note = _take_note(session, container_id, 0)
    try:
        yield
    finally:
        state = state_of(session, container_id)
        if not _is_unfinished(state.create_journal) and not _is_unfinished(state.start_journal, or_pending=True):
            _forget(f"{_directory(session)}/{container_id}")
        os.close(note)


def _take_note(session: Session, container_id: str, how: int) -> int:
    from pyctl.state.locks import make_private

    directory = _directory(session)
    path = f"{directory}/{container_id}"
    try:
        return open_locked(path, os.O_CREAT, how)
    except FileNotFoundError:
        make_private(directory)
        return open_locked(path, os.O_CREAT, how)


def undo_abandoned(session: Session) -> list[str]:
    """Undo every noted plan whose owner is gone, go on with containers whose command is; returns one line for each.

    What cannot be undone is said and stays noted: it is no reason to refuse what has nothing to do with it.
    """
    from pyctl.ops.fronts import take_over_abandoned

    lines: list[str] = []
    for container_id in noted(session):
        try:
            lines += undo_container(session, container_id)
        except (PyctlError, OSError, ExceptionGroup) as error:
            session.notices += [f"WARNING: leftovers of {container_id[:12]} are still there: {one}" for one in _members(error)]
    try:
        lines += take_over_abandoned(session)
    except ExceptionGroup as error:
        session.notices += [f"WARNING: a container whose command was killed is not taken over: {one}" for one in _members(error)]
    return lines


def _members(error: Exception) -> list[Exception]:
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [member for one in error.exceptions for member in _members(one)]


def noted(session: Session) -> list[str]:
    """IDs of the containers whose plan is being carried out, or was when somebody was killed."""
    try:
        return os.listdir(_directory(session))
    except FileNotFoundError:
        return []


def undo_container(session: Session, container_id: str, *, wait: bool = False) -> list[str]:
    """Set one container right: undo plans that were broken off, end what was begun to end, if nobody works on it.

    With ``wait`` whoever carries no plan out (the keeper's process that looks at an end or a start) is waited for.

    Raises:
        PyctlError, BaseExceptionGroup: not everything could be; a note that was there stays.
    """
    from pyctl.lifecycle.journal import is_owned

    path = f"{_directory(session)}/{container_id}"
    was_noted = os.path.exists(path)
    is_settled = not was_noted
    try:
        note = _take_note(session, container_id, fcntl.LOCK_NB)
    except BlockingIOError:
        state = state_of(session, container_id)
        if not wait or is_owned(state.create_journal) or is_owned(state.start_journal):
            return []
        note = _take_note(session, container_id, 0)
    try:
        if was_noted:
            sweep(state_of(session, container_id).path)
        lines = _undo_unfinished(session, container_id)
        lines += _finish_removal(session, container_id)
        lines += _finish_run(session, container_id)
        if was_noted:
            _watch_if_running(session, container_id)
        is_settled = True
        return lines
    finally:
        if is_settled:
            _forget(path)
        os.close(note)


def _undo_unfinished(session: Session, container_id: str) -> list[str]:
    from pyctl.lifecycle.journal import is_owned
    from pyctl.lifecycle.recover import undo_plan
    from pyctl.ops.undo import undoer

    state = state_of(session, container_id)
    if is_owned(state.start_journal) or is_owned(state.create_journal):
        return []  # being undone by somebody
    lines: list[str] = []
    errors: list[BaseException] = []
    creation_failed = _is_unfinished(state.create_journal)
    if _is_unfinished(state.start_journal) or (creation_failed and os.path.exists(state.start_journal)):
        network = _network_of(state.start_journal)
        if not network:
            from pyctl.ops.orphans import await_creation

            await_creation(session, container_id)
        errors += undo_plan(state.start_journal, undoer(session))
        what = f"change of network {network}" if network else f"start of container {container_id}"
        lines.append(f"undid the interrupted {what}")
    elif _is_unfinished(state.start_journal, or_pending=True):
        from pyctl.lifecycle.amendment import undo_pending

        errors += undo_pending(state.start_journal, undoer(session))
        lines.append(f"undid the interrupted change of the networks of container {container_id}")
    if creation_failed:
        errors += undo_plan(state.create_journal, undoer(session), owns_directory=True)
        lines.append(f"undid the interrupted creation of container {container_id}")
    if errors:
        raise BaseExceptionGroup(f"could not undo everything of container {container_id}", errors)
    if creation_failed:
        session.names.sweep()
    _drop_empty(state)
    return lines


def reconcile(session: Session) -> list[str]:
    """Look at everything: unfinished plans, runs whose exit nobody dealt with, leases and pending work of dead owners.

    Raises:
        BaseExceptionGroup: what could not be undone; the rest is.
    """
    from pyctl.keeper import client as keeper
    from pyctl.ops.fronts import take_over_abandoned
    from pyctl.ops.leases import delete_abandoned

    lines: list[str] = []
    errors: list[BaseException] = []
    try:
        known = os.listdir(session.paths.containers)
    except FileNotFoundError:
        known = []
    for container_id in known:
        try:
            lines += undo_container(session, container_id, wait=True)
        except Exception as error:
            errors.append(error)
    try:
        lines += take_over_abandoned(session)
    except ExceptionGroup as error:
        errors.append(error)
    lines += [f"deleted lease {lease_id} of a process that is gone" for lease_id in delete_abandoned(session)]
    paths = session.paths
    keeper.wake(paths.data_store, paths.runtime_dir, data_root=paths.data_root)  # restart policies go on after a kill or reboot
    if errors:
        raise BaseExceptionGroup("could not reconcile everything", errors)
    return lines


def finish_forgotten(session: Session, container_id: str) -> list[str]:
    """A run is over and still holds its network: the machine went down, or who had to see to it was killed."""
    if not _holds_something(session, container_id):
        return []
    with pending(session, container_id):
        return _finish_run(session, container_id)


def _holds_something(session: Session, container_id: str) -> bool:
    """Does a run of it, that nobody is making or undoing, hold what a run uses?"""
    from pyctl.lifecycle.journal import is_owned

    start_journal = state_of(session, container_id).start_journal
    return os.path.exists(start_journal) and not is_owned(start_journal)


def _finish_run(session: Session, container_id: str) -> list[str]:
    from pyctl.ops.ending import finish_run, is_temporary, undo_creation
    from pyctl.ops.tasks import find_task

    if not _holds_something(session, container_id):
        return []
    status = find_task(session.client, container_id)
    if status is not None and status.status != "stopped":
        return []
    errors = finish_run(session, container_id)
    try:
        container = session.client.containers.get(container_id)
        if not errors and is_temporary(session, container):
            errors = undo_creation(session, container, with_volumes=True)
    except NotFoundError:
        pass  # somebody removed it, and is about to take its state along
    if errors:
        raise BaseExceptionGroup(f"could not release everything of container {container_id}", errors)
    return [f"released what container {container_id} used while it ran"]


def _finish_removal(session: Session, container_id: str) -> list[str]:
    """The container is gone and what it was made of is not: ``rm`` was killed, or a tool that knows nothing of us did it.

    Anonymous volumes stay: nobody can tell any more whether they were to go.
    """
    from pyctl.lifecycle.journal import is_owned
    from pyctl.ops.ending import may_go, undo_create_plan, undo_run

    state = state_of(session, container_id)
    if not os.path.exists(state.create_journal) or is_owned(state.create_journal) or is_owned(state.start_journal):
        return []
    try:
        session.client.containers.get(container_id)
    except NotFoundError:
        errors = undo_run(session, state)
        if may_go(session, container_id, errors):
            errors += undo_create_plan(session, state, with_volumes=False)
        if errors:
            raise BaseExceptionGroup(f"could not remove what is left of container {container_id}", errors) from None
        return [f"removed what was left of container {container_id}"]
    return []


def _watch_if_running(session: Session, container_id: str) -> None:
    """Who was killed may have told the keeper to leave the exit to them; a command in front sees to it itself."""
    from pyctl.ops.fronts import has_front
    from pyctl.ops.watching import watch_exit

    if os.path.exists(state_of(session, container_id).start_journal) and not has_front(session, container_id):
        try:
            watch_exit(session, container_id)
        except NotFoundError:
            pass


def _is_unfinished(journal: str, *, or_pending: bool = False) -> bool:
    """Was the plan not carried out to its end? ``or_pending``: or a later change of it."""
    from pyctl.lifecycle.journal import read_plan

    plan = read_plan(journal)
    return plan is not None and (not plan.is_complete or (or_pending and bool(plan.pending)))


def _network_of(journal: str) -> str:
    """The network that a plan is about as a whole; empty for a container's plan."""
    from pyctl.lifecycle.journal import read_plan

    plan = read_plan(journal)
    tokens = [entry.undo_token for entry in plan.entries if entry.provider == "core/network-draft"] if plan else []
    return tokens[0].partition("/")[2] if tokens else ""


def _drop_empty(state: StateDir) -> None:
    """A state directory without a journal or anything else: its maker was killed right after making it."""
    try:
        os.rmdir(state.path)
    except OSError:
        pass  # not there, or a container's


def _directory(session: Session) -> str:
    return f"{session.paths.data_store}/pending/{session.namespace}"


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
