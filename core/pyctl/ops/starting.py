"""The steps from a stored container to a running one; its exit undoes them.

Planned alike for ``run`` (beside the steps that create the container), ``start`` and a restart by policy.
"""

from __future__ import annotations

from pyctl.lifecycle.steps import Step
from pyctl.ops.networking import network_steps
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pyctl.ops.networking import PlannedNetwork
    from pyctl.ops.session import Session
    from pyctl.spec.endpoints import Endpoint
    from pyctl_hookspecs.create_task import TaskHandle, TaskRequest
    from pyctl_hookspecs.process_mounts import OciMount
    from pyctl_hookspecs.setup_network import PortMapping


class StartFacts(Record):
    """What starting needs to know of a container, whether its options are at hand or only its labels.

    ``endpoints`` are its networks; a container that was disconnected from all has none.
    """

    container_id: str
    container_name: str
    hostname: str
    domainname: str = ""
    endpoints: tuple[Endpoint, ...]
    ports: tuple[PortMapping, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    terminal: bool = False
    open_stdin: bool = False
    shm_bytes: int = 0  # of a shareable container's /dev/shm, mounted on the host; 0: the runtime makes a private one
    runtime: str
    runtime_binary: str = ""
    is_hooked: bool = False  # hooks in its spec connect it, as they do nerdctl's containers

    @property
    def network_kind(self) -> str:
        """``host``, ``none``, ``container`` or ``ns``; empty for networks that exist on disk, or none at all."""
        return self.endpoints[0].kind if self.endpoints else ""

    @property
    def donor_id(self) -> str:
        """The container whose network it shares, empty if it has one of its own."""
        return self.endpoints[0].network.partition(":")[2] if self.network_kind == "container" else ""


class TaskStreams(Record):
    """FIFO paths or a log URI, as the shim takes them; ``directory`` holds the FIFOs, empty when there are none."""

    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    directory: str = ""


def start_steps(
    session: Session,
    facts: StartFacts,
    planned: tuple[PlannedNetwork, ...],
    streams: TaskStreams,
    *,
    rootfs: Callable[[Mapping[str, Any]], tuple[OciMount, ...]],
    needs: tuple[str, ...] = (),
    prepare_io: Callable[[], None] | None = None,
    before_start: Callable[[], None] | None = None,
    watch_exit: bool = False,
    pid_file: str = "",
) -> tuple[Step, ...]:
    """``needs`` are the steps of the create chapter that must be done first; ``rootfs`` finds the mounts in the results.

    ``prepare_io`` makes and opens the FIFOs; ``before_start`` runs when the task is created and about to start.
    With ``watch_exit`` the keeper deals with the exit, otherwise the caller does.
    """
    container_id = facts.container_id
    files = tuple(need for need in needs if need == "files")
    steps = [] if facts.is_hooked else network_steps(session, facts, planned, after=files)
    is_connected = bool(steps)
    before_task = [*needs, *(step.name for step in steps if step.name == "netns")]
    if facts.is_hooked:
        from pyctl.ops.hooked import name_step

        steps.append(name_step(session, facts))
        before_task.append("name")
    if prepare_io is not None:
        opening = prepare_io
        before_task.append("streams")
        steps.append(
            Step(
                name="streams",
                says=f"make FIFOs in {streams.directory}",
                provider="core/fifos",
                undo_token=streams.directory,
                needs=files,  # who reads the output finds there what is to be done with it
                do=lambda _: opening(),
            )
        )
    if facts.shm_bytes:
        before_task.append("shm")
        steps.append(_shm_step(session, facts))
    steps.append(_task_step(session, facts, streams, rootfs, tuple(before_task)))
    steps.append(
        Step(
            name="start",
            says="start the process",
            provider="core/none",
            undo_token="",
            needs=("task", "hosts") if is_connected else ("task",),
            late=("process ID",),
            do=lambda _: _start(session, container_id, before_start, pid_file),
        )
    )
    if watch_exit:
        steps.append(
            Step(
                name="watch",
                says="have the keeper watch for its exit",
                provider="core/watch",
                undo_token=container_id,
                needs=("start",),
                do=lambda _: _watch(session, container_id),
            )
        )
    return tuple(steps)


def _shm_step(session: Session, facts: StartFacts) -> Step:
    from pyctl.ops.sharing import mount_shm, shm_directory

    path = shm_directory(session, facts.container_id)
    return Step(
        name="shm",
        says=f"mount shared memory at {path}",
        provider="core/shm",
        undo_token=path,
        do=lambda _: mount_shm(path, facts.shm_bytes),
    )


def _watch(session: Session, container_id: str) -> None:
    from pyctl.ops.watching import watch_exit

    watch_exit(session, container_id)


def _task_step(
    session: Session,
    facts: StartFacts,
    streams: TaskStreams,
    rootfs: Callable[[Mapping[str, Any]], tuple[OciMount, ...]],
    needs: tuple[str, ...],
) -> Step:
    from pyctl_hookspecs.create_task import TaskRequest

    provider = task_provider(session, facts.runtime)
    request = TaskRequest(
        container_id=facts.container_id,
        runtime=facts.runtime,
        runtime_binary=facts.runtime_binary,
        terminal=facts.terminal,
        stdin=streams.stdin,
        stdout=streams.stdout,
        stderr=streams.stderr,
    )
    intent = session.hooks.plan_task(provider, request)
    return Step(
        name="task",
        says=intent.says,
        provider=f"task/{provider}",
        undo_token=intent.undo_token,
        late=intent.late,
        needs=needs,
        do=lambda results: _create(session, provider, request, rootfs(results), intent.undo_token),
    )


def _create(session: Session, provider: str, request: TaskRequest, mounts: tuple[OciMount, ...], token: str) -> TaskHandle:
    from pyctl.ops.tasks import runtime_errors

    with runtime_errors():
        return session.hooks.create_task(provider, request, mounts, token, session.host)


def task_provider(session: Session, runtime: str) -> str:
    """A task plug-in of the runtime's own name, or the one that serves every containerd shim."""
    return runtime if session.hooks.registry.has("task", runtime) else "containerd"


def _start(session: Session, container_id: str, before_start: Callable[[], None] | None, pid_file: str) -> int:
    from pyctl.ops.tasks import now_text, runtime_errors
    from pyctl.state.containers import StateDir

    if before_start is not None:
        before_start()
    with runtime_errors():
        pid = session.client.tasks.start(container_id)
    if pid_file:
        from pyctl.state.locks import write_atomic

        write_atomic(pid_file, str(pid), mode=0o644, durable=False)
    StateDir(session.paths.state_dir(container_id)).save_started(now_text())
    return pid
