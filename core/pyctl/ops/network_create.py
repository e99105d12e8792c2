"""``network create``: settle the subnets, have the driver compose the chain, try it once, write the file.

All of it under nerdctl's lock of the directory, so that two commands never choose the same subnet.
"""

from __future__ import annotations

import os

from pyctl.state import conflists, networks
from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pyctl.ops.session import Session
    from pyctl.state.conflists import Network
    from pyctl.state.subnets import Occupied, SubnetWish
    from pyctl_hookspecs.setup_network import NetworkDefinition, NetworkSubnet

_PREDEFINED = ("bridge", "host", "none", "default")
_RESERVED = ("container", "ns")  # `--network container:NAME` would mean something else
_NAME_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NAME_CHARACTERS = _NAME_START | set("_.-")
_MAX_NAME = 200  # it is part of file names
_INTERNAL_PREFIXES = ("nerdctl/", "pyctl/")


class NetworkWish(Record):
    """What ``network create`` was told. ``labels`` and ``options`` are pairs; ``driver`` is a network plug-in."""

    name: str
    driver: str = "bridge"
    subnets: SubnetWish
    is_attachable: bool = False
    is_internal: bool = False
    options: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    ipam_driver: str = "default"
    ipam_options: tuple[tuple[str, str], ...] = ()


def create(session: Session, wish: NetworkWish) -> str:
    """Create a network and return its ID.

    Raises:
        InvalidArgumentError: a name, label, address or option that cannot be.
        ConflictError: the name or a subnet is taken.
        PyctlError, BaseExceptionGroup: the driver could not connect anything; nothing is left behind.
    """
    from pyctl.ops.network_plans import probe
    from pyctl.ops.reconciling import undo_abandoned

    check_name(wish.name)
    _check_labels(wish.labels)
    _check_driver(session, wish.driver)
    undo_abandoned(session)
    netconf_path, namespace = session.settings.cni_netconfpath, session.namespace
    with conflists.lock_for_change(netconf_path):
        if any(network.name == wish.name for network in conflists.read_all(netconf_path, namespace)):
            raise ConflictError(f"network with name {wish.name} already exists")
        everywhere = conflists.read_everywhere(netconf_path)
        definition = _define(session, wish, everywhere)
        path = conflists.conflist_path(netconf_path, namespace, wish.name)
        config = _config(session, wish, definition)
        network = networks.carried_by(conflists.from_config(config, path), session.settings.network_engine)
        _check_bridge(network, everywhere)
        probe(session, network)
        conflists.save(config, path)
    return definition.network_id


def check_name(name: str) -> None:
    """
    Raises:
        InvalidArgumentError: it cannot be the name of a network.
    """
    if name in _PREDEFINED:
        raise InvalidArgumentError(f"operation is not permitted on predefined {name} network")
    if name in _RESERVED or name[:1] not in _NAME_START or not _NAME_CHARACTERS.issuperset(name) or len(name) > _MAX_NAME:
        why = "the name is reserved" if name in _RESERVED else "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        if len(name) > _MAX_NAME:
            why = f"at most {_MAX_NAME} characters are allowed"
        raise InvalidArgumentError(f"invalid network name ({name}), {why}")


def _check_labels(labels: Sequence[tuple[str, str]]) -> None:
    for key, _ in labels:
        if key.startswith(_INTERNAL_PREFIXES):
            raise InvalidArgumentError(f'internal label "{key}" must not be specified manually')


def _check_driver(session: Session, driver: str) -> None:
    """The drivers of the predefined networks have no others, as in Docker."""
    if driver in ("host", "none", "null"):
        raise InvalidArgumentError(f'only one instance of "{"null" if driver == "none" else driver}" network is allowed')
    if not session.hooks.has_hook("network", driver, "compose_network"):
        raise InvalidArgumentError(f"network driver {driver} has no networks to create")


def _define(session: Session, wish: NetworkWish, everywhere: Sequence[Network]) -> NetworkDefinition:
    from pyctl_hookspecs.setup_network import NetworkDefinition

    return NetworkDefinition(
        name=wish.name,
        network_id=networks.network_id(wish.name),
        namespace=session.namespace,
        subnets=_subnets(session, wish, everywhere),
        is_internal=wish.is_internal,
        options=wish.options,
        ipam_driver=wish.ipam_driver,
        ipam_options=wish.ipam_options,
    )


def _subnets(session: Session, wish: NetworkWish, everywhere: Sequence[Network]) -> tuple[NetworkSubnet, ...]:
    from pyctl.state.subnets import settle

    asked = wish.subnets
    if wish.ipam_driver == "dhcp":
        if asked.subnets or asked.gateways or asked.ip_ranges or asked.aux_addresses:
            raise InvalidArgumentError("a subnet, gateway, ip-range or aux-address cannot be given with --ipam-driver dhcp")
        return ()
    return settle(asked, _occupied(session, everywhere, is_link_own=wish.driver == "bridge"), os.urandom)


def _occupied(session: Session, everywhere: Sequence[Network], *, is_link_own: bool) -> Occupied:
    from pyctl.state import routes
    from pyctl.state.subnets import Occupied

    known = list(everywhere)
    if not networks.has_default(known):
        known.append(networks.unmade_default(session.settings.bridge_ip))  # whoever makes it later wants its subnet
    return Occupied(
        pools=tuple((one.subnet, network.name) for network in known for one in network.subnets),
        links=tuple(routes.addresses()),
        routes=tuple(routes.destinations()),
        is_link_own=is_link_own,
    )


def _config(session: Session, wish: NetworkWish, definition: NetworkDefinition) -> dict[str, Any]:
    """The conflist, in nerdctl's format."""
    import json

    text = session.hooks.compose_network(wish.driver, definition, session.host)
    try:
        plugins = json.loads(text or "")
        if not plugins or not all(isinstance(plugin["type"], str) for plugin in plugins):
            raise ValueError("no plug-ins")
    except (ValueError, KeyError, TypeError) as error:
        raise PyctlError(f"network driver {wish.driver} composed no chain of CNI plug-ins: {error}") from error
    labels = dict(wish.labels)
    reserved = {one.subnet: dict(one.aux_addresses) for one in definition.subnets if one.aux_addresses}
    if reserved:
        labels[conflists.AUX_LABEL] = json.dumps(reserved, separators=(",", ":"))
    if wish.is_attachable:
        labels[conflists.ATTACHABLE_LABEL] = "true"
    if wish.driver != "bridge" and session.hooks.has_hook("network", wish.driver, "setup_network"):
        labels[conflists.DRIVER_LABEL] = wish.driver
    return {
        "cniVersion": "1.0.0",
        "name": wish.name,
        "nerdctlID": definition.network_id,
        "nerdctlLabels": labels,
        "plugins": plugins,
    }


def _check_bridge(network: Network, everywhere: Sequence[Network]) -> None:
    """Two networks on one bridge are one network with two sets of rules."""
    for other in everywhere:
        if network.bridge and other.bridge == network.bridge:
            raise ConflictError(
                f"cannot create network {network.network_id} ({network.bridge}): conflicts with network "
                f"{other.network_id} ({other.bridge}): networks have same bridge name",
                hint=f"see {other.path}",
            )
