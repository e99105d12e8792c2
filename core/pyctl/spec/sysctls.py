"""``--sysctl``: only what belongs to the container's own namespaces."""

from __future__ import annotations

from pyctl.spec.units import refuse, refuse_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_IPC = frozenset(
    (
        *("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem"),
        *("kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"),
    )
)
_UTS = frozenset(("kernel.domainname", "kernel.hostname"))


def sysctls(given: Iterable[str], *, host_network: bool, host_ipc: bool, own_network: bool) -> dict[str, str]:
    """``linux.sysctl``: what was asked for, and Docker's two kindnesses for a network of one's own.

    Those are ports below 1024 and ICMP sockets for everybody inside. ``own_network`` is false for a joined
    namespace, whose owner has set them already.

    Raises:
        InvalidArgumentError: malformed, not namespaced, or of a namespace that is the machine's.
    """
    found: dict[str, str] = {}
    if own_network:
        found["net.ipv4.ip_unprivileged_port_start"] = "0"
        found["net.ipv4.ping_group_range"] = "0 2147483647"
    for text in given:
        key, equals, value = text.partition("=")
        is_net, is_ipc = key.startswith("net."), key in _IPC or key.startswith("fs.mqueue.")
        if not equals or not (is_net or is_ipc or key in _UTS):
            refuse_flag(text, "--sysctl", f"sysctl '{text}' is not allowed")
        if is_net and host_network:
            refuse(f'sysctl "{key}" is not allowed in the host network namespace')
        if is_ipc and host_ipc:
            refuse(f'sysctl "{key}" is not allowed in the host ipc namespace')
        found[key] = value
    return found
