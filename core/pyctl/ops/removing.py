"""``rm``: containers go, with everything they have, one or many at once."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing

from pyctl.lifecycle.batch import in_batch
from pyctl.ops.ending import deputise, finish_run, instead_of_keeper, may_go, record_exit, state_of, undo_creation, undo_run
from pyctl_hookspecs.errors import ConflictError, PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctl.containerd.records import Container, TaskStatus
    from pyctl.keeper.client import Deputy
    from pyctl.ops.session import Session

_ALIVE = ("running", "paused", "pausing")
_TOGETHER = 100  # three descriptors each are open meanwhile


class RemovalChoice(Record):
    """``rm``'s flags. ``volumes`` takes anonymous volumes along."""

    force: bool = False
    volumes: bool = False


def remove(session: Session, names: Sequence[str], choice: RemovalChoice) -> Iterator[tuple[str, object]]:
    """Remove containers by name; yields each name with its error or None."""
    from pyctl.ops.lookup import Finder

    find = Finder(session.client, names)
    held: dict[str, ExitStack] = {}
    removed: list[str] = []

    def one(name: str) -> None:
        container = find(name)
        with held.pop(container.container_id, None) or _held(session, container.container_id):
            remove_container(session, container, choice)
        removed.append(container.container_id)

    deputy = None
    try:
        if choice.force and len(find.known) > 1:
            deputy = _kill_together(session, list(find.known.values())[:_TOGETHER], held)
        yield from in_batch(one, names, interrupt=session.cancel.set)
    finally:
        if deputy is not None:
            with closing(deputy):
                deputy.done(removed)
        _let_go(held)
        while session.dying:
            os.close(session.dying.popitem()[1])


def _let_go(held: dict[str, ExitStack]) -> None:
    while held:
        held.popitem()[1].close()


def _held(session: Session, container_id: str, *, blocking: bool = True) -> ExitStack:
    """The container is ours until this is left, and noted: should we be killed, the next command ends what we began.

    Raises:
        BlockingIOError: another command has it, and ``blocking`` is false.
    """
    from pyctl.ops.reconciling import pending
    from pyctl.state.locks import lock_directory

    with ExitStack() as stack:
        stack.enter_context(lock_directory(f"{session.paths.state_dir(container_id)}/oplock", blocking=blocking))
        stack.enter_context(pending(session, container_id))
        return stack.pop_all()


def _kill_together(session: Session, containers: Sequence[Container], held: dict[str, ExitStack]) -> Deputy | None:
    """SIGKILL all of them at once, so that they leave their peers together, and end while the first are removed.

    They are ``held`` then, as those are that do not run or that another tool has started, which are left to their turn.
    So is everything if another command works on one of them: who waits must not hold what that one may wait for.
    """
    import signal

    from pyctl.ops.tasks import open_init

    def hold(container: Container) -> None:
        held[container.container_id] = _held(session, container.container_id, blocking=False)

    refused = [error for _, error in in_batch(hold, containers) if error is not None]
    try:
        deputy = None if refused else deputise(session, list(held), holds_notes=True)
    except PyctlError:
        deputy = None
    if deputy is None:  # what is not another command's doing is met again, and reported
        _let_go(held)
        return None
    for container_id, pid in deputy.pids.items():
        process = open_init(pid, container_id) if _is_ours(session, container_id) else -1
        if process < 0:
            continue
        session.dying[container_id] = process
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended by itself
    return deputy


def _is_ours(session: Session, container_id: str) -> bool:
    """Was the run started by us? Then its plan says what it uses."""
    return os.path.exists(state_of(session, container_id).start_journal)


def remove_container(session: Session, container: Container, choice: RemovalChoice) -> None:
    """Remove a container and everything it has; a running one only by force.

    Raises:
        ConflictError: it runs, and ``force`` was not given; Docker's words.
        BaseExceptionGroup: what could not be removed. The rest is gone, unless it still has a task; the next ``rm`` tries
            again, and ``network repair`` what is left of a container that is gone.
    """
    from pyctl.ops.lookup import container_name
    from pyctl.ops.tasks import find_task

    container_id = container.container_id
    if container_id in session.dying:  # together with others
        _remove_ended(session, container, choice, undo_run(session, state_of(session, container_id)))
        return
    status = find_task(session.client, container_id)
    if status is None or status.status not in _ALIVE:
        has_ended = status is not None and status.status == "stopped"
        _remove_ended(session, container, choice, finish_run(session, container_id, known=status if has_ended else None))
    elif choice.force:
        with instead_of_keeper(session, container_id, holds_note=True):
            _remove_ended(session, container, choice, _end_run(session, container_id, status))
    else:
        advice = "unpause and then stop" if status.status != "running" else "stop"
        raise ConflictError(
            f'cannot remove container "/{container_name(container)}": container is {status.status}: '
            f"{advice} the container before removing or force remove"
        )


def _remove_ended(session: Session, container: Container, choice: RemovalChoice, errors: list[BaseException]) -> None:
    """Undo what made it; ``errors`` are those of undoing its run."""
    from pyctl.ops.lookup import container_name

    container_id = container.container_id
    if may_go(session, container_id, errors):
        errors += undo_creation(session, container, with_volumes=choice.volumes)
    if errors:
        record_exit(session, state_of(session, container_id), container_id)  # it is still there to be looked at
        raise BaseExceptionGroup(f"could not remove container {container_name(container) or container_id}", errors)


def _end_run(session: Session, container_id: str, status: TaskStatus) -> list[BaseException]:
    """Kill it and release what its run used; how it ended is not kept, as nothing of it is."""
    from pyctl.ops.tasks import kill_and_wait, kill_to_delete

    if not _is_ours(session, container_id):
        return finish_run(session, container_id, known=kill_and_wait(session.client, container_id, status))
    kill_to_delete(session.client, container_id, status)
    session.ended.add(container_id)
    return undo_run(session, state_of(session, container_id))
