"""Networks are CNI conflists on disk, shared with nerdctl: found by name or ID, the default one made on first use."""

from __future__ import annotations

import os

from pyctl.state.locks import Lock, is_temporary, write_atomic
from pyctl_hookspecs import ConflictError, InvalidArgumentError, NotFoundError, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

DEFAULT_NAME = "bridge"
PSEUDO_NAMES = ("host", "none")
DEFAULT_LABEL = "nerdctl/default-network"
_DEFAULT_FILE = "nerdctl-bridge.conflist"
_DEFAULT_BRIDGE_IP = "10.4.0.1/24"
_SUFFIXES = (".conf", ".conflist", ".json")
_IN_PROCESS = {"bridge", "portmap", "firewall", "tuning"}


class Subnet(Record):
    """One address range of a network, as texts; ``ip_range`` is empty when the whole subnet serves."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""


class Network(Record):
    """One network. ``network_id`` is empty when neither we nor nerdctl made it; ``conflist`` is its JSON text.

    ``driver`` is who connects containers (``bridge``, ``cni``, ``none``, ``host``), ``kind`` what Docker calls it.
    """

    name: str
    network_id: str = ""
    driver: str
    kind: str
    path: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    subnets: tuple[Subnet, ...] = ()
    internal: bool = False
    conflist: str = ""


def network_id(name: str) -> str:
    """The ID of a network follows from its name: SHA-256, 64 hex digits."""
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()


def read_all(netconf_path: str, namespace: str) -> tuple[Network, ...]:
    """Every network this namespace sees, sorted by file name, foreign ones included.

    Raises:
        InvalidArgumentError: a file is no CNI configuration; it is named.
    """
    if not os.path.isdir(netconf_path):
        return ()
    with _lock(netconf_path, shared=True):
        return _read(netconf_path, namespace)


def find(netconf_path: str, namespace: str, reference: str) -> Network:
    """The network of that name, full ID or ID prefix; ``host`` and ``none`` are answered too.

    Raises:
        NotFoundError: in Docker's words. The default network is found only once it exists: see ``resolve``.
    """
    return pick(read_all(netconf_path, namespace), reference)


def resolve(netconf_path: str, namespace: str, reference: str, *, bridge_ip: str = "", engine: str = "auto") -> Network:
    """``find`` for a container that is about to be connected: the default network is made if it does not exist yet.

    With ``engine`` ``cni`` the well-known chain is carried out by the real binaries too.

    Raises:
        NotFoundError: in Docker's words.
    """
    if reference in (DEFAULT_NAME, "default"):
        network = ensure_default(netconf_path, namespace, bridge_ip=bridge_ip)
    else:
        network = find(netconf_path, namespace, reference)
    if engine == "cni" and network.driver == "bridge":
        return network.replace(driver="cni")
    return network


def ensure_default(netconf_path: str, namespace: str, *, bridge_ip: str = "") -> Network:
    """The default network, made under nerdctl's lock when there is none; an administrator's own one counts.

    ``bridge_ip`` (``192.168.7.1/24``) matters only when it is made.

    Raises:
        InvalidArgumentError: ``bridge_ip`` is not an address with a prefix.
    """
    if os.path.isdir(netconf_path):
        found = _default(read_all(netconf_path, namespace))
        if found is not None:
            return found
    config = default_config(bridge_ip or _DEFAULT_BRIDGE_IP)
    os.makedirs(netconf_path, mode=0o755, exist_ok=True)
    with _lock(netconf_path):
        found = _default(_read(netconf_path, namespace))
        if found is not None:
            return found  # somebody else was faster
        import json

        path = os.path.join(netconf_path, _DEFAULT_FILE)
        write_atomic(path, json.dumps(config, indent=2), mode=0o644)
        return _network(config, path)


def default_config(bridge_ip: str) -> dict[str, Any]:
    """nerdctl's default network as a conflist, with the gateway and subnet of ``bridge_ip``.

    Raises:
        InvalidArgumentError: not an address with a prefix.
    """
    from ipaddress import ip_interface

    try:
        gateway = ip_interface(bridge_ip)
        if "/" not in bridge_ip:
            raise ValueError("no prefix length")
    except ValueError as error:
        raise InvalidArgumentError(f"invalid bridge IP {bridge_ip}: {error}") from error
    any_route = "::/0" if gateway.version == 6 else "0.0.0.0/0"
    ranges = [[{"subnet": str(gateway.network), "gateway": str(gateway.ip)}]]
    bridge = {
        "type": "bridge",
        "bridge": "nerdctl0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "routes": [{"dst": any_route}], "ranges": ranges},
    }
    return {
        "cniVersion": "1.0.0",
        "name": DEFAULT_NAME,
        "nerdctlID": network_id(DEFAULT_NAME),
        "nerdctlLabels": {DEFAULT_LABEL: "true"},
        "plugins": [
            bridge,
            {"type": "portmap", "capabilities": {"portMappings": True}},
            {"type": "firewall", "ingressPolicy": "same-bridge"},
            {"type": "tuning"},
        ],
    }


def pseudo(name: str) -> Network:
    """``host`` and ``none`` as records, for lists and ``inspect``."""
    driver = "null" if name == "none" else name
    return Network(name=name, network_id=network_id(name), driver=name, kind=driver)


def unmade_default(bridge_ip: str = "") -> Network:
    """The default network as it would be made, for lists and ``inspect`` before anybody has used it."""
    return _network(default_config(bridge_ip or _DEFAULT_BRIDGE_IP), "")


def has_default(networks: Sequence[Network]) -> bool:
    """Is a default network among these?"""
    return _default(networks) is not None


def pick(networks: Sequence[Network], reference: str) -> Network:
    """The network of that name, full ID or ID prefix.

    Raises:
        NotFoundError: in Docker's words.
        ConflictError: the prefix fits several.
    """
    if reference in (DEFAULT_NAME, "default"):
        found = _default(networks)
        if found is not None:
            return found
    for network in networks:
        if reference == network.name:
            return network
    if reference in PSEUDO_NAMES:
        return pseudo(reference)
    matching = [n for n in networks if reference and n.network_id.startswith(reference)]
    if len(matching) > 1:
        raise ConflictError(f"network {reference} is ambiguous ({len(matching)} matches found based on ID prefix)")
    if not matching:
        raise NotFoundError("network", reference, message=f"network {reference} not found")
    return matching[0]


def _default(networks: Sequence[Network]) -> Network | None:
    for network in networks:
        if dict(network.labels).get(DEFAULT_LABEL):
            return network
    for network in networks:
        if network.name == DEFAULT_NAME:
            return network
    return None


def _lock(netconf_path: str, *, shared: bool = False) -> Lock:
    try:
        return Lock(os.path.join(netconf_path, ".nerdctl.lock"), shared=shared)
    except PermissionError:
        if not shared:
            raise
        return Lock(netconf_path, shared=True)  # reading as somebody who may not create the lock file


def _read(netconf_path: str, namespace: str) -> tuple[Network, ...]:
    import json

    networks = []
    for directory in (netconf_path, os.path.join(netconf_path, namespace)):
        try:
            names = sorted(os.listdir(directory))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            path = os.path.join(directory, name)
            if not name.endswith(_SUFFIXES) or is_temporary(name) or os.path.isdir(path):
                continue
            try:
                with open(path, "rb") as file:
                    config = json.loads(file.read())
                if not isinstance(config, dict) or not isinstance(config["name"], str):
                    raise ValueError("no object with a name")
                networks.append(_network(_gathered(config, directory), path))
            except FileNotFoundError:
                continue  # removed by somebody who takes no lock
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InvalidArgumentError(f"{path} is not a CNI network configuration: {error}") from error
    return tuple(networks)


def _gathered(config: dict[str, Any], directory: str) -> dict[str, Any]:
    """A list together with what the folder of its network's name adds to it, as the CNI specification has it."""
    if "type" in config or str(config.get("loadOnlyInlinedPlugins", False)).lower() == "true" or "/" in config["name"]:
        return config
    folder = os.path.join(directory, config["name"])
    if not os.path.isdir(folder):
        return config
    import json

    added = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".conf") and not is_temporary(name):
            with open(os.path.join(folder, name), "rb") as file:
                added.append(json.loads(file.read()))
    return {**config, "plugins": [*config.get("plugins", ()), *added]} if added else config


def _network(config: Mapping[str, Any], path: str) -> Network:
    import json

    if "plugins" not in config:  # a single .conf is a list of one
        config = {"cniVersion": config.get("cniVersion", "1.0.0"), "name": config["name"], "plugins": [config]}
    plugins = config["plugins"]
    kinds = [plugin["type"] for plugin in plugins]
    main = plugins[0] if plugins else {}
    ipam = main.get("ipam") or {}
    driver = "cni"
    if kinds[:1] == ["bridge"] and set(kinds) <= _IN_PROCESS and ipam.get("type") == "host-local" and not main.get("vlan"):
        driver = "bridge"
    ranges = [one for group in ipam.get("ranges") or () for one in group]
    if not ranges and "subnet" in ipam:
        ranges = [ipam]
    return Network(
        name=config["name"],
        network_id=config.get("nerdctlID") or "",
        driver=driver,
        kind=kinds[0] if kinds else "",
        path=path,
        labels=tuple(sorted((config.get("nerdctlLabels") or {}).items())),
        subnets=tuple(
            Subnet(subnet=one["subnet"], gateway=one.get("gateway", ""), ip_range=one.get("ipRange", "")) for one in ranges
        ),
        internal=driver == "bridge" and not main.get("isGateway"),
        conflist=json.dumps(config, separators=(",", ":")),
    )
