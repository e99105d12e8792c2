"""Namespaces and shared memory that containers lend one another: ``--pid`` and ``--ipc container:NAME``, ``shareable``."""

from __future__ import annotations

import os

from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, NotFoundError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.containerd.records import Container
    from pyctl.ops.session import Session

_MNT_DETACH = 2
_NOSUID_NODEV_NOEXEC = 0x2 | 0x4 | 0x8


class Donor(Record):
    """A running container whose namespace another one joins."""

    container_id: str
    pid: int
    shm_path: str = ""  # where its /dev/shm is on the host, if it can be shared


def find_donor(session: Session, mode: str, *, kind: str) -> Donor | None:
    """The container behind ``container:NAME``; None for any other mode. ``kind`` is pid or ipc.

    Raises:
        NotFoundError: no such container.
        ConflictError: it does not run.
        InvalidArgumentError: its IPC namespace is private; Docker's words.
    """
    if not mode.startswith("container:"):
        return None
    from pyctl.ops.lookup import find_container

    container = find_container(session.client, mode.removeprefix("container:"))
    return donor_of(session, container, kind=kind)


def donor_of(session: Session, container: Container, *, kind: str) -> Donor:
    """As ``find_donor``, for a container that was found."""
    from pyctl.ops.tasks import find_task

    status = find_task(session.client, container.container_id)
    if status is None or status.status not in ("running", "paused"):
        raise ConflictError(f"cannot join the {kind} namespace of a non running container: {container.container_id}")
    shm_path = shared_memory(session, container) if kind == "ipc" else ""
    return Donor(container_id=container.container_id, pid=status.pid, shm_path=shm_path)


def shared_memory(session: Session, container: Container) -> str:
    """Where a container's /dev/shm can be reached from the host.

    Raises:
        InvalidArgumentError: it keeps it for itself.
    """
    import json

    mode = json.loads(container.labels.get("nerdctl/ipc") or "{}")
    if mode.get("mode") == "host":
        return "/dev/shm"
    if mode.get("mode") == "shareable":
        return shm_directory(session, container.container_id)
    if mode.get("victimContainerId"):
        return shared_memory(session, session.client.containers.get(mode["victimContainerId"]))
    raise InvalidArgumentError(
        f"can't join IPC of container {container.container_id}: "
        "non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
        exit_code=125,
    )


def shm_directory(session: Session, container_id: str) -> str:
    """Where nerdctl, too, mounts the shared memory of a ``shareable`` container."""
    return f"{session.paths.state_dir(container_id)}/shm"


def mount_shm(path: str, size_bytes: int) -> None:
    """Mount a tmpfs for a shareable container's /dev/shm; one that is mounted already stays."""
    import ctypes

    os.makedirs(path, mode=0o700, exist_ok=True)
    if os.path.ismount(path):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    data = f"mode=1777,size={size_bytes}".encode()
    if libc.mount(b"shm", os.fsencode(path), b"tmpfs", ctypes.c_ulong(_NOSUID_NODEV_NOEXEC), data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), path)


def unmount_shm(path: str) -> None:
    """Undo ``mount_shm``; what is not mounted or not there counts as undone."""
    import ctypes

    if os.path.ismount(path):
        ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(path), _MNT_DETACH)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass


def with_current_namespaces(session: Session, container: Container, network_namespace: str | None) -> Container:
    """The container with the paths of joined namespaces as they are now: process IDs change when a donor restarts.

    Stores the changed spec. Raises what ``find_donor`` raises.
    """
    import json

    spec: dict[str, Any] = json.loads(container.spec_json)
    wanted: dict[str, str] = {}
    if network_namespace:
        wanted["network"] = network_namespace
    for kind, donor_id in (
        ("pid", container.labels.get("nerdctl/pid-container", "")),
        ("ipc", json.loads(container.labels.get("nerdctl/ipc") or "{}").get("victimContainerId", "")),
    ):
        if donor_id:
            try:
                donor = session.client.containers.get(donor_id)
            except NotFoundError:
                raise NotFoundError("container", donor_id) from None
            wanted[kind] = f"/proc/{donor_of(session, donor, kind=kind).pid}/ns/{kind}"
    changed = False
    for entry in spec.get("linux", {}).get("namespaces", ()):
        path = wanted.get(entry["type"])
        if path and entry.get("path") != path:
            entry["path"] = path
            changed = True
    if not changed:
        return container
    updated = container.replace(spec_json=json.dumps(spec, separators=(",", ":")).encode())
    session.client.containers.update(updated, ["spec"])
    return updated
