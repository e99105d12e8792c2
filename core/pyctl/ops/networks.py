"""``network ls`` and ``network inspect``: networks on disk as Docker shows them, with the containers connected now."""

from __future__ import annotations

from pyctl.state.conflists import ATTACHABLE_LABEL, AUX_LABEL, DRIVER_LABEL
from pyctl_hookspecs import InvalidArgumentError, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from pyctl.ops.session import Session
    from pyctl.state.conflists import Network

_OWN_LABELS = (ATTACHABLE_LABEL, AUX_LABEL, DRIVER_LABEL)
_FILTERS = ("driver", "id", "label", "name", "scope", "type", "dangling")
_BUILTIN = ("bridge", "host", "none")
ACTIVE = ("running", "paused", "pausing")
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


class NetworkRow(Record):
    """One line of ``network ls``. ``created`` is RFC 3339, empty for pseudo networks; ``network_id`` may be empty."""

    network_id: str
    name: str
    driver: str
    scope: str = "local"
    is_ipv4: bool = True
    is_ipv6: bool = False
    is_internal: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    created: str = ""
    path: str = ""


def ls(session: Session, filters: Sequence[tuple[str, str]] = ()) -> tuple[NetworkRow, ...]:
    """Every network of the namespace by name, ``host`` and ``none`` and a default one not yet made included.

    ``filters`` are pairs as typed after ``--filter``: values of one key are alternatives, keys must all match. Files that
    are no networks are left out: see ``problems``.

    Raises:
        InvalidArgumentError: an unknown filter, in Docker's words.
    """
    for key, value in filters:
        if key not in _FILTERS:
            raise InvalidArgumentError(f"invalid filter '{key}'")
        if key == "type" and value not in ("builtin", "custom"):
            raise InvalidArgumentError(f"invalid filter 'type={value}'")
        if key == "dangling" and value.lower() not in _TRUE + _FALSE:
            raise InvalidArgumentError(f"invalid filter 'dangling=[{value}]'")
    used = _used(session) if any(key == "dangling" for key, _ in filters) else set()
    rows = sorted((_row(network) for network in _everything(session) if not network.problem), key=lambda row: row.name)
    return tuple(row for row in rows if _matches(row, filters, used))


def problems(session: Session) -> tuple[str, ...]:
    """One line for every file that should be a network and is none."""
    return tuple(network.problem for network in _everything(session) if network.problem)


def inspect(session: Session, reference: str) -> dict[str, Any]:
    """One network in the shape of Docker's ``network inspect``; plain data, ready for JSON.

    Raises:
        NotFoundError: in Docker's words.
    """
    network = _find(session, reference)
    row = _row(network)
    reserved = _reserved(network)
    configs = [
        {"Subnet": one.subnet}
        | ({"IPRange": one.ip_range} if one.ip_range else {})
        | ({"Gateway": one.gateway} if one.gateway else {})
        | ({"AuxiliaryAddresses": reserved[one.subnet]} if reserved.get(one.subnet) else {})
        for one in network.subnets
    ]
    return {
        "Name": network.name,
        "Id": network.network_id,
        "Created": row.created or "0001-01-01T00:00:00Z",
        "Scope": row.scope,
        "Driver": row.driver,
        "EnableIPv4": row.is_ipv4,
        "EnableIPv6": row.is_ipv6,
        "IPAM": {"Driver": _ipam_driver(network), "Options": {}, "Config": configs},
        "Internal": network.internal,
        "Attachable": (ATTACHABLE_LABEL, "true") in network.labels,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": _containers(session, network.name),
        "Options": _options(network),
        "Labels": dict(row.labels),
    }


def inspect_native(session: Session, reference: str) -> dict[str, Any]:
    """``network inspect --mode native``: the CNI configuration, where it is, and who is connected, each as containerd has it.

    Raises:
        NotFoundError: in Docker's words.
    """
    import json

    network = _find(session, reference)
    return {
        "CNI": json.loads(network.conflist) if network.conflist else {"name": network.name, "plugins": []},
        "NerdctlID": network.network_id,
        "NerdctlLabels": dict(network.labels),
        "File": network.path,
        "Containers": _native_containers(session, network.name),
    }


def names(session: Session) -> tuple[str, ...]:
    """Names for completion."""
    return tuple(sorted(network.name for network in _everything(session) if not network.problem))


def _everything(session: Session) -> list[Network]:
    from pyctl.state import networks
    from pyctl.state.conflists import read_all

    found = list(read_all(session.settings.cni_netconfpath, session.namespace))
    if not networks.has_default(found):
        found.append(networks.unmade_default(session.settings.bridge_ip))
    present = {network.name for network in found}
    return found + [networks.pseudo(name) for name in networks.PSEUDO_NAMES if name not in present]


def _find(session: Session, reference: str) -> Network:
    from pyctl.state import networks

    return networks.pick(_everything(session), reference)


def _row(network: Network) -> NetworkRow:
    return NetworkRow(
        network_id=network.network_id,
        name=network.name,
        driver=network.kind,
        is_ipv4=not network.subnets or any(":" not in one.subnet for one in network.subnets),
        is_ipv6=any(":" in one.subnet for one in network.subnets),
        is_internal=network.internal,
        labels=tuple((key, value) for key, value in network.labels if key not in _OWN_LABELS),
        created=_created(network.path),
        path=network.path,
    )


def _created(path: str) -> str:
    import os
    from datetime import UTC, datetime

    try:
        seconds = os.stat(path).st_mtime
    except FileNotFoundError:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "000Z")


def _matches(row: NetworkRow, filters: Sequence[tuple[str, str]], used: set[str]) -> bool:
    wanted: dict[str, list[str]] = {}
    for key, value in filters:
        wanted.setdefault(key, []).append(value)
    return all(
        any(_match(row, key, value, used) for value in values) for key, values in wanted.items() if key != "label"
    ) and all(_match(row, "label", value, used) for value in wanted.get("label", ()))


def _match(row: NetworkRow, key: str, value: str, used: set[str]) -> bool:
    if key in ("name", "id"):
        return _fits(value, row.name if key == "name" else row.network_id)
    if key == "driver":
        return value == row.driver
    if key == "scope":
        return value == row.scope
    if key == "type":
        return (row.name in _BUILTIN) == (value == "builtin")
    if key == "dangling":
        is_dangling = row.name not in used and row.name not in _BUILTIN
        return is_dangling == (value.lower() in _TRUE)
    label, equals, text = value.partition("=")
    return any(name == label and (not equals or text == have) for name, have in row.labels)


def _fits(pattern: str, text: str) -> bool:
    """Part of it, or a regular expression that is found in it."""
    if pattern in text:
        return bool(text)
    import re

    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _used(session: Session) -> set[str]:
    return {name for meta in _connected(session).values() for name in meta.get("Networks") or {}}


def _connected(session: Session) -> dict[str, dict[str, Any]]:
    """Who runs, by container ID, as the store of hosts files has it; a machine that went down leaves entries there."""
    from pyctl.state.hosts import HostsStore

    metas = HostsStore(session.paths.data_store, session.namespace).metas()
    if not metas:
        return {}
    active = {task.container_id for task in session.client.tasks.list() if task.status in ACTIVE}
    return {container_id: meta for container_id, meta in metas.items() if container_id in active}


def _containers(session: Session, network_name: str) -> dict[str, dict[str, str]]:
    from pyctl.ops.inspect_network import endpoint_id

    found = {}
    for container_id, meta in _connected(session).items():
        result = (meta.get("Networks") or {}).get(network_name)
        if not result:
            continue
        ips = [ip["address"] for ip in result.get("ips") or ()]
        inside = [link for link in result.get("interfaces") or () if link.get("sandbox")]
        found[container_id] = {
            "Name": meta.get("Name") or "",
            "EndpointID": endpoint_id(network_name, container_id),
            "MacAddress": inside[0].get("mac", "") if inside else "",
            "IPv4Address": _first(ips, is_v6=False),
            "IPv6Address": _first(ips, is_v6=True),
        }
    return found


def _native_containers(session: Session, network_name: str) -> list[dict[str, Any]]:
    connected = [key for key, meta in _connected(session).items() if network_name in (meta.get("Networks") or {})]
    if not connected:
        return []
    from pyctl.ops.inspect_native import native_container

    found = session.client.containers.list(f"id=={key}" for key in connected)
    return [native_container(session, container) for container in found]


def _first(addresses: Iterable[str], *, is_v6: bool) -> str:
    return next((address for address in addresses if (":" in address) == is_v6), "")


def _plugins(network: Network) -> list[dict[str, Any]]:
    import json

    found: list[dict[str, Any]] = json.loads(network.conflist)["plugins"] if network.conflist else []
    return found


def _main(network: Network) -> dict[str, Any]:
    """The plug-in that makes the interface."""
    return next(iter(_plugins(network)), {})


def _ipam_driver(network: Network) -> str:
    kind = (_main(network).get("ipam") or {}).get("type") or ""
    return "default" if kind in ("", "host-local") else kind


def _reserved(network: Network) -> dict[str, dict[str, str]]:
    """``--aux-address``: by subnet the names and addresses that no container gets."""
    import json

    try:
        found = json.loads(dict(network.labels).get(AUX_LABEL) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _options(network: Network) -> dict[str, str]:
    """Docker's names for what the chain says."""
    main = _main(network)
    options: dict[str, str] = {}
    if network.bridge:
        policy = next((p.get("ingressPolicy") for p in _plugins(network) if p["type"] == "firewall"), "")
        options["com.docker.network.bridge.name"] = network.bridge
        options["com.docker.network.bridge.enable_ip_masquerade"] = "true" if main.get("ipMasq") else "false"
        options["com.docker.network.bridge.enable_icc"] = "false" if policy == "isolated" else "true"
    if main.get("master"):
        options["parent"] = main["master"]
    if network.kind in ("macvlan", "ipvlan") and main.get("mode"):
        options[f"{network.kind}_mode"] = main["mode"]
    if main.get("mtu"):
        options["com.docker.network.driver.mtu"] = str(main["mtu"])
    return options
