"""A task that containerd was making, or deleting, when the one who had asked for it was killed.

The daemon then breaks off, and sometimes forgets the shim while it does: no task is listed, and the shim, with the log
binary it has started, would live until the next boot.
"""

from __future__ import annotations

import os
import signal

from pyctl_hookspecs.errors import NotFoundError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyctl.containerd.client import Client
    from pyctl.ops.session import Session

_PATIENCE_S, _PAUSE_S = 10.0, 0.02
_DELETION_S = 3.0  # from when a task is not listed any more to its shim's end, on a machine that is busy
_IDLE_S = 2.0  # a daemon that makes a task lets milliseconds pass between the shim and the runtime
_AGED_S = 0.3  # as _DELETION_S, for a shim that an earlier daemon has started: the present one may be ending it
_CLEARANCE_S = 3.0
_DELETED = " (deleted)"


def await_creation(session: Session, container_id: str) -> None:
    """Return when the daemon has done with the task of a killed command: there is one now, or nothing of it any more.

    A shim whose bundle is gone is nobody's: it is ended here. containerd 2.1 takes the bundle away after five seconds, and
    then cannot delete runc's container any more. So nothing may keep it waiting that long: neither the killed command's end
    of a FIFO, nor the end of the output of a process that was made and not begun.
    Nobody's, too, is a shim that has no task and no runtime at work: for a while, or if an earlier daemon has started it.
    containerd 1.6 keeps that for good; a later one ends it, and deletes what its runtime has made so far while that goes on.

    Raises:
        UnavailableError: the daemon is still at it; the next command tries again.
    """
    import time

    from pyctl.ops.streams import stand_in
    from pyctl.ops.tasks import find_task

    idle_since = begun = time.monotonic()
    with stand_in(session.paths.fifo_dir(container_id)):
        while workers := dict(_workers(session.namespace, container_id)):
            shims = [pid for pid, is_shim in workers.items() if is_shim]
            for pid in shims:
                _kill_members(_children(pid), container_id)
                if _working_directory(pid).endswith(_DELETED):
                    _end(pid)
            if find_task(session.client, container_id) is not None:
                return
            now = time.monotonic()
            if len(shims) < len(workers):
                idle_since = now
            elif shims and (now - idle_since > _IDLE_S or _is_old(shims[0], session.address)):
                _end_with_bundle(shims[0])
            if now - begun > _PATIENCE_S:
                raise UnavailableError(f"containerd has not done with the task of container {container_id}")
            time.sleep(_PAUSE_S)
    _remove_group(session.client, container_id)
    _remove_socket(session.client, container_id)


def await_deletion(client: Client, container_id: str, *, born_before: float = 0.0) -> None:
    """Return when a task that is not listed has no shim any more either; ``born_before`` (seconds since the epoch) any time.

    One that is being deleted goes by itself, if the daemon that began that is still there. One that does not is nobody's.

    Raises:
        UnavailableError: what it leaves could not be cleared away; the next command tries again.
    """
    from pyctl.ops.tasks import began_at

    for pid in _shims(client.namespace, container_id):
        if born_before and began_at(pid) > born_before:
            continue
        if not _ends_within(pid, _AGED_S if _is_old(pid, client.address) else _DELETION_S):
            _end_with_bundle(pid)
    if not born_before:
        _await_runtimes(client, container_id)
        _remove_group(client, container_id)


def _await_runtimes(client: Client, container_id: str) -> None:
    """A daemon that is killed leaves them at work, and the next one does not wait for them."""
    import time

    give_up = time.monotonic() + _PATIENCE_S
    while any(not is_shim for _, is_shim in _workers(client.namespace, container_id)):
        if time.monotonic() > give_up:
            raise UnavailableError(f"a runtime has not done with container {container_id}")
        time.sleep(_PAUSE_S)


def _is_old(shim: int, address: str) -> bool:
    """Has an earlier daemon started it?"""
    from pyctl.containerd.dial import server_pid
    from pyctl.keeper.watches import birth

    return birth(shim) < birth(server_pid(address))


def _end_with_bundle(shim: int) -> None:
    """End a shim. The daemon clears its bundle away when it hears of that; where it does not know the shim, we do."""
    import time

    bundle, command = _working_directory(shim), _read(f"/proc/{shim}/cmdline").split(b"\0")[:-1]
    _end(shim)
    give_up = time.monotonic() + _CLEARANCE_S
    while bundle and os.path.exists(bundle):
        if time.monotonic() > give_up:
            _clear_away(bundle, [os.fsdecode(word) for word in command])
            return
        time.sleep(_PAUSE_S)


def _clear_away(bundle: str, command: list[str]) -> None:
    """As containerd does: the shim's own ``delete`` ends and removes what its runtime has made, then the bundle goes.

    Nothing but files of its own and empty directories, lest a root file system is still mounted there. ``delete`` fails
    where no runtime has begun.
    """
    import subprocess

    deletion = [*command, "-bundle", bundle, "delete"]
    try:
        subprocess.run(deletion, cwd=bundle, check=False, timeout=_PATIENCE_S, capture_output=True)
        for folder in filter(os.path.isdir, (os.path.realpath(f"{bundle}/work"), bundle)):
            for entry in list(os.scandir(folder)):
                if entry.is_dir(follow_symlinks=False):
                    os.rmdir(entry.path)
                else:
                    os.unlink(entry.path)
            os.rmdir(folder)
    except (OSError, subprocess.SubprocessError) as error:
        if os.path.exists(bundle):
            raise UnavailableError(f"containerd has not cleared away {bundle}: {error}") from error


def _remove_group(client: Client, container_id: str) -> None:
    """Remove the control group of a container without a task, and end what was left in it."""
    from pyctl.ops.ending import group_of
    from pyctl.spec.cgroups import cgroups_path, group_members, remove_group

    try:
        path = group_of(client.containers.get(container_id))
    except NotFoundError:
        path = cgroups_path(container_id, client.namespace, "", "cgroupfs")
    if path.endswith(container_id):  # and not one that another tool has it share
        _kill_members(group_members(path), container_id)
        remove_group(path)


def _remove_socket(client: Client, container_id: str) -> None:
    """Remove the socket of a shim that never came to be: its program was ended between the two, and nobody knows of it.

    The name is a rule of containerd's shims (``SocketAddress`` in its ``pkg/shim``).
    """
    from hashlib import sha256

    from pyctl.containerd.dial import socket_path

    name = sha256(f"{socket_path(client.address)}/{client.namespace}/{container_id}".encode()).hexdigest()
    try:
        os.unlink(f"/run/containerd/s/{name}")
    except FileNotFoundError:
        pass


def _ends_within(pid: int, seconds: float) -> bool:
    from pyctl.ops.tasks import await_end

    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(await_end({"shim": process}, seconds))
    finally:
        os.close(process)


def _shims(namespace: str, container_id: str) -> Iterator[int]:
    return (pid for pid, is_shim in _workers(namespace, container_id) if is_shim)


def _workers(namespace: str, container_id: str) -> Iterator[tuple[int, bool]]:
    """The processes of shims (True) and OCI runtimes (False) that work on a container."""
    shim = f"\0-namespace\0{namespace}\0-id\0{container_id}\0".encode()
    runtime, its_root = f"\0{container_id}\0".encode(), b"\0--root\0"
    for name in os.listdir("/proc"):
        if name.isdecimal():
            words = _read(f"/proc/{name}/cmdline")
            if shim in words and b"shim" in words.partition(b"\0")[0]:
                yield int(name), True
            elif runtime in words and its_root in words:
                yield int(name), False


def _children(pid: int) -> list[int]:
    from glob import glob

    return [int(child) for path in glob(f"/proc/{pid}/task/*/children") for child in _read(path).split()]


def _kill_members(pids: Iterable[int], container_id: str) -> None:
    """SIGKILL for those that are in the container's control group: a shim's log binary is not."""
    for pid in pids:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if container_id.encode() in _read(f"/proc/{pid}/cgroup"):
                signal.pidfd_send_signal(process, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(process)


def _end(pid: int) -> None:
    """Kill a shim and take the sockets along that it listened on; the log binary ends with its pipes."""
    sockets = _sockets(pid)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    for path in sockets:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def _read(path: str) -> bytes:
    """A file of ``/proc``; empty once its process is gone, or where it may not be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _working_directory(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _sockets(pid: int) -> list[str]:
    """The Unix sockets with a name in the file system that a process listens on."""
    inodes = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            if target.startswith("socket:["):
                inodes.add(target[len("socket:[") : -1])
    except (FileNotFoundError, ProcessLookupError):
        return []
    with open("/proc/net/unix") as file:
        rows = [line.split() for line in file]
    is_listening = "00010000"  # of the flags column: a socket that accepts
    return [row[7] for row in rows[1:] if len(row) > 7 and row[3] == is_listening and row[6] in inodes and row[7][0] == "/"]
