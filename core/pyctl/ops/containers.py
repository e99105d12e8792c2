"""What is done to containers by name: start, stop, restart, kill, wait and rm, each for many at once."""

from __future__ import annotations

from pyctl.lifecycle.batch import in_batch
from pyctl.ops.lookup import Finder, container_name, find_container
from pyctl_hookspecs.errors import CancelledError, ConflictError, NotFoundError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctl.containerd.records import Container, ExitStatus
    from pyctl.containerd.transport import Pending
    from pyctl.ops.run import RunResult
    from pyctl.ops.session import Session

DEFAULT_STOP_TIMEOUT_S = 10
STOP_SIGNAL_LABEL = "io.containerd.image.config.stop-signal"
_RUNNING = ("running", "paused", "pausing")


def start(session: Session, names: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Start containers, detached. Yields each name with a result or its error."""
    from pyctl.ops import run
    from pyctl.ops.signals import cancelling

    find = Finder(session.client, names)

    def one(name: str) -> RunResult:
        container = find(name)
        mark_stopped(session, container, is_stopped=False)
        return run.start(session, container)

    with cancelling(session.cancel.set):
        yield from in_batch(one, names)


def start_attached(session: Session, name: str, *, attach: bool, interactive: bool, detach_keys: str = "") -> RunResult:
    """Start one container and stay with it; the result has its exit code."""
    import json

    from pyctl.ops import run
    from pyctl.ops.foreground import Attachment

    container = find_container(session.client, name)
    mark_stopped(session, container, is_stopped=False)
    tty = bool(json.loads(container.spec_json).get("process", {}).get("terminal"))
    wanted = Attachment(stdin=interactive, stdout=attach, stderr=attach, tty=tty, detach_keys=detach_keys)
    return run.start(session, container, wanted)


def stop(
    session: Session, names: Sequence[str], *, timeout_s: int | None = None, signal: str = ""
) -> Iterator[tuple[str, object]]:
    """Stop containers: their signal, then SIGKILL after the time-out. One that is stopped already is a success.

    ``timeout_s`` None is the container's own (``--stop-timeout``), else 10; -1 waits for ever. A ``--rm`` container is gone
    when its stop has ended: the keeper was told to leave the exit to us.
    """
    from pyctl.ops.ending import remove_if_temporary

    find = Finder(session.client, names)

    def one(name: str) -> None:
        container = find(name)
        stop_one(session, container, timeout_s, signal)
        remove_if_temporary(session, container)

    return in_batch(one, names, interrupt=session.cancel.set)


def restart(
    session: Session, names: Sequence[str], *, timeout_s: int | None = None, signal: str = ""
) -> Iterator[tuple[str, object]]:
    """Stop, then start; one that does not run is just started."""
    from pyctl.ops import run
    from pyctl.ops.signals import cancelling

    find = Finder(session.client, names)

    def one(name: str) -> RunResult:
        container = find(name)
        _check_interrupt(session)
        try:
            stop_one(session, container, timeout_s, signal)
        except CancelledError:  # nobody has wanted it down
            mark_stopped(session, container, is_stopped=False)
            raise
        mark_stopped(session, container, is_stopped=False)
        return run.start(session, container)

    with cancelling(session.cancel.set):
        yield from in_batch(one, names)


def kill(session: Session, names: Sequence[str], *, signal: str = "KILL") -> Iterator[tuple[str, object]]:
    """Send a signal; what comes of it is the keeper's business, but SIGKILL's end is waited for. Docker's errors.

    What another tool started no keeper watches: after SIGKILL its network and its name among its peers go here.
    """
    import os
    from signal import SIGKILL

    from pyctl.ops.ending import finish_run, state_of
    from pyctl.ops.signals import parse_signal
    from pyctl.ops.tasks import find_task, kill_and_wait

    number = parse_signal(signal)

    find = Finder(session.client, names)

    def one(name: str) -> None:
        container = find(name)
        status = find_task(session.client, container.container_id)
        if status is None or status.status not in _RUNNING:
            raise ConflictError(f"cannot kill container: {name}: container {container.container_id} is not running")
        mark_stopped(session, container, is_stopped=True)
        if number == SIGKILL:
            is_foreign = not os.path.exists(state_of(session, container.container_id).start_journal)
            kill_and_wait(session.client, container.container_id, status)
            errors = finish_run(session, container.container_id) if is_foreign else []
            if errors:
                raise BaseExceptionGroup(f"killed {container_name(container)}, but could not release everything", errors)
            return
        try:
            session.client.tasks.kill(container.container_id, number)
        except NotFoundError:
            pass  # it ended just now

    return in_batch(one, names)


def rm(session: Session, names: Sequence[str], *, force: bool = False, volumes: bool = False) -> Iterator[tuple[str, object]]:
    """Remove containers; with ``force`` running ones too, and a missing one is no error."""
    from pyctl.ops.reconciling import undo_abandoned
    from pyctl.ops.removing import RemovalChoice, remove

    undo_abandoned(session)
    return remove(session, names, RemovalChoice(force=force, volumes=volumes))


def wait(session: Session, names: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Exit codes, each once its container has ended; at once for one that has."""
    find = Finder(session.client, names)
    return in_batch(lambda name: wait_one(session, find(name)), names, interrupt=session.cancel.set)


def stop_one(session: Session, container: Container, timeout_s: int | None, signal: str) -> None:
    """Stop one container and release what only a running one needs.

    Raises:
        InvalidArgumentError: no such signal.
        CancelledError: the user does not want to wait any more. It may still end, which is the keeper's business then.
        BaseExceptionGroup: it is stopped, but something could not be released.
    """
    from pyctl.ops.ending import finish_run, instead_of_keeper
    from pyctl.ops.reconciling import pending
    from pyctl.ops.signals import parse_signal
    from pyctl.ops.tasks import find_task

    _check_interrupt(session)
    container_id = container.container_id
    number = parse_signal(signal or container.labels.get(STOP_SIGNAL_LABEL) or "TERM")
    mark_stopped(session, container, is_stopped=True)
    # Before looking: a restart that was under way has ended then.
    with instead_of_keeper(session, container_id, holds_note=False):
        status = find_task(session.client, container_id)
        if status is not None and status.status in _RUNNING:
            _end_process(session, container_id, number, _timeout_s(container, timeout_s), is_paused=status.status != "running")
        with pending(session, container_id):  # should we be killed, the next command clears up
            errors = finish_run(session, container_id)
        if errors:
            raise BaseExceptionGroup(f"stopped {container_name(container)}, but could not release everything", errors)


def _check_interrupt(session: Session) -> None:
    if session.cancel.is_set():
        raise CancelledError("interrupted")


def _end_process(session: Session, container_id: str, number: int, limit_s: int, *, is_paused: bool) -> None:
    """Send a signal and wait; SIGKILL after ``limit_s`` seconds, at once for 0, never if it is negative."""
    from pyctl.ops.tasks import kill_and_wait

    waiting = session.client.tasks.wait(container_id)
    try:
        if limit_s == 0:
            kill_and_wait(session.client, container_id)
            return
        if is_paused:
            session.client.tasks.resume(container_id)
        session.client.tasks.kill(container_id, number)
        _result(session, waiting, None if limit_s < 0 else float(limit_s))
    except TimeoutError:
        kill_and_wait(session.client, container_id)
    except NotFoundError:
        pass  # it ended just now
    finally:
        waiting.cancel()


def _result(session: Session, waiting: Pending[ExitStatus], timeout_s: float | None = None) -> ExitStatus:
    """What is waited for, unless the user wants to stop: ``CancelledError``."""
    session.cancel.subscribe(waiting.cancel)
    try:
        return waiting.result(timeout_s)
    finally:
        session.cancel.unsubscribe(waiting.cancel)


def wait_one(session: Session, container: Container) -> int:
    """The exit code of the container's last or current run."""
    from pyctl.ops.ending import state_of
    from pyctl.ops.tasks import find_task

    waiting = session.client.tasks.wait(container.container_id)
    try:
        return _result(session, waiting).code
    except NotFoundError:
        pass
    except PyctlError:  # the keeper deleted the task, and the shim hung up before it answered: that has no status code
        if find_task(session.client, container.container_id) is not None:
            raise
    finally:
        waiting.cancel()
    ended = state_of(session, container.container_id).exit()
    return ended.exit_code if ended else 0  # never started: as Docker


def mark_stopped(session: Session, container: Container, *, is_stopped: bool) -> None:
    """Tell restart policies, ours and containerd's, that the user wants it down (or up again)."""
    from pyctl.ops.policies import COUNT_LABEL, POLICY_LABEL, STOPPED_LABEL

    wanted = "true" if is_stopped else "false"
    if container.labels.get(STOPPED_LABEL, "false") == wanted and not container.labels.get(POLICY_LABEL):
        return
    labels = {**container.labels, STOPPED_LABEL: wanted}
    fields = [f"labels.{STOPPED_LABEL}"]
    if "containerd.io/restart.status" in labels and is_stopped:
        del labels["containerd.io/restart.status"]  # a nerdctl container's: setting it to stopped would lose the grace period
        fields.append("labels.containerd.io/restart.status")
    if not is_stopped and COUNT_LABEL in labels:
        labels[COUNT_LABEL] = "0"
        fields.append(f"labels.{COUNT_LABEL}")
    session.client.containers.update(container.replace(labels=labels), fields)


def _timeout_s(container: Container, asked: int | None) -> int:
    if asked is not None:
        return asked
    return int(container.labels.get("nerdctl/stop-timeout") or DEFAULT_STOP_TIMEOUT_S)
