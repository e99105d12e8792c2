"""The chain of a new bridge network in nerdctl's format, so that both tools and the CNI binaries can carry it out."""

from __future__ import annotations

from pyctl_hookspecs import ConflictError, InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl_hookspecs import NetworkDefinition, NetworkSubnet

_SAME = {
    "com.docker.network.driver.mtu": "mtu",
    "com.docker.network.bridge.enable_ip_masquerade": "ip-masq",
    "com.docker.network.bridge.enable_icc": "icc",
    "com.docker.network.bridge.name": "name",
}
_OPTIONS = ("mtu", "ip-masq", "icc", *_SAME)
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")
_MAX_MTU = 65535
_DHCP_SOCKET = "/run/cni/dhcp.sock"
_DHCP_HOST_NAME = {"option": "host-name", "value": "", "fromArg": "NERDCTL_CNI_DHCP_HOSTNAME"}


def bridge_chain(definition: NetworkDefinition) -> list[dict[str, Any]]:
    """bridge, portmap, firewall, tuning; an internal network publishes no ports and leads nowhere.

    Raises:
        InvalidArgumentError: an option nobody knows, or its value.
        ConflictError: the interface that was named exists.
    """
    options: dict[str, str] = {}
    for key, value in definition.options:
        if key not in _OPTIONS:
            raise InvalidArgumentError(f'unsupported "bridge" network option "{key}"')
        options[_SAME.get(key, key)] = value
    leads_out = not definition.is_internal
    bridge: dict[str, Any] = {"type": "bridge", "bridge": _bridge_name(definition, options)}
    if leads_out:
        bridge["isGateway"] = True
        if _switch("ip-masq", options, default=True):
            bridge["ipMasq"] = True
    if "mtu" in options:
        bridge["mtu"] = mtu(options["mtu"])
    bridge["hairpinMode"] = True
    bridge["ipam"] = ipam(definition)
    if any(":" in one.subnet for one in definition.subnets):
        bridge["capabilities"] = {"ips": True}
    policy = "same-bridge" if _switch("icc", options, default=True) else "isolated"
    chain = [bridge, {"type": "firewall", "ingressPolicy": policy}, {"type": "tuning"}]
    if leads_out:
        chain.insert(1, {"type": "portmap", "capabilities": {"portMappings": True}})
    return chain


def ipam(definition: NetworkDefinition) -> dict[str, Any]:
    """The ``ipam`` part: host-local's ranges and routes, or DHCP's options.

    Raises:
        InvalidArgumentError: an option nobody knows.
    """
    if definition.ipam_driver == "dhcp":
        return _dhcp(definition)
    for key, _ in definition.ipam_options:
        raise InvalidArgumentError(f'unsupported "{definition.ipam_driver}" IPAM option "{key}"')
    found: dict[str, Any] = {"type": "host-local"}
    if not definition.is_internal:
        families = {":" in one.subnet for one in definition.subnets}
        found["routes"] = [{"dst": "::/0" if is_v6 else "0.0.0.0/0"} for is_v6 in sorted(families)]
    found["ranges"] = [_range_set(one) for one in definition.subnets]
    return found


def mtu(text: str) -> int:
    """
    Raises:
        InvalidArgumentError: no MTU an interface can have.
    """
    if not text.isdecimal() or not 0 <= int(text) <= _MAX_MTU:
        raise InvalidArgumentError(f"invalid MTU {text}: must be a number from 0 to {_MAX_MTU}")
    return int(text)


def _bridge_name(definition: NetworkDefinition, options: dict[str, str]) -> str:
    wanted = options.get("name", "")
    if wanted:
        import os

        if len(wanted) > 15 or wanted in (".", "..") or any(c in "/:" or c.isspace() for c in wanted):
            raise InvalidArgumentError(f"invalid interface name {wanted}: at most 15 characters without blanks, / and :")
        if os.path.exists(f"/sys/class/net/{wanted}"):
            raise ConflictError(f"interface {wanted} exists; a network's bridge is made and removed with it")
        return wanted
    if definition.namespace == "default":
        return f"br-{definition.network_id[:12]}"
    from hashlib import sha256  # the ID follows from the name alone, and another containerd namespace may use it too

    return f"br-{sha256(f'{definition.namespace}/{definition.name}'.encode()).hexdigest()[:12]}"


def _switch(option: str, options: dict[str, str], *, default: bool) -> bool:
    text = options.get(option, "").lower()
    if option not in options:
        return default
    if text not in _TRUE + _FALSE:
        raise InvalidArgumentError(f'invalid value "{options[option]}" of network option {option}: must be true or false')
    return text in _TRUE


def _range_set(one: NetworkSubnet) -> list[dict[str, Any]]:
    """One range, or several around the reserved addresses; each repeats gateway and subnet."""
    from ipaddress import ip_address, ip_network

    from pyctl_plugins.network._addresses import Range

    if one.ip_range:
        ip_range = ip_network(one.ip_range)
        start = ip_range.network_address + (ip_range.num_addresses > 2)
        whole = Range(one.subnet, gateway=one.gateway)
        limits = Range(one.subnet, start=str(start), end=str(ip_range.broadcast_address), gateway=one.gateway)
        limits.last = min(limits.last, whole.last)
    else:
        limits = Range(one.subnet, gateway=one.gateway)
    reserved = sorted(int(ip_address(address)) for _, address in one.aux_addresses)
    pieces, first = [], limits.first
    for number in reserved:
        if limits.first <= number <= limits.last:
            pieces.append((first, number - 1))
            first = number + 1
    pieces.append((first, limits.last))
    found = []
    for first, last_number in pieces:
        if first > last_number or first == last_number == limits.gateway:
            continue
        entry: dict[str, Any] = {"subnet": one.subnet}
        if one.ip_range or reserved:
            entry |= {"rangeStart": limits.text(first), "rangeEnd": limits.text(last_number)}
        entry["gateway"] = one.gateway
        if one.ip_range:
            entry["ipRange"] = one.ip_range
        found.append(entry)
    if not found:
        raise InvalidArgumentError(f"subnet {one.subnet} has no room for containers: every address is reserved")
    return found


def _dhcp(definition: NetworkDefinition) -> dict[str, Any]:
    """Each option is JSON: ``type`` (provide or request), ``value``, ``fromArg``, ``skipDefault``."""
    import json
    import os

    provide, request = [_DHCP_HOST_NAME], []
    for key, value in definition.ipam_options:
        try:
            fields = json.loads(value)
            kind = fields["type"]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidArgumentError(f'invalid IPAM option {key}: must be like {{"type": "provide", "value": "x"}}') from error
        if kind == "provide":
            provide.append({"option": key, "value": fields.get("value", ""), "fromArg": fields.get("fromArg", "")})
        elif kind == "request":
            request.append({"skipDefault": bool(fields.get("skipDefault")), "option": key})
        else:
            raise InvalidArgumentError(f'invalid IPAM option {key}: type must be "provide" or "request"')
    if not os.path.exists(_DHCP_SOCKET):
        # The plug-in would say so too, but then refuse to disconnect as well.
        raise ConflictError(f"the DHCP plug-in's daemon does not run: no {_DHCP_SOCKET}", hint="start it with: dhcp daemon")
    found: dict[str, Any] = {"type": "dhcp", "daemonSocketPath": _DHCP_SOCKET, "provide": provide}
    if request:
        found["request"] = request
    return found
