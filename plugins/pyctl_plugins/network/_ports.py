"""Host ports: held by the keeper, so that nobody else, pyctl or not, gets them while rules send them elsewhere."""

from __future__ import annotations

from pyctl_hookspecs import ConflictError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pyctl_hookspecs import Host, NetworkRequest, PortMapping


def hold(request: NetworkRequest, host: Host) -> tuple[PortMapping, ...]:
    """Hold every port of a container and return the mappings with the host port of each filled in.

    A pool (``host_port_end``) gives its first free port. Holding again what is held already succeeds.

    Raises:
        ConflictError: somebody has one of them; in Docker's words.
    """
    pools = [index for index, port in enumerate(request.ports) if port.host_port_end]
    wanted = [port.replace(host_port_end=0) for port in request.ports]
    for index in pools:  # each in turn, beside those settled before it
        pool = request.ports[index]
        settled = [port for position, port in enumerate(wanted) if position <= index or position not in pools]
        at = settled.index(wanted[index])
        for number in range(pool.host_port, pool.host_port_end + 1):
            settled[at] = wanted[index] = pool.replace(host_port=number, host_port_end=0)
            try:
                _ask(settled, request, host)
                break
            except ConflictError:
                if number == pool.host_port_end:
                    raise
    return tuple(_ask(wanted, request, host))


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
