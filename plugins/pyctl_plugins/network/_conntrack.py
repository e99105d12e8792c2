"""Flows the kernel remembers: an active UDP flow would follow a port to where it no longer leads."""

from __future__ import annotations

from struct import pack

from pyctl_plugins.network import _netlink
from pyctl_plugins.network._netlink import Message, Netlink

_GET, _DELETE = 0x101, 0x102
_ORIGINAL, _ID = 1, 12
_UDP = 17


def forget_udp(ports: set[int], *, families: tuple[int, ...] = (2, 10)) -> int:
    """Delete the entries of UDP flows that were addressed to one of these ports, and return how many."""
    deleted = 0
    needles = [_netlink.attribute(3, port.to_bytes(2, "big")) for port in ports]
    netlink = Netlink(_netlink.NETFILTER)
    try:
        for family in families:
            header = pack(">BBH", family, 0, 0)
            try:
                bodies = netlink.dump(Message(_GET, 0, header))
            except OSError as error:
                if error.errno in (2, 22, 95, 97):  # this kernel tracks nothing of this family
                    continue
                raise
            for body in bodies:
                if not any(needle in body for needle in needles):
                    continue  # tens of thousands of entries: look inside only where it may matter
                attrs = _netlink.attributes(body, 4)
                protocol = _netlink.attributes(_netlink.attributes(attrs.get(_ORIGINAL, b"")).get(2, b""))
                if protocol.get(1, b"")[:1] != bytes((_UDP,)) or int.from_bytes(protocol.get(3, b""), "big") not in ports:
                    continue
                query = header + _netlink.nested(_ORIGINAL, attrs[_ORIGINAL])
                if _ID in attrs:
                    query += _netlink.attribute(_ID, attrs[_ID])  # not a newer flow of the same addresses
                for failure in netlink.attempt(Message(_DELETE, 0, query)):
                    deleted += failure is None
    finally:
        netlink.close_aside()
    return deleted
