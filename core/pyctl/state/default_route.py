"""The default route of a container with several networks: one of them has it, whatever their drivers did."""

from __future__ import annotations

import sys

from pyctl.state import netns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_AF_INET, _AF_INET6, _AF_NETLINK = 2, 10, 16
_NEW_ROUTE, _DELETE_ROUTE = 24, 25
_REQUEST, _ACK, _EXCL, _CREATE = 1, 4, 0x200, 0x400
_RTA_OIF, _RTA_GATEWAY = 4, 5
_MAIN_TABLE, _STATIC, _UNICAST = 254, 4, 1
_UNIVERSE, _LINK, _ANY_SCOPE = 0, 253, 255
_ESRCH, _EEXIST = 3, 17


class DefaultRoute:
    """Where packets for everywhere leave; ``gateway`` is empty when the link itself leads there."""

    __slots__ = ("gateway", "is_v6")

    def __init__(self, gateway: str, is_v6: bool) -> None:
        self.gateway, self.is_v6 = gateway, is_v6


def offered(cni_result: Mapping[str, Any]) -> list[DefaultRoute]:
    """The default routes through a network, as its driver reported them; none for an internal one."""
    found = []
    for is_v6, everywhere in ((False, "0.0.0.0/0"), (True, "::/0")):
        route = next((one for one in cni_result.get("routes") or () if one.get("dst") == everywhere), None)
        if route is None:
            continue
        gateways = [one.get("gateway") or "" for one in cni_result.get("ips") or () if (":" in one.get("address", "")) == is_v6]
        found.append(DefaultRoute(route.get("gw") or next(iter(gateways), ""), is_v6))
    return found


def settle(netns_path: str, networks: Sequence[tuple[str, Sequence[DefaultRoute]]]) -> None:
    """Lead everything through the first of these interfaces that offers to; the others' default routes go.

    A default route through none of them is somebody else's and stays.

    Raises:
        OSError: no such namespace or interface, or the kernel refused.
    """
    chosen: dict[bool, str] = {}
    for interface, routes in networks:
        for route in routes:
            chosen.setdefault(route.is_v6, interface)

    def work() -> None:
        for interface, routes in networks:
            for route in routes:
                if chosen[route.is_v6] != interface:
                    _change(_DELETE_ROUTE, interface, route)
        for interface, routes in networks:
            for route in routes:
                if chosen[route.is_v6] == interface:
                    _change(_NEW_ROUTE, interface, route)

    if chosen:
        netns.inside(netns_path, work)


def _change(action: int, interface: str, route: DefaultRoute) -> None:
    """What is there already, or not there any more, is a success."""
    import _socket  # socket is 11 ms of import

    family = _AF_INET6 if route.is_v6 else _AF_INET
    if action == _NEW_ROUTE:
        flags, harmless = _CREATE | _EXCL, _EEXIST
        kind = (_STATIC, _UNIVERSE if route.gateway or route.is_v6 else _LINK, _UNICAST)
    else:
        flags, harmless, kind = 0, _ESRCH, (0, _ANY_SCOPE, 0)
    body = bytes((family, 0, 0, 0, _MAIN_TABLE, *kind)) + bytes(4)
    body += _attribute(_RTA_OIF, _number(_socket.if_nametoindex(interface), 4))
    if route.gateway:
        body += _attribute(_RTA_GATEWAY, _socket.inet_pton(family, route.gateway))
    header = _number(16 + len(body), 4) + _number(action, 2) + _number(_REQUEST | _ACK | flags, 2) + _number(1, 4) + bytes(4)
    kernel = _socket.socket(_AF_NETLINK, _socket.SOCK_RAW, 0)
    try:
        kernel.send(header + body)
        answer = kernel.recv(4096)
    finally:
        kernel.close()
    error = -int.from_bytes(answer[16:20], sys.byteorder, signed=True)
    if error not in (0, harmless):
        import os

        raise OSError(error, os.strerror(error), interface)


def _attribute(kind: int, value: bytes) -> bytes:
    return _number(4 + len(value), 2) + _number(kind, 2) + value + bytes(-len(value) % 4)


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, sys.byteorder)
