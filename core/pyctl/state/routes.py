"""Which addresses the host has and where its routes lead: what a new network must keep clear of. Asked of the kernel."""

from __future__ import annotations

import os
from _socket import AF_INET, AF_INET6, AF_NETLINK, SOCK_RAW, inet_ntop, socket
from struct import pack, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_GETADDR, _GETROUTE = 22, 26
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_IFA_ADDRESS, _IFA_LOCAL, _RTA_DST = 1, 2, 1
_UNICAST = 1


def addresses() -> list[tuple[str, str]]:
    """Every address of every interface as (CIDR text, interface name); loopback and link-local ones too."""
    from _socket import if_indextoname

    found = []
    for body in _dump(_GETADDR):
        family, prefix, _flags, _scope, index = unpack_from("=BBBBI", body)
        values = dict(_attributes(body, 8))
        raw = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
        if raw is None or family not in (AF_INET, AF_INET6):
            continue
        try:
            name = if_indextoname(index)
        except OSError:
            name = str(index)  # gone in the meantime
        found.append((f"{inet_ntop(family, raw)}/{prefix}", name))
    return found


def destinations() -> list[str]:
    """Where unicast routes of any table lead, as CIDR texts; default routes are left out."""
    found = []
    for body in _dump(_GETROUTE):
        family, prefix, _source, _tos, _table, _protocol, _scope, kind = unpack_from("=BBBBBBBB", body)
        raw = dict(_attributes(body, 12)).get(_RTA_DST)
        if raw is not None and kind == _UNICAST and prefix and family in (AF_INET, AF_INET6):
            found.append(f"{inet_ntop(family, raw)}/{prefix}")
    return found


def _dump(kind: int) -> Iterator[bytes]:
    """The bodies of the messages that answer a request for everything of one kind."""
    route = socket(AF_NETLINK, SOCK_RAW, 0)
    try:
        route.bind((0, 0))
        route.send(pack("=IHHIIB15x", 32, kind, _REQUEST_DUMP, 1, 0, 0))
        while True:
            data = route.recv(1 << 18)
            offset = 0
            while offset < len(data):
                size, answer = unpack_from("=IH", data, offset)
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    number = -unpack_from("=i", data, offset + 16)[0]
                    raise OSError(number, os.strerror(number), "netlink")
                yield data[offset + 16 : offset + size]
                offset += size + 3 & ~3
    finally:
        route.close()


def _attributes(body: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    while offset + 4 <= len(body):
        size, kind = unpack_from("=HH", body, offset)
        if size < 4:
            return
        yield kind & 0x3FFF, body[offset + 4 : offset + size]
        offset += size + 3 & ~3
