"""The mounts every container has, and the paths it may not see or change."""

from __future__ import annotations

from pyctl_hookspecs.process_mounts import OciMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.spec.build import SpecFacts
    from pyctl.spec.options import ContainerOptions
    from pyctl.spec.security import SecurityOptions

_SHM_BYTES = 64 << 20

MASKED_PATHS = (
    *("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
    *("/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"),
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def default_mounts(options: ContainerOptions, security: SecurityOptions, facts: SpecFacts) -> list[OciMount]:
    """/proc, /dev, /sys and what belongs to them; a privileged container may write to all of them.

    Raises:
        InvalidArgumentError: ``--shm-size``.
    """
    quiet = ("nosuid", "noexec", "nodev")
    access = ("rw",) if options.privileged else ("ro",)
    cgroup_access = ("rw",) if options.privileged or security.writable_cgroups else ("ro",)
    found = [
        OciMount(type="proc", source="proc", destination="/proc", options=quiet),
        OciMount(type="tmpfs", source="tmpfs", destination="/dev", options=("nosuid", "strictatime", "mode=755", "size=65536k")),
        OciMount(
            type="devpts",
            source="devpts",
            destination="/dev/pts",
            options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        ),
        OciMount(type="sysfs", source="sysfs", destination="/sys", options=(*quiet, *access)),
        OciMount(type="cgroup", source="cgroup", destination="/sys/fs/cgroup", options=(*quiet, "relatime", *cgroup_access)),
        OciMount(type="mqueue", source="mqueue", destination="/dev/mqueue", options=quiet),
    ]
    if options.ipc == "host":
        found.append(OciMount(type="bind", source="/dev/shm", destination="/dev/shm", options=("rbind", "rprivate")))
    elif facts.shm_path:
        found.append(OciMount(type="bind", source=facts.shm_path, destination="/dev/shm", options=("rbind", "rprivate")))
    elif options.ipc != "none":
        size = f"size={shm_bytes(options.shm_size)}"
        found.append(OciMount(type="tmpfs", source="shm", destination="/dev/shm", options=(*quiet, "mode=1777", size)))
    return found


def own_files(facts: SpecFacts) -> list[OciMount]:
    """The files of the network, and the init, that are mounted into every container that has them."""
    found = []
    for source, destination in (
        (facts.resolv_conf_path, "/etc/resolv.conf"),
        (facts.hostname_path, "/etc/hostname"),
        (facts.hosts_path, "/etc/hosts"),
    ):
        if source:
            found.append(OciMount(type="bind", source=source, destination=destination, options=("rbind", "rprivate")))
    if facts.init_source:
        found.append(OciMount(type="bind", source=facts.init_source, destination=facts.init_path, options=("bind", "ro")))
    return found


def merge(defaults: list[OciMount], files: list[OciMount], asked: tuple[OciMount, ...]) -> list[dict[str, Any]]:
    """All mounts in the order the runtime makes them; what was asked for wins over the others.

    The files are sorted in among what was asked for, parents first: a volume on /etc must not hide /etc/hosts.
    """
    taken = {_clean(mount.destination) for mount in asked}
    late = [*(mount for mount in files if mount.destination not in taken), *asked]
    kept = [mount for mount in defaults if _clean(mount.destination) not in taken]
    # /sys/fs/cgroup goes with /sys, /dev/shm with /dev: mounted over by the user, the defaults below would hide parts of it.
    hidden = tuple(path + "/" for path in taken if path in ("/dev", "/sys", "/proc"))
    kept = [mount for mount in kept if not hidden or not mount.destination.startswith(hidden)]
    every = [*kept, *sorted(late, key=lambda mount: _clean(mount.destination).count("/"))]
    return [_plain(mount) for mount in every]


def confine(linux: dict[str, Any], options: ContainerOptions, security: SecurityOptions) -> None:
    """Add the masked and read-only paths, unless they were waived."""
    if options.privileged or security.systempaths_unconfined:
        return
    linux["maskedPaths"] = list(MASKED_PATHS)
    linux["readonlyPaths"] = list(READONLY_PATHS)


def shm_bytes(text: str) -> int:
    """Bytes of ``--shm-size``, Docker's 64 MiB if it was not given.

    Raises:
        InvalidArgumentError: not a size.
    """
    if not text:
        return _SHM_BYTES
    from pyctl.spec.units import flag_bytes

    return flag_bytes(text, "--shm-size") or _SHM_BYTES


def _clean(path: str) -> str:
    return path.rstrip("/") or "/"


def _plain(mount: OciMount) -> dict[str, Any]:
    return {"destination": mount.destination, "type": mount.type, "source": mount.source, "options": list(mount.options)}
