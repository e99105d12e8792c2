"""Host ports: held by the keeper, so that nobody else, pyctl or not, gets them while rules send them elsewhere."""

from __future__ import annotations

from pyctl_hookspecs import ConflictError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from pyctl_hookspecs import Host, NetworkRequest, PortMapping


def hold(request: NetworkRequest, families: Iterable[bool], host: Host) -> tuple[PortMapping, ...]:
    """Hold every port of a container and return the mappings with host address and host port of each filled in.

    Where there is a choice (``_choices``) the first that is free is taken. One for every address (``host_ip`` empty)
    becomes one mapping for each family of the network (``families``: is it IPv6?), with the same port. Holding again what
    is held already succeeds.

    Raises:
        ConflictError: somebody has one of them; in Docker's words.
    """
    kinds = set(families)
    every = "" if len(kinds) > 1 else "::" if True in kinds else "0.0.0.0"
    wishes = [port if port.host_ip else port.replace(host_ip=every) for port in _joined(request.ports, every)]
    choices = [_choices(port) for port in wishes]
    pools = [index for index, numbers in enumerate(choices) if len(numbers) > 1]
    wanted = [
        port.replace(host_port=numbers[0], host_port_end=0, last_port=0) for port, numbers in zip(wishes, choices, strict=True)
    ]
    for index in pools:  # each in turn, beside those settled before it
        settled = [port for position, port in enumerate(wanted) if position <= index or position not in pools]
        at = settled.index(wanted[index])
        for number in choices[index]:
            settled[at] = wanted[index] = wanted[index].replace(host_port=number)
            try:
                _ask(settled, request, host)
                break
            except ConflictError:
                if number == choices[index][-1]:
                    raise
    held = []
    for port in _ask(wanted, request, host):
        held += [port] if port.host_ip else [port.replace(host_ip=address) for address in ("0.0.0.0", "::")]
    return tuple(held)


def _choices(port: PortMapping) -> Sequence[int]:
    """The host ports that will do, the best first; 0 lets the keeper choose."""
    if not port.host_port_end:
        return [port.last_port, 0] if port.last_port and not port.host_port else [port.host_port]
    pool = range(port.host_port, port.host_port_end + 1)
    return [port.last_port, *(number for number in pool if number != port.last_port)] if port.last_port in pool else pool


def _joined(ports: Sequence[PortMapping], every: str) -> list[PortMapping]:
    """A start that follows another brings what that one took: the two halves of a port for every address are one again.

    The keeper would not let a second socket in beside the one it may still hold.
    """
    if every:
        return list(ports)
    return [
        port.replace(host_ip="") if port.host_ip == "0.0.0.0" and port.host_port and port.replace(host_ip="::") in ports else port
        for port in ports
        if port.host_ip != "::" or port.replace(host_ip="0.0.0.0") not in ports or not port.host_port
    ]


def release(container_id: str, namespace: str, host: Host) -> None:
    """Let a container's ports go; holding none is fine."""
    host.keeper("release_ports", {"namespace": namespace, "container": container_id})


def _ask(ports: Sequence[PortMapping], request: NetworkRequest, host: Host) -> list[PortMapping]:
    import json

    payload = {
        "namespace": request.namespace,
        "container": request.container_id,
        "ports": json.dumps([[port.host_ip, port.host_port, port.protocol] for port in ports]),
    }
    try:
        answer: Any = host.keeper("hold_ports", payload)["ports"]
    except PyctlError as error:
        endpoint = f"{request.container_name or request.container_id[:12]} ({request.container_id[:12]})"
        message = f"driver failed programming external connectivity on endpoint {endpoint}: {error}"
        kind = ConflictError if error.code == "conflict" else PyctlError
        raise kind(message, hint=error.hint) from error
    held: list[tuple[str, int, str]] = json.loads(answer) if isinstance(answer, str) else answer
    return [port.replace(host_port=int(entry[1])) for port, entry in zip(ports, held, strict=True)]
