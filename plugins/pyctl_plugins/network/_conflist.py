"""The well-known chain of CNI plug-ins (bridge, portmap, firewall, tuning), read for what we carry out ourselves."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl_plugins.network._addresses import Range

_KNOWN = ("bridge", "portmap", "firewall", "tuning")


class BridgeConfig:
    """What a conflist says. ``range_sets`` give one address each; ``routes`` are (destination, gateway or empty)."""

    __slots__ = ("bridge", "data_dir", "hairpin", "has_gateway", "is_closed", "masquerade", "mtu", "range_sets", "routes")

    def __init__(self, config: Mapping[str, Any]) -> None:
        """
        Raises:
            UnsupportedError: another chain, or an option of it that we do not carry out.
            InvalidArgumentError: a subnet or address that is none.
        """
        plugins = {plugin["type"]: plugin for plugin in config["plugins"]}
        main = plugins.get("bridge", {})
        ipam = main.get("ipam") or {}
        strangers = [kind for kind in plugins if kind not in _KNOWN]
        if not main or strangers or ipam.get("type") != "host-local":
            name = config.get("name")
            what = ", ".join(strangers) or ipam.get("type") or "no bridge"
            raise UnsupportedError(f"network {name} cannot be carried out by driver bridge ({what})")
        for option in ("vlan", "vlanTrunk", "promiscMode", "macspoofchk"):
            if main.get(option):
                raise UnsupportedError(f"network {config.get('name')}: option {option} of the bridge plug-in is not supported")
        self.bridge: str = main.get("bridge") or "cni0"
        self.mtu = int(main.get("mtu") or 0)
        self.has_gateway = bool(main.get("isGateway") or main.get("isDefaultGateway"))
        self.masquerade = bool(main.get("ipMasq"))
        self.hairpin = bool(main.get("hairpinMode"))
        self.is_closed = "firewall" in plugins
        self.data_dir: str = ipam.get("dataDir") or ""
        self.range_sets = _range_sets(ipam)
        self.routes = [(route["dst"], route.get("gw", "")) for route in ipam.get("routes") or ()]
        if main.get("isDefaultGateway"):
            self.routes += [("::/0" if group[0].is_v6 else "0.0.0.0/0", "") for group in self.range_sets]

    @property
    def subnets(self) -> list[str]:
        """Every subnet once, in canonical form."""
        return list(dict.fromkeys(one.subnet for group in self.range_sets for one in group))

    def has_family(self, *, is_v6: bool) -> bool:
        """Will a container get an address of this family?"""
        return any(group[0].is_v6 == is_v6 for group in self.range_sets)


def read(text: str) -> BridgeConfig:
    """Read a conflist's JSON text.

    Raises:
        UnsupportedError, InvalidArgumentError: as ``BridgeConfig``.
    """
    import json

    try:
        return BridgeConfig(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgumentError(f"malformed network configuration: {error}") from error


def _range_sets(ipam: Mapping[str, Any]) -> list[list[Range]]:
    from pyctl_plugins.network._addresses import Range

    groups = ipam.get("ranges") or ([[ipam]] if "subnet" in ipam else [])
    sets = [
        [
            Range(one["subnet"], start=one.get("rangeStart", ""), end=one.get("rangeEnd", ""), gateway=one.get("gateway", ""))
            for one in group
        ]
        for group in groups
        if group
    ]
    if not sets:
        raise ValueError("no address range")
    return sets
