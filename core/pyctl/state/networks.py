"""Networks by name or ID: what is on disk, the default one made on first use, and those that need no file."""

from __future__ import annotations

import os

from pyctl.state.conflists import Network, from_config, lock_for_change, read_all, save
from pyctl_hookspecs import ConflictError, InvalidArgumentError, NotFoundError, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

DEFAULT_NAME = "bridge"
PSEUDO_NAMES = ("host", "none")
DEFAULT_LABEL = "nerdctl/default-network"
_DEFAULT_FILE = "nerdctl-bridge.conflist"
_DEFAULT_BRIDGE_IP = "10.4.0.1/24"


def network_id(name: str) -> str:
    """The ID of a network follows from its name: SHA-256, 64 hex digits."""
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()


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
        InvalidArgumentError: its file is broken.
        UnsupportedError: its file is of a CNI version nobody here knows.
    """
    if reference in (DEFAULT_NAME, "default"):
        network = ensure_default(netconf_path, namespace, bridge_ip=bridge_ip)
    else:
        network = find(netconf_path, namespace, reference)
    if network.version_problem:
        raise UnsupportedError(network.version_problem)
    return carried_by(network, engine)


def carried_by(network: Network, engine: str) -> Network:
    """The network with the driver that the setting ``[network] engine`` wants: ``auto`` or ``cni``."""
    return network.replace(driver="cni") if engine == "cni" and network.driver == "bridge" else network


def ensure_default(netconf_path: str, namespace: str, *, bridge_ip: str = "") -> Network:
    """The default network, made under nerdctl's lock when there is none; an administrator's own one counts.

    ``bridge_ip`` (``192.168.7.1/24``) matters only when it is made.

    Raises:
        InvalidArgumentError: ``bridge_ip`` is not an address with a prefix, or the default network's file is broken.
    """
    found = _default(read_all(netconf_path, namespace))
    if found is not None:
        return _usable(found)
    config = default_config(bridge_ip or _DEFAULT_BRIDGE_IP)
    with lock_for_change(netconf_path):
        found = _default(read_all(netconf_path, namespace))
        if found is not None:
            return _usable(found)  # somebody else was faster
        path = os.path.join(netconf_path, _DEFAULT_FILE)
        save(config, path)
        return from_config(config, path)


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
    return from_config(default_config(bridge_ip or _DEFAULT_BRIDGE_IP), "")


def has_default(networks: Sequence[Network]) -> bool:
    """Is a default network among these?"""
    return _default(networks) is not None


def pick(networks: Sequence[Network], reference: str) -> Network:
    """The network of that name, full ID or ID prefix.

    Raises:
        NotFoundError: in Docker's words.
        ConflictError: the prefix fits several.
        InvalidArgumentError: its file is broken.
    """
    if reference in (DEFAULT_NAME, "default"):
        found = _default(networks)
        if found is not None:
            return _usable(found)
    for network in networks:
        if reference == network.name:
            return _usable(network)
    if reference in PSEUDO_NAMES:
        return pseudo(reference)
    matching = [n for n in networks if reference and n.network_id.startswith(reference)]
    if len(matching) > 1:
        raise ConflictError(f"network {reference} is ambiguous ({len(matching)} matches found based on ID prefix)")
    if not matching:
        raise NotFoundError("network", reference, message=f"network {reference} not found")
    return matching[0]


def _usable(network: Network) -> Network:
    if network.problem:
        raise InvalidArgumentError(network.problem)
    return network


def _default(networks: Sequence[Network]) -> Network | None:
    for network in networks:
        if dict(network.labels).get(DEFAULT_LABEL):
            return network
    for network in networks:
        if network.name == DEFAULT_NAME:
            return network
    return None
