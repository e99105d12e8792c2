"""Results of CNI plug-ins: from any version to 1.0, and what a container needs to know of one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_INTERFACE_KEYS = ("name", "mac", "sandbox")
_IP_KEYS = ("interface", "address", "gateway")
_ROUTE_KEYS = ("dst", "gw")


def as_1_0(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result of any version in the shape of version 1.0; what 1.0 has no word for is left out."""
    ips, routes = list(result.get("ips") or ()), list(result.get("routes") or ())
    for old in (result.get("ip4"), result.get("ip6")):  # 0.1 and 0.2
        if old:
            ips.append({"address": old["ip"], "gateway": old.get("gateway")})
            routes += old.get("routes") or ()
    return {
        "cniVersion": "1.0.0",
        "interfaces": [_only(one, _INTERFACE_KEYS) for one in result.get("interfaces") or ()],
        "ips": [_only(one, _IP_KEYS) for one in ips],
        "routes": [_only(one, _ROUTE_KEYS) for one in routes],
        "dns": {key: value for key, value in (result.get("dns") or {}).items() if value},
    }


def from_1_0(text: str, version: str) -> dict[str, Any]:
    """A 1.0 result (JSON text) for plug-ins that speak another version, 0.3 or later."""
    import json

    result: dict[str, Any] = json.loads(text)
    result["cniVersion"] = version
    if version.startswith("0."):
        for one in result.get("ips") or ():
            one["version"] = "6" if ":" in one["address"] else "4"
    return result


class Facts:
    """What a 1.0 result says of one interface inside the container: CIDR addresses, gateways, hardware address."""

    __slots__ = ("addresses", "gateway", "gateway6", "mac_address")

    def __init__(self, result: Mapping[str, Any], interface: str) -> None:
        interfaces = result["interfaces"]
        ours = [at for at, one in enumerate(interfaces) if one.get("sandbox") and one.get("name") == interface]
        ips = [one for one in result["ips"] if one.get("interface") is None or one["interface"] in ours]
        self.addresses = tuple(str(one["address"]) for one in ips)
        gateways = [str(one["gateway"]) for one in ips if one.get("gateway")]
        self.gateway = min(gateways, key=lambda one: ":" in one, default="")
        self.gateway6 = next((one for one in gateways if ":" in one), "")
        self.mac_address: str = next((str(interfaces[at]["mac"]) for at in ours if interfaces[at].get("mac")), "")


def _only(one: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: one[key] for key in keys if one.get(key) not in (None, "")}
