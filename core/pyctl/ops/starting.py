"""The steps from a stored container to a running one; its exit undoes them.

Planned alike for ``run`` (beside the steps that create the container), ``start`` and a restart by policy.
"""

from __future__ import annotations

from pyctl.lifecycle.steps import Step
from pyctl_hookspecs.errors import InvalidArgumentError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pyctl.ops.session import Session
    from pyctl_hookspecs.create_task import TaskHandle, TaskRequest
    from pyctl_hookspecs.process_mounts import OciMount
    from pyctl_hookspecs.setup_network import NetworkAttachment, NetworkIntent, NetworkRequest, PortMapping

NO_NETWORK_KINDS = ("host", "none", "container")


class StartFacts(Record):
    """What starting needs to know of a container, whether its options are at hand or only its labels.

    ``networks`` are names, or one of ``host``, ``none``, ``container:<full id>``. ``stdout`` is a ``binary://``
    URI for a detached container, empty otherwise.
    """

    container_id: str
    container_name: str
    hostname: str
    domainname: str = ""
    networks: tuple[str, ...]
    ip: str = ""
    ip6: str = ""
    mac_address: str = ""
    ports: tuple[PortMapping, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    terminal: bool = False
    open_stdin: bool = False
    shm_bytes: int = 0  # of a shareable container's /dev/shm, mounted on the host; 0: the runtime makes a private one
    runtime: str
    runtime_binary: str = ""


class PlannedNetwork(Record):
    """One network of a container: who connects it, what it is asked, what it intends."""

    driver: str
    name: str
    request: NetworkRequest
    intent: NetworkIntent


class TaskStreams(Record):
    """FIFO paths or a log URI, as the shim takes them; ``directory`` holds the FIFOs, empty when there are none."""

    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    directory: str = ""


def plan_networks(session: Session, facts: StartFacts) -> tuple[PlannedNetwork, ...]:
    """Ask each network's driver what it would do. Makes the default network's configuration if it is missing.

    Raises:
        NotFoundError: no such network, or no driver for it.
        InvalidArgumentError: kinds that cannot be mixed.
    """
    from pyctl.state import networks
    from pyctl_hookspecs.setup_network import NetworkRequest

    special = [n for n in facts.networks if n.partition(":")[0] in NO_NETWORK_KINDS]
    if special and len(facts.networks) > 1:
        raise InvalidArgumentError(f"conflicting options: --network {special[0]} cannot be combined with another network")
    if special and (facts.ip or facts.ip6):
        raise InvalidArgumentError("user specified IP address is supported on user defined networks only")
    planned: list[PlannedNetwork] = []
    for index, reference in enumerate(facts.networks):
        driver, name, conflist = reference.partition(":")[0], reference, ""
        if not special:
            network = networks.resolve(
                session.settings.cni_netconfpath,
                session.namespace,
                reference,
                bridge_ip=session.settings.bridge_ip,
                engine=session.settings.network_engine,
            )
            driver, name, conflist = network.driver, network.name, network.conflist
        request = NetworkRequest(
            container_id=facts.container_id,
            container_name=facts.container_name,
            namespace=session.namespace,
            network=name,
            interface=f"eth{index}",
            netns_path=session.paths.netns(facts.container_id),
            conflist=conflist,
            ports=facts.ports if index == 0 else (),
            ip=facts.ip if index == 0 else "",
            ip6=facts.ip6 if index == 0 else "",
            mac_address=facts.mac_address if index == 0 else "",
            hostname=facts.hostname,
        )
        intent = session.hooks.plan_network(driver, request, session.host)
        planned.append(PlannedNetwork(driver=driver, name=name, request=request, intent=intent))
    if len({p.intent.namespace for p in planned}) > 1:
        raise InvalidArgumentError("conflicting options: networks that need different kinds of network namespaces")
    return tuple(planned)


def spec_namespace(planned: tuple[PlannedNetwork, ...]) -> str | None:
    """The network namespace for the OCI spec: None the host's, empty a new one, else the path to join."""
    first = planned[0]
    if first.intent.namespace == "host":
        return None
    if first.intent.namespace == "new":
        return ""
    return first.request.netns_path if first.intent.namespace == "pinned" else first.intent.join_path


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
    steps = _network_steps(session, facts, planned, after=tuple(n for n in needs if n == "files"))
    before_task = [*needs, *(step.name for step in steps if step.name == "netns")]
    if prepare_io is not None:
        opening = prepare_io
        before_task.append("streams")
        steps.append(
            Step(
                name="streams",
                says=f"make FIFOs in {streams.directory}",
                provider="core/fifos",
                undo_token=streams.directory,
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
            needs=("task", "hosts"),
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


def _network_steps(
    session: Session, facts: StartFacts, planned: tuple[PlannedNetwork, ...], *, after: tuple[str, ...]
) -> list[Step]:
    """Pin the namespace if the drivers want one, connect it to every network, and tell the peers."""
    steps: list[Step] = []
    is_pinned = planned[0].intent.namespace == "pinned"
    if is_pinned:
        netns_path = session.paths.netns(facts.container_id)
        steps.append(
            Step(
                name="netns",
                says=f"pin a network namespace at {netns_path}",
                provider="core/netns",
                undo_token=netns_path,
                do=lambda _: _pin(netns_path),
            )
        )
    names = tuple(f"network-{index}" for index in range(len(planned)))
    steps.extend(
        Step(
            name=name,
            says=network.intent.says,
            provider=f"network/{network.driver}",
            undo_token=network.intent.undo_token,
            late=network.intent.late,
            needs=("netns",) if is_pinned else (),
            do=_connect(session, network),
        )
        for name, network in zip(names, planned, strict=True)
    )
    steps.append(
        Step(
            name="hosts",
            says="enter the container's addresses for its peers",
            provider="core/hosts",
            undo_token=facts.container_id,
            needs=(*names, *after),
            do=lambda results: _enter(session, facts, planned, [results[name] for name in names]),
        )
    )
    return steps


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


def _pin(path: str) -> None:
    from pyctl.state import netns

    netns.create(path)


def _connect(session: Session, network: PlannedNetwork) -> Callable[[Mapping[str, Any]], NetworkAttachment]:
    return lambda _: session.hooks.setup_network(network.driver, network.request, network.intent.undo_token, session.host)


def _enter(
    session: Session, facts: StartFacts, planned: tuple[PlannedNetwork, ...], attachments: list[NetworkAttachment]
) -> None:
    """Write what the drivers did where ``inspect``, peers and nerdctl look for it."""
    from pyctl.spec.ports import to_network_config
    from pyctl.state.containers import StateDir
    from pyctl.state.hosts import HostsEntry, HostsStore

    state = StateDir(session.paths.state_dir(facts.container_id))
    ports = attachments[0].ports or facts.ports
    state.save_ports(to_network_config(ports).get("portMappings", []))
    state.save_attachments({p.name: {**a.as_dict(), "cni_result": ""} for p, a in zip(planned, attachments, strict=True)})
    if facts.networks[0].startswith("container:"):
        return  # it shares the other container's hosts file
    HostsStore(session.paths.data_store, session.namespace).acquire(
        HostsEntry(
            container_id=facts.container_id,
            container_name=facts.container_name,
            hostname=facts.hostname,
            domainname=facts.domainname,
            extra_hosts=facts.extra_hosts,
            networks=tuple((p.name, a.cni_result) for p, a in zip(planned, attachments, strict=True)),
        )
    )


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
