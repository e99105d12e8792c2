"""The chain of a new macvlan or ipvlan network, in nerdctl's format: one plug-in on an interface of the host."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError
from pyctl_plugins.network import _compose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl_hookspecs import NetworkDefinition

_MODES = {"macvlan": ("bridge", "private", "vepa", "passthru"), "ipvlan": ("l2", "l3", "l3s")}
_MTU = ("mtu", "com.docker.network.driver.mtu")


def vlan_chain(kind: str, definition: NetworkDefinition) -> list[dict[str, Any]]:
    """``kind`` is macvlan or ipvlan. Without a parent the plug-in takes the interface of the default route.

    An internal network has no default route, as nerdctl makes it; what its parent reaches, its containers reach.

    Raises:
        InvalidArgumentError: an option nobody knows, its value, or no interface of the parent's name.
    """
    plugin: dict[str, Any] = {"type": kind}
    for key, value in definition.options:
        if key == "parent":
            plugin["master"] = _parent(value)
        elif key in ("mode", f"{kind}_mode"):
            if value not in _MODES[kind]:
                raise InvalidArgumentError(f'unknown {kind} mode "{value}": must be one of {", ".join(_MODES[kind])}')
            plugin["mode"] = value
        elif key in _MTU:
            plugin["mtu"] = _compose.mtu(value)
        else:
            raise InvalidArgumentError(f'unsupported "{kind}" network option "{key}"')
    plugin["ipam"] = _compose.ipam(definition)
    if any(":" in one.subnet for one in definition.subnets):
        plugin["capabilities"] = {"ips": True}
    return [plugin]


def _parent(name: str) -> str:
    from pyctl_plugins.network import _netlink, _rtnetlink

    with _netlink.Netlink(_netlink.ROUTE) as route:
        is_there = 0 < len(name.encode()) <= 15 and _rtnetlink.find_link(route, name) is not None
    if not is_there:
        parent, dot, number = name.partition(".")
        how = f"ip link add link {parent} name {name} type vlan id {number}" if dot and number.isdecimal() else "see ip link"
        raise InvalidArgumentError(f"invalid parent {name}: the host has no such interface", hint=how)
    return name
