"""A container's networks as the user asked for them: ``--network`` in both syntaxes, and the labels that keep it."""

from __future__ import annotations

from pyctl_hookspecs.errors import InvalidArgumentError, UnsupportedError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from pyctl.spec.options import ContainerOptions

NETWORKS_LABEL = "nerdctl/networks"
ENDPOINTS_LABEL = "pyctl/endpoints"  # what nerdctl has no label for
_FIRST_LABELS = (("ip", "nerdctl/ip"), ("ip6", "nerdctl/ip6"), ("mac_address", "nerdctl/mac-address"))
LABELS = (NETWORKS_LABEL, ENDPOINTS_LABEL, *(label for _, label in _FIRST_LABELS))

_PSEUDO = ("host", "none", "container", "ns")
INTERFACE_OPTION = "com.docker.network.endpoint.ifname"
_MAX_IFNAME = 15


class Endpoint(Record):
    """One network of a container and what was asked of it.

    ``network`` is a name or ID, or ``host``, ``none``, ``container:<ID>``, ``ns:<path>``. The default route goes through
    the network with the highest ``gateway_priority``, the earlier one among equals. ``interface`` is empty for ethN.
    """

    network: str
    ip: str = ""
    ip6: str = ""
    mac_address: str = ""
    aliases: tuple[str, ...] = ()
    gateway_priority: int = 0
    interface: str = ""

    @property
    def kind(self) -> str:
        """``host``, ``none``, ``container`` or ``ns``; empty for a network that exists on disk."""
        return kind_of(self.network)


def kind_of(network: str) -> str:
    """``host``, ``none``, ``container`` or ``ns``; empty for a network that exists on disk."""
    word, colon, _ = network.partition(":")
    return word if word in _PSEUDO and bool(colon) == (word in ("container", "ns")) else ""


def parse_network(text: str) -> tuple[Endpoint, ...]:
    """One ``--network``: names with commas between them, or Docker's long syntax ``name=n,ip=10.5.0.2,alias=a``.

    Raises:
        InvalidArgumentError: in Docker's words.
        UnsupportedError: a key or a driver option that would have no effect.
    """
    if "=" not in text or kind_of(text) in ("container", "ns"):
        return tuple(Endpoint(network=_named(name.strip())) for name in text.split(","))
    fields: dict[str, Any] = {}
    aliases: list[str] = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not equals or not key:
            raise _invalid(f"invalid field {part}")
        if key == "alias":
            aliases.append(value)
        elif key == "name":
            fields["network"] = _named(value)
        elif key in ("ip", "ip6"):
            fields[key] = value
        elif key == "mac-address":
            fields["mac_address"] = value
        elif key == "gw-priority":
            fields["gateway_priority"] = _priority(value)
        elif key == "driver-opt":
            fields["interface"] = interface_option(value)
        elif key == "link-local-ip":
            raise UnsupportedError("link-local-ip is not supported yet", exit_code=125)
        else:
            raise _invalid(f"invalid field key {key}")
    if "network" not in fields:
        raise _invalid("network name/id is not specified")
    return (Endpoint(**fields, aliases=tuple(aliases)),)


def endpoint_of(
    network: str,
    *,
    ip: str = "",
    ip6: str = "",
    mac_address: str = "",
    aliases: tuple[str, ...] = (),
    gateway_priority: int = 0,
    driver_options: Iterable[str] = (),
) -> Endpoint:
    """What ``network connect`` asks of a network.

    Raises:
        InvalidArgumentError, UnsupportedError: as ``parse_network``.
    """
    interface = ""
    for option in driver_options:
        interface = interface_option(option)
    _check_aliases(aliases)
    return Endpoint(
        network=_named(network),
        ip=ip,
        ip6=ip6,
        mac_address=mac_address,
        aliases=aliases,
        gateway_priority=gateway_priority,
        interface=interface,
    )


def interface_option(text: str) -> str:
    """The interface's name from ``com.docker.network.endpoint.ifname=NAME``, the one driver option of an endpoint.

    Raises:
        InvalidArgumentError: no pair, or no name for an interface.
        UnsupportedError: any other option.
    """
    option, equals, value = text.partition("=")
    if not equals or not option:
        raise _invalid("invalid key value pair format in driver options")
    if option != INTERFACE_OPTION:
        raise UnsupportedError(f"driver option {option} is not supported", exit_code=125)
    if not 0 < len(value.encode()) <= _MAX_IFNAME or "/" in value or value in (".", "..", "lo") or not value.isprintable():
        raise _invalid(f"invalid interface name: {value}")
    return value


def endpoints_of(options: ContainerOptions) -> tuple[Endpoint, ...]:
    """Every network of a new container; ``--ip``, ``--mac-address``, ``--network-alias`` and their like go to the first.

    Raises:
        InvalidArgumentError: kinds that cannot be mixed, a network twice, something given twice; Docker's words.
    """
    found = [endpoint for text in options.network for endpoint in parse_network(text)] or [Endpoint(network="bridge")]
    found[0] = _with_flags(found[0], options)
    refuse_repeated(endpoint.network for endpoint in found)
    kinds = {endpoint.kind for endpoint in found}
    if len(kinds) > 1:
        raise _invalid("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    if any(kinds) and len(found) > 1:
        raise _invalid(f"conflicting options: only one network can be given with --network {found[0].network}")
    for endpoint in found:
        if endpoint.kind and (endpoint.ip or endpoint.ip6):
            raise _invalid("user specified IP address is supported on user defined networks only")
        if endpoint.aliases and not is_user_defined(endpoint.network):
            raise _invalid("network-scoped aliases are only supported for user-defined networks")
        _check_aliases(endpoint.aliases)
    return tuple(found)


def is_user_defined(network: str) -> bool:
    """Neither the default network nor a pseudo one; Docker's words for where names and aliases work."""
    return network not in ("bridge", "default") and not kind_of(network)


def refuse_repeated(networks: Iterable[str]) -> None:
    """
    Raises:
        InvalidArgumentError: one of them twice, in Docker's words.
    """
    seen = set()
    for network in networks:
        if network in seen:
            raise _invalid(f'network "{network}" is specified multiple times')
        seen.add(network)


def to_labels(endpoints: Sequence[Endpoint]) -> dict[str, str]:
    """nerdctl's labels for what nerdctl has, and one of ours for the rest; what nobody asked for has no label."""
    labels = {NETWORKS_LABEL: _json([endpoint.network for endpoint in endpoints])}
    for field, label in _FIRST_LABELS:
        if endpoints and getattr(endpoints[0], field):
            labels[label] = getattr(endpoints[0], field)
    of_first = {field for field, _ in _FIRST_LABELS}
    more = {}
    for index, endpoint in enumerate(endpoints):
        asked = {
            name: list(value) if isinstance(value, tuple) else value
            for name in Endpoint.__fields__
            if name != "network" and not (index == 0 and name in of_first)
            if (value := getattr(endpoint, name)) != getattr(Endpoint, name)
        }
        if asked:
            more[endpoint.network] = asked
    if more:
        labels[ENDPOINTS_LABEL] = _json(more)
    return labels


def from_labels(labels: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """The networks of a stored container, ours or nerdctl's; none for one that was disconnected from all."""
    import json

    names = json.loads(labels.get(NETWORKS_LABEL) or '["none"]')
    more = json.loads(labels.get(ENDPOINTS_LABEL) or "{}")
    found = []
    for index, name in enumerate(names):
        asked: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in more.get(name, {}).items()
            if key in Endpoint.__fields__  # written by a newer pyctl: what we do not know has no effect
        }
        if index == 0:
            asked |= {field: labels[label] for field, label in _FIRST_LABELS if labels.get(label)}
        found.append(Endpoint(network=name, **asked))
    return tuple(found)


def _with_flags(first: Endpoint, options: ContainerOptions) -> Endpoint:
    changes: dict[str, Any] = {}
    for field, flag, value, words in (
        ("aliases", "--network-alias", options.network_alias, "alias"),
        ("ip", "--ip", options.ip, "IPv4 address"),
        ("ip6", "--ip6", options.ip6, "IPv6 address"),
        ("mac_address", "--mac-address", options.mac_address, "MAC address"),
    ):
        if not value:
            continue
        if getattr(first, field):
            raise _invalid(f"conflicting options: cannot specify both {flag} and per-network {words}")
        changes[field] = value
    return first.replace(**changes) if changes else first


def _check_aliases(aliases: Iterable[str]) -> None:
    """They become words of a line in other containers' hosts files."""
    for alias in aliases:
        if not alias or not alias.isprintable() or any(letter.isspace() or letter == "#" for letter in alias):
            raise _invalid(f"invalid network alias: {alias!r}")


def _named(name: str) -> str:
    if not name:
        raise _invalid("network name/id is not specified")
    return "bridge" if name == "default" else name


def _priority(text: str) -> int:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdecimal()):
        raise _invalid(f"invalid gw-priority ({text}): invalid syntax")
    return int(text)


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, exit_code=125)


def _json(value: Any) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
