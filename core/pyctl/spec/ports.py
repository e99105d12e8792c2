"""Published and exposed ports: Docker's grammar on the way in, Docker's and nerdctl's shapes on the way out."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, PortMapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

PROTOCOLS = ("tcp", "udp", "sctp")
_RANGE_END, _LAST_PORT = "pyctlHostPortEnd", "pyctlLastHostPort"


def parse_publish(text: str) -> tuple[PortMapping, ...]:
    """What one ``-p`` asks for: ``[ip:][host[-end]:]container[-end][/proto]`` or ``published=8080,target=80``.

    A host range with a single container port is a pool (``host_port_end``); no host port means 0: chosen later. Without
    an address it is published on every one of the host, IPv4 and IPv6 as the network has it.

    Raises:
        InvalidArgumentError: in Docker's words.
    """
    if "=" in text:
        text = _from_long_form(text)
    rest, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    head, _, container = rest.rpartition(":")
    if head.startswith("[") and head.endswith("]"):  # [::1]:80, an address without a host port
        host_ip, host = head, ""
    else:
        host_ip, _, host = head.rpartition(":")
    if host_ip.startswith("["):
        if not host_ip.endswith("]"):
            raise InvalidArgumentError(f"Invalid ip address: {host_ip}", exit_code=125)
        host_ip = host_ip[1:-1]
    if host_ip and not _is_address(host_ip):
        raise InvalidArgumentError(f"Invalid ip address: {host_ip}", exit_code=125)
    if not container:
        raise InvalidArgumentError(f"No port specified: {text}<empty>", exit_code=125)
    first, last = _range(container, "containerPort", smallest=1)
    host_first, host_last = _range(host, "hostPort", smallest=0) if host else (0, 0)
    if protocol not in PROTOCOLS:
        raise InvalidArgumentError(f"invalid proto: {protocol}", exit_code=125)
    if host and last - first != host_last - host_first:
        if first != last:
            raise InvalidArgumentError(
                f"Invalid ranges specified for container and host Ports: {container} and {host}", exit_code=125
            )
        pool = PortMapping(
            container_port=first, host_port=host_first, host_port_end=host_last, protocol=protocol, host_ip=host_ip
        )
        return (pool,)
    return tuple(
        PortMapping(
            container_port=port, host_port=host_first + port - first if host_first else 0, protocol=protocol, host_ip=host_ip
        )
        for port in range(first, last + 1)
    )


def parse_published(texts: Iterable[str]) -> tuple[PortMapping, ...]:
    """All ``-p`` of a command, a repeated mapping once.

    Raises:
        InvalidArgumentError: malformed, or one host port asked for twice.
    """
    mappings = tuple(dict.fromkeys(mapping for text in texts for mapping in parse_publish(text)))
    taken: set[tuple[str, str, int]] = set()
    for mapping in mappings:
        if not mapping.host_port or mapping.host_port_end:
            continue
        key = (mapping.host_ip, mapping.protocol, mapping.host_port)
        if key in taken:
            bind = join_host(mapping.host_ip, mapping.host_port)
            raise InvalidArgumentError(f"Bind for {bind} failed: port is already allocated")
        taken.add(key)
    return mappings


def parse_expose(text: str) -> tuple[str, ...]:
    """``80``, ``80-85/udp`` as the keys of ``ExposedPorts``: ``80/tcp``.

    Raises:
        InvalidArgumentError: in Docker's words.
    """
    if ":" in text:
        raise InvalidArgumentError(f"invalid port format for --expose: {text}", exit_code=125)
    ports, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in PROTOCOLS:
        raise InvalidArgumentError(f"invalid proto: {protocol}", exit_code=125)
    try:
        first, last = _range(ports, "port", smallest=1)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"invalid range format for --expose: {text}, error: {error}", exit_code=125) from error
    return tuple(f"{port}/{protocol}" for port in range(first, last + 1))


def publish_all(exposed: Iterable[str], published: tuple[PortMapping, ...]) -> tuple[PortMapping, ...]:
    """``-P``: what was published by hand, and an automatic port for every other exposed one."""
    done = {f"{mapping.container_port}/{mapping.protocol}" for mapping in published}
    more = []
    for key in sorted(dict.fromkeys(exposed), key=_by_number):
        if key not in done:
            port, _, protocol = key.partition("/")
            more.append(PortMapping(container_port=int(port), protocol=protocol or "tcp", host_ip=""))
    return published + tuple(more)


def to_network_config(ports: Iterable[PortMapping]) -> dict[str, Any]:
    """The content of ``network-config.json`` in the container's state directory; what is still open is ours alone."""
    entries = [
        {"HostPort": port.host_port, "ContainerPort": port.container_port, "Protocol": port.protocol, "HostIP": port.host_ip}
        | ({_RANGE_END: port.host_port_end} if port.host_port_end else {})
        | ({_LAST_PORT: port.last_port} if port.last_port else {})
        for port in ports
    ]
    return {"portMappings": entries} if entries else {}


def from_entries(entries: Iterable[Mapping[str, Any]]) -> tuple[PortMapping, ...]:
    """Mappings from nerdctl's JSON objects (also its old ``nerdctl/ports`` label)."""
    return tuple(
        PortMapping(
            container_port=int(entry["ContainerPort"]),
            host_port=int(entry.get("HostPort", 0)),
            protocol=entry.get("Protocol") or "tcp",
            host_ip=entry.get("HostIP", ""),
            host_port_end=int(entry.get(_RANGE_END, 0)),
            last_port=int(entry.get(_LAST_PORT, 0)),
        )
        for entry in entries
    )


def for_next_start(wanted: Iterable[PortMapping], taken: Iterable[PortMapping]) -> tuple[PortMapping, ...]:
    """What a container asks for when it starts again: the same, and where there is a choice first what it has now."""
    left = list(taken)
    found = []
    for port in wanted:
        last_port = 0
        if not port.host_port or port.host_port_end:
            key = (port.container_port, port.protocol)
            fits = [p for p in left if (p.container_port, p.protocol) == key and port.host_ip in ("", p.host_ip)]
            if fits:
                last_port = fits[0].host_port
                left = [p for p in left if (p.container_port, p.protocol, p.host_port) != (*key, last_port)]
        found.append(port.replace(last_port=last_port))
    return tuple(found)


def format_ports(ports: Iterable[PortMapping], exposed: Iterable[str] = ()) -> str:
    """The PORTS column of ``ps``: ``443/tcp, 0.0.0.0:9000-9001->9000-9001/tcp, 0.0.0.0:8080->80/tcp``.

    In Docker's order: a range is shown as one where the host's numbers are the container's, or there are none; ports that
    have another number on the host come last, one by one.
    """
    published = tuple(ports)
    shown = {(port.container_port, port.host_ip or "0.0.0.0", port.host_port, port.protocol) for port in published}
    taken = {(port.container_port, port.protocol) for port in published}
    for key in exposed:
        number, protocol = _by_number(key)
        if (number, protocol) not in taken:
            shown.add((number, "", 0, protocol))
    runs: dict[tuple[str, str], tuple[int, int]] = {}
    texts, others = [], []
    for number, address, host_port, protocol in sorted(shown):
        if address and host_port != number:
            others.append(f"{join_host(address, host_port)}->{number}/{protocol}")
            continue
        run = runs.get((address, protocol))
        if run is not None and number != run[1] + 1:
            texts.append(_run(address, protocol, *run))
            runs[address, protocol] = (number, number)
        else:
            runs[address, protocol] = (run[0] if run is not None else number, number)
    return ", ".join([*texts, *(_run(*key, *run) for key, run in runs.items()), *others])


def _run(address: str, protocol: str, first: int, last: int) -> str:
    span = _span(first, last)
    return f"{join_host(address, span)}->{span}/{protocol}" if address else f"{span}/{protocol}"


def format_port_lines(ports: Iterable[PortMapping]) -> tuple[str, ...]:
    """The lines of ``port NAME``: ``80/tcp -> 0.0.0.0:8080``."""
    ordered = sorted(ports, key=lambda port: (port.container_port, port.protocol, port.host_ip, port.host_port))
    return tuple(f"{port.container_port}/{port.protocol} -> {join_host(port.host_ip, port.host_port)}" for port in ordered)


def find_published(ports: Iterable[PortMapping], private: str, container_name: str) -> tuple[str, ...]:
    """The lines of ``port NAME 80[/tcp]``: where that port of the container can be reached.

    Raises:
        InvalidArgumentError: not published, or not a port.
    """
    number, _, protocol = private.partition("/")
    protocol = (protocol or "tcp").lower()
    if not _is_port(number):
        raise InvalidArgumentError(f"invalid port: {private}")
    found = [p for p in ports if (p.container_port, p.protocol) == (int(number), protocol)]
    if not found:
        raise InvalidArgumentError(f"no public port '{number}/{protocol}' published for {container_name}")
    return tuple(join_host(port.host_ip, port.host_port) for port in found)


def join_host(address: str, port: int | str) -> str:
    """``address:port``, IPv6 in brackets; no address stands for all of IPv4's."""
    return f"[{address}]:{port}" if ":" in address else f"{address or '0.0.0.0'}:{port}"


def _from_long_form(text: str) -> str:
    fields = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise InvalidArgumentError(f"invalid publish opts format (should be name=value but got '{part}')", exit_code=125)
        if key not in ("target", "published", "protocol", "mode"):
            raise InvalidArgumentError(f"invalid field key: {key}", exit_code=125)
        fields[key] = value
    if "target" not in fields:
        raise InvalidArgumentError(f"missing mandatory field 'target' in {text}", exit_code=125)
    return f"{fields.get('published', '')}:{fields['target']}/{fields.get('protocol', 'tcp')}"


def _range(text: str, what: str, *, smallest: int) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    last = last if dash else first
    if not (_is_port(first) and _is_port(last)) or not smallest <= int(first) <= int(last):
        raise InvalidArgumentError(f"invalid {what}: {text}", exit_code=125)
    return int(first), int(last)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65535


def _is_address(text: str) -> bool:
    from _socket import AF_INET, AF_INET6, inet_pton  # socket is 11 ms of import

    try:
        inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except OSError:
        return False
    return True


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _by_number(key: str) -> tuple[int, str]:
    port, _, protocol = key.partition("/")
    return int(port), protocol
