"""A container of ours that another tool starts: ``nerdctl start``, or containerd's restart monitor.

Its specification joins a network namespace that only we make. The keeper hears of such a start before the runtime does,
has ``prepare`` called, and once the process is on its way ``adopt``.
"""

from __future__ import annotations

from pyctl.lifecycle.steps import Step
from pyctl_hookspecs.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.containerd.records import Container, TaskStatus
    from pyctl.ops.networking import PlannedNetwork
    from pyctl.ops.session import Session
    from pyctl.ops.starting import StartFacts

_START_S = 10.0  # from our word to the process: the runtime takes a tenth of a second


def prepare(session: Session, container_id: str) -> None:
    """Make what the container's specification expects on this machine. Asks nothing about its task: the shim waits for us.

    What is there already stays; a container that is gone needs nothing.
    """
    from pyctl.ops.reconciling import pending

    try:
        container = session.client.containers.get(container_id)
    except NotFoundError:
        return
    with pending(session, container_id):  # after who deals with the last exit; who comes later finds that it is let in
        _prepare(session, container)


def _prepare(session: Session, container: Container) -> None:
    import json

    from pyctl.ops.restoring import start_facts
    from pyctl.ops.sharing import mount_shm, shm_directory
    from pyctl.state import netns

    container_id = container.container_id
    path = session.paths.netns(container_id)
    namespaces = json.loads(container.spec_json).get("linux", {}).get("namespaces", ())
    if any(entry.get("path") == path for entry in namespaces):
        netns.create(path)
    facts = start_facts(session, container)
    if facts.shm_bytes:
        mount_shm(shm_directory(session, container_id), facts.shm_bytes)


def adopt(session: Session, container_id: str) -> None:
    """Connect a container that is being started, and have the keeper watch it.

    If its process does not come, or has ended by now, what was prepared goes again.

    Raises:
        BaseExceptionGroup: it could not be connected: it was ended, as a start of ours would have been.
    """
    from pyctl.ops.ending import finish_run, watch_again
    from pyctl.ops.networking import plan_networks
    from pyctl.ops.restoring import start_facts
    from pyctl.ops.run import StartedElsewhereError, carry_out
    from pyctl.ops.tasks import kill_and_wait

    status = _await_start(session, container_id)
    if status is None or status.status != "running":
        _release(session, container_id)
        if status is not None:
            watch_again(session, container_id)  # the keeper deals with its exit, and with its policy
        return
    try:
        facts = start_facts(session, session.client.containers.get(container_id))
        carry_out(
            session,
            container_id,
            "start",
            start=_steps(session, facts, plan_networks(session, facts), status.pid),
            planned_for=facts,
        )
    except StartedElsewhereError:
        watch_again(session, container_id)  # nobody has released yet what its last run used: it goes on using that
    except BaseException:
        kill_and_wait(session.client, container_id)
        finish_run(session, container_id)
        _release(session, container_id)
        raise


def _await_start(session: Session, container_id: str) -> TaskStatus | None:
    """The container's task once it was started; None if that does not happen."""
    from threading import Timer

    from pyctl.ops.tasks import find_task

    with session.client.events.subscribe([f'topic=="/tasks/start",namespace=="{session.namespace}"']) as events:
        timer = Timer(_START_S, events.cancel)
        timer.daemon = True
        timer.start()
        try:
            status = find_task(session.client, container_id)
            if status is None or status.status not in ("running", "stopped"):
                if all(event.object_id != container_id for event in events):
                    return None
                status = find_task(session.client, container_id)
        finally:
            timer.cancel()
    return status


def _steps(session: Session, facts: StartFacts, planned: tuple[PlannedNetwork, ...], pid: int) -> tuple[Step, ...]:
    """Those of a start of ours; what the other tool did is only noted, so that the exit undoes it."""
    from pyctl.ops.networking import network_steps
    from pyctl.ops.sharing import shm_directory
    from pyctl.ops.starting import task_provider
    from pyctl.ops.tasks import now_text
    from pyctl.ops.watching import watch_exit
    from pyctl.state import netns
    from pyctl.state.containers import StateDir
    from pyctl_hookspecs.create_task import TaskRequest

    container_id = facts.container_id
    path = session.paths.netns(container_id)
    steps = [
        step.replace(do=lambda _: netns.keep(path, pid)) if step.name == "netns" else step
        for step in network_steps(session, facts, planned, after=())
    ]
    if facts.shm_bytes:
        shm = shm_directory(session, container_id)
        steps.append(Step(name="shm", says="keep its shared memory", provider="core/shm", undo_token=shm, do=_nothing))
    provider = task_provider(session, facts.runtime)
    request = TaskRequest(container_id=container_id, runtime=facts.runtime, runtime_binary=facts.runtime_binary)
    token = session.hooks.plan_task(provider, request).undo_token
    stands_on = tuple(step.name for step in steps if step.name in ("netns", "shm"))
    started = StateDir(session.paths.state_dir(container_id)).save_started
    steps += [
        Step(
            name="task", says="take its process over", provider=f"task/{provider}", undo_token=token,
            needs=stands_on, do=_nothing,
        ),
        Step(
            name="start", says="note when it started", provider="core/none", undo_token="",
            needs=("task", "hosts"), do=lambda _: started(now_text()),
        ),
        Step(
            name="watch", says="have the keeper watch for its exit", provider="core/watch", undo_token=container_id,
            needs=("start",), do=lambda _: watch_exit(session, container_id),
        ),
    ]  # fmt: skip
    return tuple(steps)


def _nothing(_results: object) -> None:
    """It was done by somebody else."""


def _release(session: Session, container_id: str) -> None:
    """Undo ``prepare``, unless somebody started the container in the meantime."""
    import os

    from pyctl.ops.ending import state_of
    from pyctl.ops.reconciling import pending
    from pyctl.ops.sharing import shm_directory, unmount_shm
    from pyctl.state import netns

    with pending(session, container_id):
        if not os.path.exists(state_of(session, container_id).start_journal):
            netns.release(session.paths.netns(container_id))
            unmount_shm(shm_directory(session, container_id))
