"""What this machine's control groups can do, and where a container's group is."""

from __future__ import annotations

import os

from pyctl.state.locks import read_whole
from pyctl_hookspecs.records import Record


class CgroupFacts(Record):
    """Version 1 (hybrid included) or 2, and the files that decide which limits have an effect."""

    version: int = 1
    controllers: tuple[str, ...] = ()
    swap_limit: bool = True
    swappiness: bool = True
    oom_kill_disable: bool = True
    blkio_weight: bool = True
    realtime: bool = True


def read_cgroup_facts(root: str = "/sys/fs/cgroup") -> CgroupFacts:
    """Look at the mounted hierarchy; a dozen system calls."""
    if os.path.exists(f"{root}/cgroup.controllers"):
        try:
            with open(f"{root}/cgroup.controllers") as file:
                controllers = tuple(file.read().split())
        except OSError:
            controllers = ()
        return CgroupFacts(
            version=2,
            controllers=controllers,
            swap_limit="memory" in controllers,
            swappiness=False,
            oom_kill_disable=False,
            blkio_weight="io" in controllers,
            realtime=False,
        )
    names = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb", "net_cls", "perf_event")
    return CgroupFacts(
        version=1,
        controllers=tuple(name for name in names if os.path.isdir(f"{root}/{name}")),
        swap_limit=os.path.exists(f"{root}/memory/memory.memsw.limit_in_bytes"),
        swappiness=os.path.exists(f"{root}/memory/memory.swappiness"),
        oom_kill_disable=os.path.exists(f"{root}/memory/memory.oom_control"),
        blkio_weight=any(os.path.exists(f"{root}/blkio/blkio.{name}") for name in ("weight", "bfq.weight")),
        realtime=os.path.exists(f"{root}/cpu/cpu.rt_runtime_us"),
    )


def cgroups_path(container_id: str, namespace: str, parent: str, manager: str) -> str:
    """``linux.cgroupsPath``: a path for cgroupfs, ``slice:prefix:name`` for systemd, empty for none.

    Raises:
        InvalidArgumentError: systemd wants its parent to be a slice.
    """
    if manager == "none":
        return ""
    if manager == "systemd":
        if parent and not parent.endswith(".slice"):
            from pyctl.spec.units import refuse

            refuse(f'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice", not {parent}')
        return f"{parent or 'system.slice'}:nerdctl:{container_id}"
    if parent:
        return os.path.join("/", parent, container_id)
    return f"/{namespace}/{container_id}"


def oom_kills(path: str, root: str = "/sys/fs/cgroup") -> int | None:
    """How many processes of a container the kernel has killed for want of memory; None once its group is gone.

    ``path`` is its ``linux.cgroupsPath``. The group stays until the task is deleted, so this can be asked after the exit.
    """
    below = _below(path)
    if not below:
        return None
    for file_name in (f"{root}/memory/{below}/memory.oom_control", f"{root}/{below}/memory.events"):
        try:
            descriptor = os.open(file_name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # the other version's
        try:
            lines = os.read(descriptor, 4096).split(b"\n")
        except OSError:  # taken away between the two calls
            return None
        finally:
            os.close(descriptor)
        return next((int(line[9:]) for line in lines if line.startswith(b"oom_kill ")), 0)
    return None


def group_members(path: str, root: str = "/sys/fs/cgroup") -> set[int]:
    """The processes in a container's group, whichever hierarchy they are in. ``path`` is its ``linux.cgroupsPath``."""
    listed = [read_whole(f"{folder}/cgroup.procs") or b"" for folder in _folders(path, root)]
    return {int(pid) for pids in listed for pid in pids.split()} - {0}  # one of another process namespace


def remove_group(path: str, root: str = "/sys/fs/cgroup", patience_s: float = 1.0) -> None:
    """Remove a container's group from every hierarchy; the kernel waits with that until the last process has ended.

    Raises:
        OSError: it has not.
    """
    import time

    give_up = time.monotonic() + patience_s
    for folder in _folders(path, root):
        while True:
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                if time.monotonic() < give_up:
                    time.sleep(0.01)
                    continue
                raise
            break


def _folders(path: str, root: str) -> list[str]:
    """A group's directories, in version 1 those of every hierarchy; each after what is below it."""
    from glob import escape, glob

    below = _below(path)
    tops = glob(f"{escape(root)}/{escape(below)}") + glob(f"{escape(root)}/*/{escape(below)}") if below else []
    return [folder for top in tops for folder, _, _ in os.walk(top, topdown=False)]


def is_frozen(groups: str, root: str = "/sys/fs/cgroup") -> bool:
    """Is a process frozen (paused), or about to be? ``groups`` is its ``/proc/PID/cgroup``."""
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "freezer":
            state = read_whole(f"{root}/freezer{path}/freezer.state")
        elif not controllers:
            state = read_whole(f"{root}{path}/cgroup.freeze")
        else:
            continue
        if state is not None and state.strip() not in (b"THAWED", b"0"):
            return True
    return False


def _below(path: str) -> str:
    """Where a ``linux.cgroupsPath`` is below a hierarchy's mount point; empty for none."""
    where, colon, rest = path.partition(":")
    if not colon:
        return path.strip("/")
    prefix, _, container_id = rest.partition(":")
    # systemd nests slices: a-b.slice is in a.slice.
    words = where.removesuffix(".slice").split("-")
    slices = [f"{'-'.join(words[: count + 1])}.slice" for count in range(len(words))] if where != "-.slice" else []
    return "/".join([*slices, f"{prefix}-{container_id}.scope"])
