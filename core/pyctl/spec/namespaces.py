"""Which namespaces a container gets of its own, joins or shares with the machine."""

from __future__ import annotations

from pyctl.spec.units import refuse, refuse_early

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.spec.build import SpecFacts
    from pyctl.spec.options import ContainerOptions


def check_modes(options: ContainerOptions) -> None:
    """Check ``--pid``, ``--ipc``, ``--uts`` and ``--cgroupns`` as words.

    Raises:
        InvalidArgumentError: an unknown mode.
    """
    for flag, mode, accepted in (
        ("pid", options.pid, ("", "private", "host")),
        ("ipc", options.ipc, ("", "none", "private", "shareable", "host")),
        ("uts", options.uts, ("", "host")),
        ("cgroupns", options.cgroupns, ("", "private", "host")),
    ):
        donor = flag in ("pid", "ipc") and mode.startswith("container:") and mode != "container:"
        if mode not in accepted and not donor:
            if flag == "ipc":
                refuse(f"invalid IPC mode: {mode}")
            refuse_early(f"--{flag}: invalid {'CGROUP' if flag == 'cgroupns' else flag.upper()} mode")
    if options.uts == "host" and (options.hostname or options.domainname):
        refuse("conflicting options: hostname and the UTS mode")


def namespaces(options: ContainerOptions, facts: SpecFacts) -> list[dict[str, Any]]:
    """``linux.namespaces``; a kind that is missing is the machine's own.

    Raises:
        ValueError: the caller has not resolved ``container:``.
    """
    for mode, path in ((options.pid, facts.pid_namespace), (options.ipc, facts.ipc_namespace)):
        if mode.startswith("container:") and not path:
            raise ValueError(f"namespace of {mode} not resolved")
    found: list[dict[str, Any]] = [{"type": "mount"}]
    for kind, path in (
        ("pid", None if options.pid == "host" else facts.pid_namespace),
        ("ipc", None if options.ipc == "host" else facts.ipc_namespace),
        ("uts", None if options.uts == "host" else ""),
        ("network", facts.network_namespace),
        ("cgroup", "" if cgroup_private(options, facts) else None),
    ):
        if path is not None:
            found.append({"type": kind, "path": path} if path else {"type": kind})
    return found


def cgroup_private(options: ContainerOptions, facts: SpecFacts) -> bool:
    """Docker's default: private on cgroup v2, the machine's on v1."""
    if options.cgroupns:
        return options.cgroupns == "private"
    return facts.cgroups.version == 2
