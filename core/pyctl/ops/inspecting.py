"""``inspect``: one object in Docker's shape, or a container as containerd has it. Plain data, ready for JSON."""

from __future__ import annotations

from pyctl.ops.inspect_state import NEVER
from pyctl_hookspecs.errors import InvalidArgumentError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.containerd.records import Container
    from pyctl.ops.inspect_facts import ContainerFacts
    from pyctl.ops.session import Session
    from pyctl.spec.mounts import MountPoint

KINDS = ("container", "image", "network", "volume")


def inspect(session: Session, reference: str, *, kind: str = "", sizes: bool = False, native: bool = False) -> dict[str, Any]:
    """The object of that name or ID; without ``kind`` a container, else an image, a network or a volume.

    Raises:
        NotFoundError: in Docker's words for the kind, ``No such object: X`` without one.
        ConflictError: several objects' IDs begin with it.
        InvalidArgumentError: a kind that is none.
    """
    if kind and kind not in KINDS:
        raise InvalidArgumentError(f'"{kind}" is not a valid value for --type')
    for one in (kind,) if kind else KINDS:
        try:
            return _inspect(session, reference, one, sizes=sizes, native=native)
        except NotFoundError:
            if kind:
                raise
        except InvalidArgumentError:
            if kind:
                raise  # else: a name that no object of this kind can have
    raise NotFoundError("object", reference)


def _inspect(session: Session, reference: str, kind: str, *, sizes: bool, native: bool) -> dict[str, Any]:
    if kind == "container":
        return inspect_container(session, reference, sizes=sizes, native=native)
    if kind == "image":
        from pyctl.ops import image_inspect

        return (image_inspect.inspect_native if native else image_inspect.inspect_image)(session, reference)
    if kind == "network":
        from pyctl.ops import networks

        return (networks.inspect_native if native else networks.inspect)(session, reference)
    return _inspect_volume(session, reference)


def _inspect_volume(session: Session, reference: str) -> dict[str, Any]:
    from pyctl.ops import volumes
    from pyctl.state.volumes import VolumeStore

    store = VolumeStore(session.paths.data_store, session.namespace)
    found, errors = volumes.inspect(store, (reference,))
    if errors:
        raise errors[0]
    return found[0].docker()


def inspect_container(session: Session, reference: str, *, sizes: bool = False, native: bool = False) -> dict[str, Any]:
    """A container by name, ID or the beginning of an ID.

    Raises:
        NotFoundError: ``No such container: X``.
        ConflictError: several IDs begin with it.
    """
    from pyctl.ops.lookup import find_container

    container = find_container(session.client, reference)
    if native:
        from pyctl.ops.inspect_native import native_container

        return native_container(session, container, sizes=sizes)
    from pyctl.ops.inspect_facts import gather

    return describe(session, gather(session, container), sizes=sizes)


def describe(session: Session, facts: ContainerFacts, *, sizes: bool = False) -> dict[str, Any]:
    """The object of ``docker container inspect``, with its fields in Docker's order."""
    from pyctl.ops.inspect_config import container_config
    from pyctl.ops.inspect_hostconfig import host_config
    from pyctl.ops.inspect_network import network_settings
    from pyctl.ops.listing import display_name, without_init

    container, labels = facts.container, facts.labels
    arguments = without_init(tuple(facts.process.get("args") or ()))
    return {
        "Id": container.container_id,
        "Created": container.created_at or NEVER,
        "Path": arguments[0] if arguments else "",
        "Args": list(arguments[1:]),
        "State": _state(facts),
        "Image": facts.image_id,
        "ResolvConfPath": facts.mount_source("/etc/resolv.conf"),
        "HostnamePath": facts.mount_source("/etc/hostname"),
        "HostsPath": facts.mount_source("/etc/hosts"),
        "LogPath": _log_path(facts),
        "Name": f"/{display_name(labels)}",
        "RestartCount": _count(labels.get("containerd.io/restart.count", "")),
        "Driver": container.snapshotter,
        "Platform": labels.get("nerdctl/platform", "linux").partition("/")[0],
        "MountLabel": facts.linux.get("mountLabel") or "",
        "ProcessLabel": facts.process.get("selinuxLabel") or "",
        "AppArmorProfile": facts.process.get("apparmorProfile") or "",
        "ExecIDs": list(facts.exec_ids) or None,
        "HostConfig": host_config(facts),
        "GraphDriver": _graph_driver(session, container, facts.state.pid),
        **_sizes(session, container, sizes=sizes),
        "Mounts": _mounts(facts),
        "Config": container_config(facts),
        "NetworkSettings": network_settings(session, facts),
    }


def _state(facts: ContainerFacts) -> dict[str, Any]:
    state = facts.state
    found: dict[str, Any] = {
        "Status": state.status,
        "Running": state.is_running,
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": facts.labels.get("nerdctl/error", ""),
        "StartedAt": state.started_at or NEVER,
        "FinishedAt": state.finished_at or NEVER,
    }
    if state.health:
        from pyctl.ops.inspect_health import health

        found["Health"] = health(facts)
    return found


def _log_path(facts: ContainerFacts) -> str:
    """Docker's readers open it, so it is only named when it is there."""
    import os

    path = f"{facts.state_dir}/{facts.container.container_id}-json.log"
    return path if os.path.exists(path) else ""


def _count(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _graph_driver(session: Session, container: Container, pid: int) -> dict[str, Any]:
    """Where the files of the container's root are on the machine; other drivers than overlay have nothing to say."""
    data = None
    if container.snapshotter and container.snapshot_key:
        try:
            mounts = session.client.snapshots.mounts(container.snapshotter, container.snapshot_key)
        except NotFoundError:
            mounts = ()
        words = dict(word.partition("=")[::2] for mount in mounts if mount.type == "overlay" for word in mount.options)
        if "upperdir" in words:
            data = {
                "LowerDir": words.get("lowerdir", ""),
                "MergedDir": f"/proc/{pid}/root" if pid else "",
                "UpperDir": words["upperdir"],
                "WorkDir": words.get("workdir", ""),
            }
    return {"Data": data, "Name": container.snapshotter}


def _sizes(session: Session, container: Container, *, sizes: bool) -> dict[str, int]:
    if not sizes:
        return {}
    from pyctl.ops.listing import container_sizes

    writable, whole = container_sizes(session, container)
    return {"SizeRw": writable, "SizeRootFs": whole}


def _mounts(facts: ContainerFacts) -> list[dict[str, Any]]:
    """What the user and the image mounted; ``--tmpfs`` stands in ``HostConfig`` only, as in Docker."""
    hidden = {text.partition(":")[0] for text in facts.options.tmpfs} if facts.options else set()
    found = []
    for point in facts.mounts:
        if point.type == "tmpfs" and point.destination in hidden:
            continue
        entry: dict[str, Any] = {"Type": point.type}
        if point.name:
            entry["Name"] = point.name
        entry |= {"Source": point.source, "Destination": point.destination}
        if point.driver:
            entry["Driver"] = point.driver
        found.append(entry | {"Mode": _mode(facts, point), "RW": point.read_write, "Propagation": point.propagation})
    return found


def _mode(facts: ContainerFacts, point: MountPoint) -> str:
    """The options behind ``-v`` as they were written; what has none there is told by Docker's rules."""
    from pyctl.ops.inspect_hostconfig import mounted_by

    if facts.options is None:
        return point.mode
    if any(point in mounted_by(facts, text) for text in facts.options.mount):
        return "z" if point.type == "volume" else ""
    is_anonymous = point.type == "volume" and point.name in (facts.label_json("anonymous-volumes") or ())
    return "" if is_anonymous else point.mode
