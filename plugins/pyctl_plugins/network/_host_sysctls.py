"""Kernel settings of the host that a bridge needs, changed only where they are not so already."""

from __future__ import annotations

import os

from pyctl_hookspecs import PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_plugins.network._conflist import BridgeConfig

_V6 = "net/ipv6/conf"


def prepare(config: BridgeConfig) -> list[str]:
    """Let the host forward, and the bridge serve 127.0.0.1:PORT without opening the rest of loopback (see the rules).

    Returns what had to be changed for that, as ``sysctl`` shows it.

    Raises:
        PyctlError: a setting cannot be made; it is named.
    """
    bridge = config.bridge
    wanted = [("net/ipv4/ip_forward", "1"), (f"net/ipv4/conf/{bridge}/route_localnet", "1")]
    # A container must not be able to tell the host its default router. And a bridge that first looks for a second one
    # with its addresses asks for nobody's hardware address meanwhile: two seconds in which nothing gets through.
    for name in ("accept_ra", "accept_dad"):
        ensure(f"{_V6}/{bridge}/{name}", "0", may_be_missing=True)
    if config.has_family(is_v6=True):
        if read(f"{_V6}/all/forwarding") != "1":
            _keep_router_advertisements(bridge)
        wanted += [(f"{_V6}/{bridge}/disable_ipv6", "0"), (f"{_V6}/all/forwarding", "1")]
    return [f"{name.replace('/', '.')} = {value}" for name, value in wanted if ensure(name, value)]


def filters_bridged_frames() -> bool:
    """Does what is bridged between two ports, of either family, pass the rules for what is forwarded?"""
    return all(read(f"net/bridge/bridge-nf-call-{tables}") == "1" for tables in ("iptables", "ip6tables"))


def read(name: str) -> str:
    """A setting's value; empty if this kernel has none of that name."""
    try:
        with open(f"/proc/sys/{name}") as file:
            return file.read().strip()
    except OSError:
        return ""


def ensure(name: str, value: str, *, may_be_missing: bool = False) -> bool:
    """Give a setting a value; False if it has it.

    Raises:
        PyctlError: the kernel has no such setting, or refuses.
    """
    path = f"/proc/sys/{name}"
    try:
        with open(path) as file:
            if file.read().strip() == value:
                return False
        with open(path, "w") as file:
            file.write(value)
        return True
    except FileNotFoundError:
        if may_be_missing:
            return False
        raise PyctlError(f"cannot set {name.replace('/', '.')} to {value}: this kernel has no such setting") from None
    except OSError as error:
        raise PyctlError(f"cannot set {name.replace('/', '.')} to {value}: {error.strerror}") from error


def _keep_router_advertisements(bridge: str) -> None:
    """A host that forwards stops listening to routers and loses its own default route, unless told to go on (2)."""
    for interface in os.listdir(f"/proc/sys/{_V6}"):
        if interface not in ("all", "default", "lo", bridge) and read(f"{_V6}/{interface}/accept_ra") == "1":
            ensure(f"{_V6}/{interface}/accept_ra", "2", may_be_missing=True)
