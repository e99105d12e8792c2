"""The steps from options and an image to a stored container; ``rm`` undoes them."""

from __future__ import annotations

from pyctl.lifecycle.steps import Step
from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, NotFoundError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pyctl.containerd.records import AnyValue
    from pyctl.ops.host import CoreHost
    from pyctl.ops.loaded import LoadedImage
    from pyctl.ops.session import Session
    from pyctl.ops.starting import StartFacts
    from pyctl.spec.options import ContainerOptions
    from pyctl.state.resolv import ResolvConf
    from pyctl_hookspecs.process_mounts import MountOutcome, MountRequest
    from pyctl_hookspecs.snapshotter import Snapshot


class Draft(Record):
    """A container that does not exist yet, with everything that was decided about it.

    ``network_namespace`` is what the spec says: None the host's, empty a new one, else a path.
    """

    options: ContainerOptions
    image: LoadedImage
    facts: StartFacts
    network_namespace: str | None
    snapshotter: str
    mounts: tuple[MountRequest, ...]
    log_driver: str
    log_options: tuple[tuple[str, str], ...]
    log_uri: str
    resolv_conf: ResolvConf
    pid_namespace: str | None = ""
    ipc_namespace: str | None = ""
    shm_path: str = ""
    pid_donor: str = ""
    ipc_donor: str = ""


class SharedFiles(Record):
    """The files core mounts into every container; for ``container:`` networks they are the other container's."""

    resolv_conf: str
    hosts: str
    hostname: str


def create_steps(session: Session, draft: Draft, host: CoreHost) -> tuple[Step, ...]:
    """Name, snapshot, mounts, files, and the container that needs them all. ``host`` works under a lease."""
    facts, hooks = draft.facts, session.hooks
    container_id = facts.container_id
    steps = [
        Step(
            name="name",
            says=f"reserve the name {facts.container_name}",
            provider="core/name",
            undo_token=f"{facts.container_name}/{container_id}",
            do=lambda _: _take_name(session, facts.container_name, container_id),
        ),
        _snapshot_step(session, draft, host),
    ]
    mount_names: list[str] = []
    for index, request in enumerate(draft.mounts):
        intent = hooks.plan_mount(request)
        mount_names.append(f"mount-{index}")
        steps.append(
            Step(
                name=f"mount-{index}",
                says=intent.says,
                provider=f"mount/{request.type}",
                undo_token=intent.undo_token,
                late=intent.late,
                needs=("snapshot",) if request.copy_up and request.type == "volume" else (),
                do=_process_mount(session, request, intent.undo_token, host),
            )
        )
    steps.append(
        Step(
            name="files",
            says="write resolv.conf, hosts and hostname",
            provider="core/files",
            undo_token=container_id,
            do=lambda _: write_files(session, draft),
        )
    )
    steps.append(
        Step(
            name="container",
            says=f"store container {container_id[:12]} in containerd",
            provider="core/container",
            undo_token=container_id,
            needs=("name", "snapshot", "files", *mount_names),
            do=lambda results: _store(session, draft, results, [results[n] for n in mount_names], host),
        )
    )
    if draft.options.cidfile:
        path = draft.options.cidfile
        steps.append(
            Step(
                name="cidfile",
                says=f"write the container ID to {path}",
                provider="core/cidfile",
                undo_token=f"{container_id}:{path}",
                needs=("container",),
                do=lambda _: _write_new(path, container_id),
            )
        )
    return tuple(steps)


def _take_name(session: Session, name: str, container_id: str) -> None:
    """Reserve a name, also one whose container is gone: another tool may have removed that without telling us.

    Raises:
        ConflictError: a container has it.
    """
    try:
        session.names.acquire(name, container_id)
    except ConflictError:
        from pyctl.ops.reconciling import undo_container

        owner = session.names.owner(name)
        if not owner:
            raise
        undo_container(session, owner)
        if _is_known_nowhere(session, owner):
            session.names.release(name, owner)
        session.names.acquire(name, container_id)


def _is_known_nowhere(session: Session, container_id: str) -> bool:
    """Has it neither a state directory, which is made before a name is taken (by nerdctl too), nor a place in containerd?"""
    from pyctl.ops.ending import state_of

    if state_of(session, container_id).exists():
        return False
    try:
        session.client.containers.get(container_id)
    except NotFoundError:
        return True
    return False


def _snapshot_step(session: Session, draft: Draft, host: CoreHost) -> Step:
    from pyctl_hookspecs.snapshotter import SnapshotRequest

    request = SnapshotRequest(snapshotter=draft.snapshotter, key=draft.facts.container_id)
    intent = session.hooks.plan_snapshot(request)
    return Step(
        name="snapshot",
        says=intent.says,
        provider=f"snapshotter/{session.hooks.snapshotter_provider(draft.snapshotter)}",
        undo_token=intent.undo_token,
        late=intent.late,
        do=lambda _: session.hooks.prepare_snapshot(request, draft.image.chain_id, intent.undo_token, host),
    )


def _process_mount(
    session: Session, request: MountRequest, token: str, host: CoreHost
) -> Callable[[Mapping[str, Any]], MountOutcome]:
    return lambda _: session.hooks.process_mounts(request, token, host)


def shared_files(session: Session, facts: StartFacts) -> SharedFiles:
    """Where resolv.conf, hosts and hostname of a container are."""
    owner = facts.donor_id or facts.container_id
    state = session.paths.state_dir(owner)
    return SharedFiles(
        resolv_conf=f"{state}/resolv.conf", hosts=f"{session.paths.etchosts}/{owner}/hosts", hostname=f"{state}/hostname"
    )


def write_files(session: Session, draft: Draft) -> None:
    """The files that are mounted over the image's, the logger's configuration, and the request for ``inspect``."""
    import json

    from pyctl.ops.inspect_request import save_request
    from pyctl.ops.watching import save_launcher
    from pyctl.state.hosts import HostsStore
    from pyctl.state.locks import write_atomic

    facts = draft.facts
    state = session.paths.state_dir(facts.container_id)
    if not facts.donor_id:
        write_atomic(f"{state}/resolv.conf", draft.resolv_conf.text, mode=0o644, durable=False)
        write_atomic(f"{state}/hostname", f"{facts.hostname}\n", mode=0o644, durable=False)
        content = ""
        if facts.network_kind in ("host", "ns"):
            with open("/etc/hosts", encoding="utf-8", errors="surrogateescape") as file:
                content = file.read()
        HostsStore(session.paths.data_store, session.namespace).prepare(facts.container_id, content)
    if facts.ports:
        from pyctl.spec.ports import to_network_config
        from pyctl.state.containers import StateDir

        StateDir(state).save_ports(to_network_config(facts.ports)["portMappings"])  # a later start publishes them
    if draft.log_driver != "none":
        config: dict[str, Any] = {"driver": draft.log_driver, "address": session.address}
        if draft.log_options:
            config["opts"] = dict(draft.log_options)
        write_atomic(f"{state}/log-config.json", json.dumps(config), durable=False)
    save_launcher(session, facts.container_id)
    save_request(state, draft.options, image_id=draft.image.config_digest, image_config=draft.image.config)


def _store(session: Session, draft: Draft, results: Mapping[str, Any], outcomes: list[MountOutcome], host: CoreHost) -> Snapshot:
    """Build the spec from what the steps before found, and create the container."""
    import json

    from pyctl.containerd.records import Container
    from pyctl.ops.rootfs import root_files

    snapshot: Snapshot = results["snapshot"]
    facts = draft.facts
    labels = _labels(session, draft, outcomes)
    with root_files(snapshot.mounts, f"{session.paths.runtime_dir}/mnt/{facts.container_id}") as files:
        spec = _spec(session, draft, labels, outcomes, files.read)
    host.client.containers.create(
        Container(
            container_id=facts.container_id,
            labels=labels,
            image=draft.image.name,
            runtime_name=facts.runtime,
            runtime_options=_runtime_options(session, facts),
            spec_json=json.dumps(spec, separators=(",", ":")).encode(),
            snapshotter=draft.snapshotter,
            snapshot_key=facts.container_id,
        )
    )
    return snapshot


def _labels(session: Session, draft: Draft, outcomes: list[MountOutcome]) -> dict[str, str]:
    from pyctl.ops.restoring import OPEN_STDIN_LABEL
    from pyctl.spec.labels import LabelFacts, build_labels

    facts = draft.facts
    labels = build_labels(
        draft.options,
        draft.image.config,
        LabelFacts(
            namespace=session.namespace,
            container_name=facts.container_name,
            hostname=facts.hostname,
            domainname=facts.domainname,
            state_dir=session.paths.state_dir(facts.container_id),
            endpoints=facts.endpoints,
            extra_hosts=tuple(f"{name}:{address}" for name, address in facts.extra_hosts),
            platform=draft.image.platform,
            log_uri=draft.log_uri,
            log_driver=draft.log_driver,
            log_options=draft.log_options,
            address=session.address,
            mounts=tuple(outcomes),
            anonymous_volumes=tuple(m.volume_name for m in draft.mounts if m.is_anonymous),
            pid_container=draft.pid_donor,
            ipc_container=draft.ipc_donor,
        ),
    )
    if facts.open_stdin:
        labels[OPEN_STDIN_LABEL] = "true"
    return labels


def _spec(
    session: Session,
    draft: Draft,
    labels: Mapping[str, str],
    outcomes: list[MountOutcome],
    read_file: Callable[[str], bytes | None],
) -> dict[str, Any]:
    """The OCI spec; what the kernel cannot do and Docker only warns about becomes a notice."""
    from pyctl.spec.build import SpecFacts, build_spec
    from pyctl.spec.cgroups import read_cgroup_facts
    from pyctl.spec.initprocess import find_init
    from pyctl.spec.labels import annotations_for

    options, facts = draft.options, draft.facts
    files = shared_files(session, facts)
    init_source, init_path = find_init(options.init_binary) if options.init or options.init_binary else ("", "")
    warnings: list[str] = []
    spec = build_spec(
        options,
        draft.image.config,
        SpecFacts(
            container_id=facts.container_id,
            namespace=session.namespace,
            hostname=facts.hostname,
            domainname=facts.domainname,
            network_namespace=draft.network_namespace,
            network_joined=facts.network_kind in ("container", "ns"),
            pid_namespace=draft.pid_namespace,
            ipc_namespace=draft.ipc_namespace,
            mounts=tuple(outcome.mount for outcome in outcomes),
            read_file=read_file,
            cgroups=read_cgroup_facts(),
            cgroup_manager=session.settings.cgroup_manager,
            annotations=annotations_for(labels, options),
            resolv_conf_path=files.resolv_conf,
            hosts_path=files.hosts,
            hostname_path=files.hostname,
            shm_path=draft.shm_path,
            init_source=init_source,
            init_path=init_path,
        ),
        warnings,
    )
    session.notices.extend(f"WARNING: {text}" for text in warnings)
    return spec


def _runtime_options(session: Session, facts: StartFacts) -> AnyValue | None:
    """What the runc shim is told; other shims have options of their own."""
    if not facts.runtime.startswith("io.containerd.runc."):
        return None
    from pyctl.containerd.tasks import runc_options
    from pyctl.engine.places import runc_root

    return runc_options(
        binary_name=facts.runtime_binary,
        root=runc_root(session.address),
        systemd_cgroup=session.settings.cgroup_manager == "systemd",
    )


def _write_new(path: str, text: str) -> None:
    """Docker's rule for ``--cidfile``: never over an existing file."""
    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidArgumentError(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        ) from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InvalidArgumentError(f"failed to create the container ID file: open {path}: {why}") from error
