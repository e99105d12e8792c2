"""What happens when a container's process has ended, and how what made the container is undone."""

from __future__ import annotations

from contextlib import contextmanager

from pyctl_hookspecs.errors import ConflictError, NotFoundError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctl.containerd.records import Container, TaskStatus
    from pyctl.keeper.client import Deputy
    from pyctl.lifecycle.journal import JournalEntry
    from pyctl.ops.session import Session
    from pyctl.state.containers import StateDir


_WATCH = "core/watch"  # the keeper forgets a watch itself once the exit was dealt with, and may have to restart


class LetInError(ConflictError):
    """Another tool is starting the container: nobody touches what its last run used. The keeper asks again."""


def state_of(session: Session, container_id: str) -> StateDir:
    from pyctl.state.containers import StateDir

    return StateDir(session.paths.state_dir(container_id))


def deputise(session: Session, container_ids: Sequence[str], *, holds_notes: bool) -> Deputy:
    """This command deals with these containers' exits itself, and with restarts that wait, unless it comes to its end before.

    ``holds_notes``: it has a ``pending`` note of each, for which a process of the keeper's may wait already.

    Raises:
        UnavailableError: the keeper cannot be told; without one there is nothing to tell.
    """
    from pyctl.keeper.client import Deputy

    paths = session.paths
    return Deputy(
        paths.data_store,
        paths.runtime_dir,
        session.namespace,
        container_ids,
        data_root=paths.data_root,
        holds_notes=holds_notes,
    )


@contextmanager
def instead_of_keeper(session: Session, container_id: str, *, holds_note: bool) -> Iterator[None]:
    """``deputise`` for one container. Where an error leaves this, the keeper goes on."""
    deputy = deputise(session, [container_id], holds_notes=holds_note)
    try:
        yield
        deputy.done([container_id])
    finally:
        deputy.close()


def finish_run(
    session: Session, container_id: str, *, known: TaskStatus | None = None, spare_task: bool = False
) -> list[BaseException]:
    """Record how the process ended, then release task, network and names; what could not be released is returned.

    ``known`` is its task as the caller saw it end. Several processes may do this at once (``stop`` and the keeper's): the
    later ones find it done. With ``spare_task`` a task that has not ended is left alone: another tool, which does not wait
    for us, has just started the container.
    """
    import os

    state = state_of(session, container_id)
    is_foreign = not os.path.exists(state.start_journal)
    status = record_exit(session, state, container_id, known)
    if is_foreign and status is not None and status.status == "stopped":
        from pyctl.ops.hooked import release_foreign_run

        release_foreign_run(session, status)
    return undo_run(session, state, spares_task_of=container_id if spare_task else "")


def record_exit(session: Session, state: StateDir, container_id: str, known: TaskStatus | None = None) -> TaskStatus | None:
    """Keep on disk how it ended: containerd 2.x forgets code and time when it restarts, and an OOM at once.

    Returns the task as it was seen.
    """
    from pyctl.ops.tasks import find_task
    from pyctl.state.containers import ExitRecord

    status = known or find_task(session.client, container_id)
    if status is None:
        _record_loss(state)
        return None
    if status.status != "stopped":
        return status
    session.ended.add(container_id)
    if not state.exists():
        return status
    kills = _oom_kills(session, container_id)
    if kills is None:  # somebody else deletes the task at this moment, and knew more than we do
        recorded = state.exit()
        if recorded is not None and recorded.exited_at == status.exited_at:
            return status
    state.save_exit(ExitRecord(exit_code=status.exit_status, exited_at=status.exited_at, oom_killed=bool(kills)))
    return status


def _record_loss(state: StateDir) -> None:
    """The task is gone and nobody saw its end: the machine went down, or somebody deleted it behind our back."""
    from pyctl.ops.inspect_state import LOST_EXIT_CODE
    from pyctl.ops.tasks import now_text
    from pyctl.state.containers import ExitRecord

    if state.started_at() and state.exit() is None:
        state.save_exit(ExitRecord(exit_code=LOST_EXIT_CODE, exited_at=now_text()))


def _oom_kills(session: Session, container_id: str) -> int | None:
    from pyctl.spec.cgroups import cgroups_path, oom_kills

    usual = cgroups_path(container_id, session.namespace, "", session.settings.cgroup_manager)
    kills = oom_kills(usual)
    if kills is not None:
        return kills
    try:
        container = session.client.containers.get(container_id)
    except NotFoundError:
        return None
    return oom_kills(group_of(container))


def group_of(container: Container) -> str:
    """``linux.cgroupsPath`` of a container, empty if it has none."""
    import json

    spec = json.loads(container.spec_json or "{}")
    return str((spec.get("linux") or {}).get("cgroupsPath") or "")


def undo_run(session: Session, state: StateDir, *, spares_task_of: str = "") -> list[BaseException]:
    """Undo the plan of a run, but for the watch. The task of ``spares_task_of`` stays unless it has ended."""
    from pyctl.lifecycle.recover import undo_plan
    from pyctl.ops.tasks import find_task
    from pyctl.ops.undo import undoer

    undo = undoer(session)

    def undo_ended(provider: str, token: str) -> None:
        if not provider.startswith("task/"):
            undo(provider, token)
            return
        task = find_task(session.client, spares_task_of)
        if task is None:
            _await_deletion(session, state, spares_task_of)
        elif task.status == "stopped":
            undo(provider, token)

    return undo_plan(state.start_journal, undo_ended if spares_task_of else undo, which=lambda entry: entry.provider != _WATCH)


def _await_deletion(session: Session, state: StateDir, container_id: str) -> None:
    """Somebody has deleted the task, or has begun to: see to the shim. One younger than the run is another tool's."""
    from pyctl.ops.orphans import await_deletion
    from pyctl.ops.policies import seconds

    started_at = state.started_at()
    if started_at:
        await_deletion(session.client, container_id, born_before=seconds(started_at))


def may_go(session: Session, container_id: str, errors: Sequence[BaseException]) -> bool:
    """May what made a container be undone, when undoing its run has met these errors?

    Not while it has a task, or may have one: containerd deletes none of a container that it does not know. What is left of
    a network is no reason: ``network repair`` looks for that.
    """
    from pyctl.ops.tasks import find_task

    if any(isinstance(error, UnavailableError) for error in errors):
        return False
    return not errors or find_task(session.client, container_id) is None


def undo_creation(session: Session, container: Container, *, with_volumes: bool) -> list[BaseException]:
    """Undo the plan that made the container; one that nerdctl made has none, so it is derived from what it is."""
    from pyctl.lifecycle.undo import undo_all
    from pyctl.ops.tasks import delete_task
    from pyctl.ops.undo import undoer

    state = state_of(session, container.container_id)
    undo = undoer(session)
    if _has_plan(state):
        return undo_create_plan(session, state, with_volumes=with_volumes)
    delete_task(session.client, container.container_id)
    errors = undo_all(derived_plan(session, container, with_volumes=with_volumes), undo)
    if not errors and state.exists():
        import shutil

        shutil.rmtree(state.path)
    return errors


def remove_after_exit(session: Session, container_id: str) -> list[BaseException]:
    """``--rm``: undo the plan that made the container, anonymous volumes included."""
    return undo_create_plan(session, state_of(session, container_id), with_volumes=True)


def undo_create_plan(session: Session, state: StateDir, *, with_volumes: bool) -> list[BaseException]:
    """Undo what made a container, its state directory included; again is a success."""
    from pyctl.lifecycle.recover import undo_plan
    from pyctl.ops.undo import undoer

    kept = {"core/cidfile"} if with_volumes else {"core/cidfile", "mount/volume"}  # what outlives a container, as in Docker
    return undo_plan(state.create_journal, undoer(session), owns_directory=True, which=lambda entry: entry.provider not in kept)


def _has_plan(state: StateDir) -> bool:
    import os

    return os.path.exists(state.create_journal)


def derived_plan(session: Session, container: Container, *, with_volumes: bool) -> list[JournalEntry]:
    """The plan a container without a journal would have, read from its labels."""
    import json

    from pyctl.lifecycle.journal import JournalEntry
    from pyctl.ops.lookup import container_name
    from pyctl.ops.sharing import shm_directory
    from pyctl_hookspecs.snapshotter import SnapshotRequest

    container_id = container.container_id
    plan = [
        JournalEntry("files", "core/files", container_id),
        JournalEntry("shm", "core/shm", shm_directory(session, container_id)),
    ]
    name = container_name(container)
    if name:
        plan.append(JournalEntry("name", "core/name", f"{name}/{container_id}"))
    if container.snapshotter and container.snapshot_key:
        request = SnapshotRequest(snapshotter=container.snapshotter, key=container.snapshot_key)
        provider = session.hooks.snapshotter_provider(container.snapshotter)
        plan.append(JournalEntry("snapshot", f"snapshotter/{provider}", session.hooks.plan_snapshot(request).undo_token))
    if with_volumes:
        for volume_name in json.loads(container.labels.get("nerdctl/anonymous-volumes") or "[]"):
            plan.append(JournalEntry(f"volume {volume_name}", "mount/volume", volume_name))
    plan.append(JournalEntry("container", "core/container", container_id, [entry.name for entry in plan]))
    return plan


def exited(session: Session, container_id: str) -> float | None:
    """The keeper saw a container's process end: release what it used, remove it if it was ``--rm``.

    Returns the seconds after which its policy wants it started again, None for never.

    Raises:
        LetInError: not now.
        BaseExceptionGroup: what could not be released; the keeper tries again.
    """
    from pyctl.ops.hooked import take_over_policy
    from pyctl.ops.policies import restart_delay
    from pyctl.ops.reconciling import pending, undo_container

    try:
        container = session.client.containers.get(container_id)
    except NotFoundError:  # removed in the meantime, perhaps by a tool that knows nothing of what we made
        if state_of(session, container_id).exists():
            undo_container(session, container_id)
        return None
    with pending(session, container_id):  # a start waits for us, and we for it
        runs_again = _runs_again(session, container_id)
        if is_let_in(session, container_id):  # asked last: to look at a task that is being made takes the daemon seconds
            raise LetInError("another tool is starting it")
        if runs_again:
            watch_again(session, container_id)
            return None
        errors = finish_run(session, container_id, spare_task=True)
        is_auto_removed = container.labels.get("nerdctl/auto-remove") == "true"
        if not errors and is_auto_removed:
            errors = undo_creation(session, container, with_volumes=True)
    if errors:
        raise BaseExceptionGroup(f"could not clean up after container {container_id}", errors)
    return None if is_auto_removed else restart_delay(session, take_over_policy(session, container))


def remove_if_temporary(session: Session, container: Container) -> None:
    """Remove a ``--rm`` container of ours whose run has ended, if the keeper or whoever is in front of it has not yet.

    Raises:
        BaseExceptionGroup: what could not be removed; the next ``rm`` tries again.
    """
    if is_temporary(session, container):
        exited(session, container.container_id)


def is_temporary(session: Session, container: Container) -> bool:
    """Is it one of ours that goes when its run has ended?"""
    state = state_of(session, container.container_id)
    return container.labels.get("nerdctl/auto-remove") == "true" and bool(state.started_at()) and _has_plan(state)


def is_let_in(session: Session, container_id: str) -> bool:
    """Is another tool starting it at this moment? Then the new run uses what the last one did (``ops.adopting``)."""
    from pyctl.keeper import client as keeper

    paths = session.paths
    payload = {"container": container_id, "namespace": session.namespace}
    answer = keeper.request_if_running(paths.data_store, paths.runtime_dir, "is_let_in", payload, data_root=paths.data_root)
    return bool(answer and answer["is_let_in"])


def watch_again(session: Session, container_id: str) -> None:
    """Somebody who does not tell us, nerdctl for example, has started it: note when, and have the keeper watch."""
    from pyctl.ops.tasks import find_task
    from pyctl.ops.watching import watch_exit

    status = find_task(session.client, container_id)
    if status is None:
        return
    _note_start(state_of(session, container_id), status.pid)
    try:
        watch_exit(session, container_id)
    except NotFoundError:
        pass  # it was deleted just now


def _note_start(state: StateDir, pid: int) -> None:
    """Replace the noted time of an earlier run."""
    from pyctl.ops.policies import seconds
    from pyctl.ops.tasks import began_at, time_text

    started_at = began_at(pid)
    if not started_at:
        return
    noted = state.started_at()
    if not noted or started_at > seconds(noted) + 1:  # ours is noted within the second
        state.save_started(time_text(round(started_at * 1_000_000_000)))


def _runs_again(session: Session, container_id: str) -> bool:
    """Was it started since? After a boot a keeper hears of ends long past, while somebody starts the container anew.

    A process that has just ended may still be running in containerd's eyes.
    """
    from pyctl.keeper.watches import birth
    from pyctl.ops.tasks import find_task

    status = find_task(session.client, container_id)
    return status is not None and status.status != "stopped" and status.pid > 0 and birth(status.pid) > 0
