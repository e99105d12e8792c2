"""The default route of a container that runs, when its networks change: the next one takes it over."""

from __future__ import annotations

import sys

from pyctl.state import netns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_AF_INET, _AF_INET6, _AF_NETLINK = 2, 10, 16
_RTM_NEWROUTE, _REQUEST, _ACK, _CREATE, _REPLACE, _EXCL = 24, 1, 4, 0x400, 0x100, 0x200
_RTA_OIF, _RTA_GATEWAY = 4, 5
_MAIN_TABLE, _STATIC, _UNIVERSE, _LINK, _UNICAST = 254, 4, 0, 253, 1
_EEXIST = 17


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


def take_over(netns_path: str, interface: str, route: DefaultRoute, *, replace: bool) -> None:
    """Lead everything through ``interface``; without ``replace`` a default route that is there stays.

    Raises:
        OSError: no such namespace or interface, or the kernel refused.
    """
    netns.inside(netns_path, lambda: _request(interface, route, _REPLACE if replace else _EXCL))


def _request(interface: str, route: DefaultRoute, how: int) -> None:
    import _socket  # socket is 11 ms of import

    family = _AF_INET6 if route.is_v6 else _AF_INET
    scope = _UNIVERSE if route.gateway or route.is_v6 else _LINK
    body = bytes((family, 0, 0, 0, _MAIN_TABLE, _STATIC, scope, _UNICAST)) + bytes(4)
    body += _attribute(_RTA_OIF, _number(_socket.if_nametoindex(interface), 4))
    if route.gateway:
        body += _attribute(_RTA_GATEWAY, _socket.inet_pton(family, route.gateway))
    flags = _REQUEST | _ACK | _CREATE | how
    message = _number(16 + len(body), 4) + _number(_RTM_NEWROUTE, 2) + _number(flags, 2) + _number(1, 4) + bytes(4) + body
    kernel = _socket.socket(_AF_NETLINK, _socket.SOCK_RAW, 0)
    try:
        kernel.send(message)
        answer = kernel.recv(4096)
    finally:
        kernel.close()
    error = -int.from_bytes(answer[16:20], sys.byteorder, signed=True)
    if error and not (error == _EEXIST and how == _EXCL):
        import os

        raise OSError(error, os.strerror(error), interface)


def _attribute(kind: int, value: bytes) -> bytes:
    return _number(4 + len(value), 2) + _number(kind, 2) + value + bytes(-len(value) % 4)


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, sys.byteorder)
