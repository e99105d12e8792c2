"""What this machine's control groups can do, and where a container's group is."""

from __future__ import annotations

import os

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
