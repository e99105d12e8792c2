"""The well-known chain of CNI plug-ins (bridge, portmap, firewall, tuning), read for what we carry out ourselves."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl_plugins.network._addresses import Range

_KNOWN = ("bridge", "portmap", "firewall", "tuning")
# What would change a container's connection in a way we do not carry out; ``cni`` does.
_REFUSED = (
    ("bridge", ("vlan", "vlanTrunk", "promiscMode", "macspoofchk", "disableContainerInterface")),
    ("portmap", ("conditionsV4", "conditionsV6", "masqAll")),
    ("tuning", ("sysctl", "mac", "mtu", "promisc", "allmulti", "txQLen")),
)


class BridgeConfig:
    """What a conflist says. ``range_sets`` give one address each; ``routes`` are (destination, gateway or empty).

    ``is_own``: nerdctl or we made the network, so its bridge goes with it. ``is_internal``: its containers reach each
    other and the host, nobody else. ``is_closed``: nobody from outside reaches what is not published.
    ``is_isolated``: its containers do not reach each other either.
    """

    __slots__ = (
        "bridge",
        "data_dir",
        "hairpin",
        "has_gateway",
        "is_closed",
        "is_internal",
        "is_isolated",
        "is_own",
        "masquerade",
        "mtu",
        "range_sets",
        "routes",
    )

    def __init__(self, config: Mapping[str, Any]) -> None:
        """
        Raises:
            UnsupportedError: another chain, or an option of it that we do not carry out.
            InvalidArgumentError: a subnet or address that is none.
        """
        plugins = {plugin["type"]: plugin for plugin in config["plugins"]}
        main = plugins.get("bridge", {})
        ipam = main.get("ipam") or {}
        _refuse(config.get("name", ""), plugins, ipam)
        policy = plugins.get("firewall", {}).get("ingressPolicy")
        self.bridge: str = main.get("bridge") or "cni0"
        if not 0 < len(self.bridge) < 16 or not all(c.isascii() and (c.isalnum() or c in "-_.@") for c in self.bridge):
            raise ValueError(
                f"{self.bridge} is no name for a bridge"
            )  # nft reads it too, and some characters have a meaning there
        self.mtu = int(main.get("mtu") or 0)
        self.is_own = bool(config.get("nerdctlID"))
        self.routes = [(route["dst"], route.get("gw", "")) for route in ipam.get("routes") or ()]
        is_gateway = bool(main.get("isGateway") or main.get("isDefaultGateway"))
        # As nerdctl writes it. Any other network without a gateway of ours may have one elsewhere, on a shared link.
        self.is_internal = self.is_own and not is_gateway and not self.routes and "portmap" not in plugins
        self.has_gateway = is_gateway or self.is_internal  # Docker's containers reach the host on internal networks too
        self.masquerade = bool(main.get("ipMasq")) and not self.is_internal
        self.hairpin = bool(main.get("hairpinMode"))
        self.is_closed = policy in ("same-bridge", "isolated") or self.is_internal
        self.is_isolated = policy == "isolated" or bool(main.get("portIsolation"))
        self.data_dir: str = ipam.get("dataDir") or ""
        self.range_sets = _range_sets(ipam)
        if main.get("isDefaultGateway"):
            self.routes += [("::/0" if group[0].is_v6 else "0.0.0.0/0", "") for group in self.range_sets]

    @property
    def subnets(self) -> list[str]:
        """Every subnet once, in canonical form."""
        return list(dict.fromkeys(one.subnet for group in self.range_sets for one in group))

    @property
    def gateways(self) -> list[str]:
        """The bridge's own addresses as CIDR texts; none if the gateway is elsewhere."""
        if not self.has_gateway:
            return []
        return list(dict.fromkeys(f"{one.text(one.gateway)}/{one.prefix}" for group in self.range_sets for one in group))

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


def _refuse(name: str, plugins: Mapping[str, Mapping[str, Any]], ipam: Mapping[str, Any]) -> None:
    hint = 'set engine = "cni" in the table [network] of the configuration'
    strangers = [kind for kind in plugins if kind not in _KNOWN]
    if "bridge" not in plugins or strangers or ipam.get("type") != "host-local":
        what = ", ".join(strangers) or ipam.get("type") or "no bridge"
        raise UnsupportedError(f"network {name} cannot be carried out by driver bridge ({what})", hint=hint)
    for kind, options in _REFUSED:
        for option in options:
            if plugins.get(kind, {}).get(option):
                message = f"network {name}: option {option} of the {kind} plug-in is not supported by driver bridge"
                raise UnsupportedError(message, hint=hint)


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
