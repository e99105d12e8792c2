"""Linux capabilities: the default fourteen, ``--cap-add``, ``--cap-drop`` and what this machine can give."""

from __future__ import annotations

from pyctl.spec.units import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# In the kernel's order: the index is the bit.
_KERNEL = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
_USUAL = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
)
ALL = tuple("CAP_" + name for name in _KERNEL.split())
DEFAULT = tuple("CAP_" + name for name in _USUAL.split())


def available(status: str = "/proc/self/status") -> tuple[str, ...]:
    """What this machine can give: our own bounding set (containerd runs beside us with the same one)."""
    mask = (1 << len(ALL)) - 1
    try:
        with open(status, "rb") as file:
            for line in file:
                if line.startswith(b"CapBnd:"):
                    mask = int(line[7:], 16)
    except OSError:
        pass  # no /proc: the runtime will judge
    return tuple(name for bit, name in enumerate(ALL) if mask >> bit & 1)


def effective(add: Iterable[str], drop: Iterable[str], *, privileged: bool, known: Iterable[str]) -> list[str]:
    """The capabilities of a container, in the kernel's order.

    ``ALL`` may stand in either list; dropping ALL clears the defaults first, then what is added is added.

    Raises:
        InvalidArgumentError: an unknown capability, or one that is not available here.
    """
    known = tuple(known)
    added, dropped = _normalise(add, "CapAdd", known), _normalise(drop, "CapDrop", known)
    if privileged:
        return list(known)
    if "ALL" in added:
        chosen = {*known} - {*dropped}
    elif "ALL" in dropped:
        chosen = {*added}
    else:
        # A default that is not available here was never asked for: leave it out instead of failing.
        chosen = ({*DEFAULT} & {*known} | {*added}) - {*dropped}
    return [name for name in ALL if name in chosen]


def _normalise(names: Iterable[str], field: str, known: tuple[str, ...]) -> list[str]:
    found = []
    for text in names:
        name = text.upper()
        if name != "ALL":
            name = name if name.startswith("CAP_") else f"CAP_{name}"
            if name not in ALL:
                refuse(f'invalid {field}: unknown capability: "{name}"')
            if name not in known:
                refuse(
                    f"invalid {field}: capability not supported by your kernel or not available in the current environment: "
                    f'"{name}"'
                )
        found.append(name)
    return found
