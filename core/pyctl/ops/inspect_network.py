"""``NetworkSettings`` of ``inspect``: what the network drivers did, in Docker's shape."""

from __future__ import annotations

from pyctl.spec.endpoints import INTERFACE_OPTION, Endpoint, from_labels, is_user_defined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pyctl.ops.inspect_facts import ContainerFacts
    from pyctl.ops.session import Session

_DEFAULT = "bridge"
_NO_ADDRESS: dict[str, Any] = {
    "EndpointID": "",
    "Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "MacAddress": "",
}


def network_settings(session: Session, facts: ContainerFacts) -> dict[str, Any]:
    """The whole object. The addresses on top are those on the default network, as in Docker."""
    import os

    container_id = facts.container.container_id
    names = [] if _joined(facts) else list(_names(facts))
    ids = _network_ids(session, names)
    networks = {name: _endpoint(facts, name, ids.get(name, "")) for name in names}
    on_top = _default_endpoint(networks)
    netns = session.paths.netns(container_id)
    has_sandbox = bool(facts.state.pid) and not _joined(facts)
    return {
        "Bridge": "",
        "SandboxID": _digest(netns) if has_sandbox else "",
        "SandboxKey": netns if has_sandbox and os.path.exists(netns) else "",
        "Ports": port_map(facts) if facts.state.pid else {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{key: on_top.get(key, nothing) for key, nothing in _NO_ADDRESS.items()},
        "Networks": networks,
    }


def port_map(facts: ContainerFacts) -> dict[str, list[dict[str, str]] | None]:
    """``80/tcp`` to where it is published; None for what is only exposed."""
    from pyctl.ops.listing import exposed_ports

    found: dict[str, list[dict[str, str]] | None] = {}
    for port in facts.ports:
        key = f"{port.container_port}/{port.protocol}"
        found[key] = [*(found.get(key) or ()), {"HostIp": port.host_ip or "0.0.0.0", "HostPort": str(port.host_port)}]
    for key in exposed_ports(facts.labels):
        found.setdefault(key, None)
    return found


def endpoint_id(network: str, container_id: str) -> str:
    """The same as ``network inspect`` shows."""
    return _digest(f"{network}/{container_id}")


def _digest(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode()).hexdigest()


def _names(facts: ContainerFacts) -> tuple[str, ...]:
    """Names of its networks; an attachment's name is the network's own, the label has what was typed."""
    from pyctl.ops.listing import network_names

    typed = network_names(facts.labels)
    return tuple(facts.attachments) if len(facts.attachments) == len(typed) else typed


def _joined(facts: ContainerFacts) -> bool:
    from pyctl.ops.listing import network_names

    return any(name.startswith(("container:", "ns:")) for name in network_names(facts.labels))


def _network_ids(session: Session, names: Sequence[str]) -> dict[str, str]:
    from pyctl.state import networks
    from pyctl.state.conflists import read_all
    from pyctl_hookspecs.errors import PyctlError

    if not names:
        return {}
    every = read_all(session.settings.cni_netconfpath, session.namespace)
    found = {}
    for name in names:
        try:
            found[name] = networks.pick(every, name).network_id
        except PyctlError:
            continue  # removed since, or its file is broken
    return found


def _asked(facts: ContainerFacts, name: str) -> Endpoint:
    """What the user asked of this network; the label may have the default one under another name."""
    found = from_labels(facts.labels)
    if len(found) == 1:
        return found[0]
    return next((endpoint for endpoint in found if endpoint.network == name), Endpoint(network=name))


def _endpoint(facts: ContainerFacts, name: str, network_id: str) -> dict[str, Any]:
    attachment = facts.attachments.get(name) or {}
    container_id = facts.container.container_id
    asked = _asked(facts, name)
    addresses = {"IPv4Address": asked.ip, "IPv6Address": asked.ip6}
    host_names = None
    if is_user_defined(name):
        words = (
            facts.labels.get("nerdctl/name", ""),
            *asked.aliases,
            container_id[:12],
            facts.labels.get("nerdctl/hostname", ""),
        )
        host_names = list(dict.fromkeys(filter(None, words)))
    return {
        "IPAMConfig": {key: value for key, value in addresses.items() if value} or None,
        "Links": None,
        "Aliases": list(asked.aliases) or None,
        "MacAddress": attachment.get("mac_address") or "",
        "NetworkID": network_id,
        "EndpointID": endpoint_id(name, container_id) if facts.state.pid else "",
        **_addresses(attachment),
        "DriverOpts": {INTERFACE_OPTION: asked.interface} if asked.interface else None,
        "DNSNames": host_names,
        **({"GwPriority": asked.gateway_priority} if asked.gateway_priority else {}),
    }


def _addresses(attachment: Mapping[str, Any]) -> dict[str, Any]:
    """Address, prefix length and gateway, of IPv4 and IPv6; Docker knows one of each per network."""
    gateway = attachment.get("gateway") or ""
    found: dict[str, Any] = {
        "Gateway": gateway if ":" not in gateway else "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": attachment.get("gateway6") or (gateway if ":" in gateway else ""),
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
    }
    for text in attachment.get("addresses") or ():
        address, _, length = text.partition("/")
        keys = ("GlobalIPv6Address", "GlobalIPv6PrefixLen") if ":" in address else ("IPAddress", "IPPrefixLen")
        if not found[keys[0]]:
            found[keys[0]], found[keys[1]] = address, int(length or 0)
    return found


def _default_endpoint(networks: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return networks.get(_DEFAULT) or {}
