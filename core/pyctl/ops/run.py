"""``run``, ``create`` and ``start``: plan, then apply; then be the user's end of the container, or leave it alone."""

from __future__ import annotations

import os
from contextlib import contextmanager

from pyctl.ops.choosing_streams import attach_choice, choose_streams, new_foreground, opener
from pyctl.ops.networking import plan_networks, spec_namespace
from pyctl.ops.starting import start_steps
from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any

    from pyctl.containerd.records import Container
    from pyctl.lifecycle.steps import Step
    from pyctl.ops.foreground import Attachment, Foreground
    from pyctl.ops.logtee import LogTee
    from pyctl.ops.session import Session
    from pyctl.ops.starting import StartFacts
    from pyctl.spec.options import ContainerOptions
    from pyctl_hookspecs.observers import PlannedStep
    from pyctl_hookspecs.resolve_image import PullProgress

    Progress = Callable[[PullProgress], None]


class StartedElsewhereError(ConflictError):
    """Two commands started one container at once; for a detached start that is success."""


class _NetworksChangedError(ConflictError):
    """It was connected or disconnected after its start was planned: the plan has to be made again."""


class RunResult(Record):
    """``exit_code`` is the container's for a foreground run, 0 otherwise; ``detached``: the container may still run."""

    container_id: str
    exit_code: int = 0
    detached: bool = False


def plan_run(session: Session, options: ContainerOptions, *, start: bool) -> tuple[PlannedStep, ...]:
    """What ``run`` (or ``create``) would do. Changes nothing, and pulls nothing.

    Raises:
        PyctlError: what ``run`` would refuse.
    """
    from pyctl.lifecycle.steps import planned
    from pyctl.ops.creating import create_steps
    from pyctl.ops.drafting import check_options, draft_container
    from pyctl.ops.loaded import find_local, image_step

    check_options(options)
    image = find_local(session, options.image, options.platform)
    if image is None:
        return planned([image_step(session, options)])
    draft, networks = draft_container(session, options, image)
    steps = create_steps(session, draft, session.host)
    if start:
        streams, _ = choose_streams(session, draft.facts, draft.log_uri, attach_choice(options), detach=options.detach)
        steps += start_steps(
            session, draft.facts, networks, streams,
            rootfs=_new_rootfs,
            needs=("container", "files"),
            prepare_io=_nothing if streams.directory else None,
            watch_exit=_is_watched(options),
        )  # fmt: skip
    return planned(steps)


def create(session: Session, options: ContainerOptions, progress: Progress | None = None) -> RunResult:
    """Make a container without starting it.

    Raises:
        PyctlError, BaseExceptionGroup: what failed, and what could not be undone.
    """
    from pyctl.ops.creating import create_steps
    from pyctl.ops.drafting import check_options, draft_container, ensure_image
    from pyctl.ops.leases import leased
    from pyctl.ops.reconciling import undo_abandoned

    check_options(options)
    undo_abandoned(session)
    image = ensure_image(session, options, progress)
    draft, _ = draft_container(session, options, image)
    with leased(session) as host:
        steps = create_steps(session, draft, host)
        carry_out(session, draft.facts.container_id, "create", create=steps)
    return RunResult(container_id=draft.facts.container_id)


def run(session: Session, options: ContainerOptions, progress: Progress | None = None) -> RunResult:
    """Create and start a container, and stay with it unless it is detached.

    Raises:
        PyctlError, BaseExceptionGroup: it could not be created or started; everything was undone. Exit code 126 or
            127 when its command cannot be run.
    """
    if not options.detach and options.tty and options.interactive:
        from pyctl.ops.streams import check_terminal

        check_terminal(tty=True, interactive=True)  # Docker's exit code here is 1, not the engine's 125
    if options.detach and options.attach:
        raise InvalidArgumentError("Conflicting options: -a and -d")  # and here
    with _engine_errors():
        return _run(session, options, progress)


def _run(session: Session, options: ContainerOptions, progress: Progress | None) -> RunResult:
    from pyctl.ops.creating import create_steps
    from pyctl.ops.drafting import check_options, draft_container, ensure_image
    from pyctl.ops.fronts import in_front
    from pyctl.ops.leases import leased
    from pyctl.ops.reconciling import undo_abandoned

    check_options(options)
    undo_abandoned(session)
    image = ensure_image(session, options, progress)
    draft, networks = draft_container(session, options, image)
    facts = draft.facts
    streams, attachment = choose_streams(session, facts, draft.log_uri, attach_choice(options), detach=options.detach)
    is_watched = _is_watched(options)
    foreground, tee = new_foreground(session, facts.container_id, streams, attachment, draft.log_driver, draft.log_options)
    with in_front(session, facts.container_id, is_needed=foreground is not None):
        with leased(session) as host:
            starting = start_steps(
                session, facts, networks, streams,
                rootfs=_new_rootfs,
                needs=("container", "files"),
                prepare_io=opener(session, facts.container_id, streams, foreground),
                before_start=foreground.before_start if foreground else None,
                watch_exit=is_watched,
                pid_file=options.pidfile,
            )  # fmt: skip
            creating = create_steps(session, draft, host)
            carry_out(session, facts.container_id, "run", create=creating, start=starting, foreground=foreground)
        if foreground is None:
            return RunResult(container_id=facts.container_id, detached=True)
        with _guarded_rules(session, is_needed=not is_watched and not facts.network_kind):
            result = _stay(session, foreground, tee, facts.container_id, is_watched=is_watched, auto_remove=options.rm)
    if result.detached:
        foreground.die_if_told()
    return result


def start(session: Session, container: Container, attachment: Attachment | None = None) -> RunResult:
    """Start a container that exists; one that runs already is a success.

    Raises:
        PyctlError, BaseExceptionGroup: it could not be started; what the start made was undone, the container stays.
    """
    from pyctl.ops.ending import finish_run
    from pyctl.ops.fronts import in_front
    from pyctl.ops.hooked import take_over_policy
    from pyctl.ops.reconciling import pending, undo_abandoned
    from pyctl.ops.restoring import log_choice, start_facts
    from pyctl.ops.sharing import with_current_namespaces
    from pyctl.ops.tasks import find_task

    container_id = container.container_id
    undo_abandoned(session)
    with pending(session, container_id):  # another start, or somebody who deals with the last exit, comes before or after
        status = find_task(session.client, container_id)
        if status is not None and status.status in ("running", "paused"):
            return RunResult(container_id=container_id, detached=True)
        errors = finish_run(session, container_id)  # what an earlier run left: its task, or a start that was killed
    if errors:
        raise BaseExceptionGroup("could not clean up after the last run", errors)
    facts = start_facts(session, container)
    log_driver, log_options, log_uri = log_choice(container)
    connects_itself = facts.is_hooked and not facts.network_kind
    networks = () if connects_itself else plan_networks(session, facts)
    namespace = None if connects_itself else spec_namespace(session, container_id, networks)
    container = with_current_namespaces(session, take_over_policy(session, container), namespace)
    streams, attached = choose_streams(session, facts, log_uri, attachment, detach=attachment is None)
    foreground, tee = new_foreground(session, container_id, streams, attached, log_driver, log_options)
    steps = start_steps(
        session, facts, networks, streams,
        rootfs=lambda _: session.client.snapshots.mounts(container.snapshotter, container.snapshot_key),
        prepare_io=opener(session, facts.container_id, streams, foreground),
        before_start=foreground.before_start if foreground else None,
        watch_exit=True,
        pid_file=container.labels.get("nerdctl/pid-file", ""),
    )  # fmt: skip
    try:
        with in_front(session, container_id, is_needed=foreground is not None):
            with _plain_failures():
                carry_out(session, container_id, "start", start=steps, foreground=foreground, planned_for=facts)
            if foreground is not None:
                result = _stay(session, foreground, tee, container_id, is_watched=True, auto_remove=False)
    except StartedElsewhereError:
        if foreground is not None:
            raise
    except _NetworksChangedError:
        return start(session, session.client.containers.get(container_id), attachment)
    if foreground is None:
        return RunResult(container_id=container_id, detached=True)
    if result.detached:
        foreground.die_if_told()
    return result


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Docker's ``run`` ends with 125 for everything that is not the container's own doing."""
    try:
        yield
    except BaseException as error:
        for one in _members(error):
            if one.exit_code == 1:
                # Docker's command line looks for these words and does not ask whose they are: a device's, the ID file's.
                is_absent = isinstance(one, InvalidArgumentError) and "no such file or directory" in str(one)
                one.exit_code = 127 if is_absent else 125
        raise


@contextmanager
def _plain_failures() -> Iterator[None]:
    """Docker's ``start`` ends with 1, whatever it was that did not start."""
    try:
        yield
    except BaseException as error:
        for one in _members(error):
            if one.exit_code in (125, 126, 127):
                one.exit_code = 1
        raise


def _members(error: BaseException) -> Iterator[PyctlError]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _members(one)
    elif isinstance(error, PyctlError):
        yield error


def _is_watched(options: ContainerOptions) -> bool:
    """Does the keeper deal with the exit? Otherwise this command does."""
    return options.detach or options.restart not in ("", "no")


def _guarded_rules(session: Session, *, is_needed: bool) -> AbstractContextManager[object]:
    """Flushed rules come back: the keeper sees to that only for containers that it watches."""
    if is_needed:
        from pyctl.ops.guarding import RulesGuard

        return RulesGuard(session)
    from contextlib import nullcontext

    return nullcontext()


def _nothing() -> None:
    """A dry run opens nothing."""


def _new_rootfs(results: Any) -> Any:
    return results["container"].mounts


def carry_out(
    session: Session,
    container_id: str,
    operation: str,
    *,
    create: tuple[Step, ...] = (),
    start: tuple[Step, ...] = (),
    foreground: Foreground | None = None,
    planned_for: StartFacts | None = None,
) -> None:
    """Apply the steps as one graph; those that create and those that start have a journal each.

    With ``planned_for`` the networks of a stored container must still be those.

    Raises:
        BaseExceptionGroup: what failed; everything was undone, except what the group also names.
    """
    from pyctl.lifecycle.apply import Chapter, apply
    from pyctl.lifecycle.journal import Journal
    from pyctl.ops.ending import state_of
    from pyctl.ops.reconciling import pending
    from pyctl.ops.signals import cancelling
    from pyctl.ops.undo import undoer
    from pyctl.ops.watching import watcher

    state = state_of(session, container_id)
    onlooker = watcher(session, operation, (*create, *start))
    try:
        with cancelling(session.cancel.set), pending(session, container_id):
            state.make()
            if not create and os.path.exists(state.start_journal):
                raise StartedElsewhereError(f"container {container_id} was started by another command just now")
            if planned_for is not None:
                _check_networks(session, planned_for)
            chapters = []
            if create:
                chapters.append(Chapter(journal=Journal(state.create_journal, owns_directory=True), steps=create))
            if start:
                chapters.append(Chapter(journal=Journal(state.start_journal), steps=start))
            apply(chapters, undoer(session), session.cancel, onlooker)
    except BaseException:
        if foreground is not None:
            foreground.close()
        raise


def _check_networks(session: Session, facts: StartFacts) -> None:
    """Nobody can change them from here on: who wants to waits for our note."""
    from pyctl.spec.endpoints import from_labels

    if from_labels(session.client.containers.get(facts.container_id).labels) != facts.endpoints:
        raise _NetworksChangedError(f"the networks of container {facts.container_id} changed just now")


def _stay(
    session: Session, foreground: Foreground, tees: list[LogTee], container_id: str, *, is_watched: bool, auto_remove: bool
) -> RunResult:
    """Be the user's end until the process has ended; then release and, with ``--rm``, remove."""
    from pyctl.ops.ending import finish_run, remove_after_exit

    errors: list[BaseException] = []

    def release() -> None:
        """Delete the task so that the outputs end; when the keeper watches, it does the same, and whoever is second waits."""
        try:
            errors.extend(finish_run(session, container_id))
        except PyctlError as error:
            errors.append(error)

    try:
        exit_code = foreground.stay(release)
        for tee in tees:
            tee.close()
        if exit_code is None:
            from pyctl.ops.logger import take_over

            take_over(session, container_id)
    finally:
        foreground.close()
    if exit_code is None:
        return RunResult(container_id=container_id, detached=True)
    foreground.join()
    if auto_remove and not errors and not is_watched:
        errors = remove_after_exit(session, container_id)
    if errors:
        raise BaseExceptionGroup(f"could not clean up after container {container_id}", errors)
    return RunResult(container_id=container_id, exit_code=exit_code)


def restart_by_policy(session: Session, container_id: str) -> None:
    """Start a container again because its policy wants it; the keeper asks when its delay is over.

    Nothing happens if it was removed, started or stopped by somebody in the meantime.
    """
    from pyctl.ops.policies import COUNT_LABEL, STOPPED_LABEL
    from pyctl.ops.tasks import find_task
    from pyctl_hookspecs.errors import NotFoundError

    try:
        container = session.client.containers.get(container_id)
    except NotFoundError:
        return
    if container.labels.get(STOPPED_LABEL) == "true":
        return
    status = find_task(session.client, container_id)
    if status is not None and status.status in ("running", "paused"):
        return
    count = int(container.labels.get(COUNT_LABEL) or 0) + 1
    container = container.replace(labels={**container.labels, COUNT_LABEL: str(count)})
    session.client.containers.update(container, [f"labels.{COUNT_LABEL}"])
    start(session, container)
