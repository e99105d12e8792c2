"""``network ls`` and ``network inspect``: networks on disk as Docker shows them, with the containers connected now."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from pyctl.ops.session import Session
    from pyctl.state.conflists import Network

_FILTERS = ("driver", "id", "label", "name", "scope", "type", "dangling")
_BUILTIN = ("bridge", "host", "none")


class NetworkRow(Record):
    """One line of ``network ls``. ``created`` is RFC 3339, empty for pseudo networks; ``network_id`` may be empty."""

    network_id: str
    name: str
    driver: str
    scope: str = "local"
    is_ipv6: bool = False
    is_internal: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    created: str = ""
    path: str = ""


def ls(session: Session, filters: Sequence[tuple[str, str]] = ()) -> tuple[NetworkRow, ...]:
    """Every network of the namespace by name, ``host`` and ``none`` and a default one not yet made included.

    ``filters`` are pairs as typed after ``--filter``: values of one key are alternatives, keys must all match.

    Raises:
        InvalidArgumentError: an unknown filter, in Docker's words.
    """
    for key, value in filters:
        if key not in _FILTERS:
            raise InvalidArgumentError(f"invalid filter '{key}'")
        if key == "type" and value not in ("builtin", "custom"):
            raise InvalidArgumentError(f"invalid filter 'type={value}'")
    used = _used(session) if any(key == "dangling" for key, _ in filters) else set()
    rows = sorted((_row(network) for network in _everything(session)), key=lambda row: row.name)
    return tuple(row for row in rows if _matches(row, filters, used))


def inspect(session: Session, reference: str) -> dict[str, Any]:
    """One network in the shape of Docker's ``network inspect``; plain data, ready for JSON.

    Raises:
        NotFoundError: in Docker's words.
    """
    network = _find(session, reference)
    row = _row(network)
    configs = [
        {"Subnet": one.subnet}
        | ({"IPRange": one.ip_range} if one.ip_range else {})
        | ({"Gateway": one.gateway} if one.gateway else {})
        for one in network.subnets
    ]
    return {
        "Name": network.name,
        "Id": network.network_id,
        "Created": row.created or "0001-01-01T00:00:00Z",
        "Scope": row.scope,
        "Driver": row.driver,
        "EnableIPv4": True,
        "EnableIPv6": row.is_ipv6,
        "IPAM": {"Driver": "default", "Options": {}, "Config": configs},
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": _containers(session, network.name),
        "Options": _options(network),
        "Labels": dict(network.labels),
    }


def inspect_native(session: Session, reference: str) -> dict[str, Any]:
    """``network inspect --mode native``: the CNI configuration and where it is.

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
        "Containers": _containers(session, network.name),
    }


def names(session: Session) -> tuple[str, ...]:
    """Names for completion."""
    return tuple(sorted(network.name for network in _everything(session)))


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
        is_ipv6=any(":" in one.subnet for one in network.subnets),
        is_internal=network.internal,
        labels=network.labels,
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
    if key == "name":
        return value in row.name
    if key == "id":
        return bool(value) and row.network_id.startswith(value)
    if key == "driver":
        return value == row.driver
    if key == "scope":
        return value == row.scope
    if key == "type":
        return (row.name in _BUILTIN) == (value == "builtin")
    if key == "dangling":
        is_dangling = row.name not in used and row.name not in _BUILTIN
        return is_dangling == (value.lower() in ("1", "true"))
    label, equals, text = value.partition("=")
    return any(name == label and (not equals or text == have) for name, have in row.labels)


def _used(session: Session) -> set[str]:
    return {name for meta in _metas(session).values() for name in meta.get("Networks") or {}}


def _metas(session: Session) -> dict[str, dict[str, Any]]:
    from pyctl.state.hosts import HostsStore

    return HostsStore(session.paths.data_store, session.namespace).metas()


def _containers(session: Session, network_name: str) -> dict[str, dict[str, str]]:
    """Who is connected now: a container leaves the store of hosts files when it exits."""
    from hashlib import sha256

    found = {}
    for container_id, meta in _metas(session).items():
        result = (meta.get("Networks") or {}).get(network_name)
        if not result:
            continue
        ips = [ip["address"] for ip in result.get("ips") or ()]
        inside = [link for link in result.get("interfaces") or () if link.get("sandbox")]
        found[container_id] = {
            "Name": meta.get("Name") or "",
            "EndpointID": sha256(f"{network_name}/{container_id}".encode()).hexdigest(),
            "MacAddress": inside[0].get("mac", "") if inside else "",
            "IPv4Address": _first(ips, is_v6=False),
            "IPv6Address": _first(ips, is_v6=True),
        }
    return found


def _first(addresses: Iterable[str], *, is_v6: bool) -> str:
    return next((address for address in addresses if (":" in address) == is_v6), "")


def _options(network: Network) -> dict[str, str]:
    import json

    if network.driver != "bridge":
        return {}
    main = json.loads(network.conflist)["plugins"][0]
    options = {
        "com.docker.network.bridge.name": main.get("bridge", ""),
        "com.docker.network.bridge.enable_ip_masquerade": "true" if main.get("ipMasq") else "false",
    }
    if main.get("mtu"):
        options["com.docker.network.driver.mtu"] = str(main["mtu"])
    return options
