"""The handful of link, address and route operations that connect a container, straight to the kernel."""

from __future__ import annotations

import os
from _socket import AF_INET, AF_INET6, inet_pton
from struct import pack, unpack_from

from pyctl_plugins.network import _netlink
from pyctl_plugins.network._netlink import CREATE, EXCL, Message, Netlink, attribute, nested, number, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _GETADDR, _NEWROUTE, _NEWNEIGH = 20, 22, 24, 28
_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_PROTINFO, _IFLA_LINKINFO = 1, 3, 4, 10, 12, 18
_IFLA_IFALIAS, _IFLA_NET_NS_FD, _INFO_KIND, _INFO_DATA, _PEER = 20, 28, 1, 2, 1
_BRPORT_HAIRPIN, _BRPORT_ISOLATED = 4, 33
_AF_BRIDGE = 7
_CLONE_NEWNET = 0x40000000
_REPLACE = 0x100


class Link:
    """A network interface as the kernel describes it. ``kind`` is bridge, veth ..., empty for hardware.

    ``alias`` is free text: ours says whose the interface is.
    """

    __slots__ = ("alias", "index", "is_up", "kind", "mac", "master", "mtu", "name")

    def __init__(self, body: bytes) -> None:
        _family, _type, self.index, flags = unpack_from("=BxHiI", body)
        found = _netlink.attributes(body, 16)
        self.is_up = bool(flags & _IFF_UP)
        self.name = found[_IFLA_IFNAME].rstrip(b"\0").decode()
        self.alias = found.get(_IFLA_IFALIAS, b"").rstrip(b"\0").decode(errors="replace")
        self.mac = found.get(_IFLA_ADDRESS, b"").hex(":")
        self.mtu = int(unpack_from("=I", found[_IFLA_MTU])[0])
        self.master = int(unpack_from("=I", found[_IFLA_MASTER])[0]) if _IFLA_MASTER in found else 0
        info = _netlink.attributes(found.get(_IFLA_LINKINFO, b""))
        self.kind = info.get(_INFO_KIND, b"").rstrip(b"\0").decode()


def find_link(route: Netlink, name: str) -> Link | None:
    """The interface of that name, or None."""
    body = route.get(Message(_GETLINK, 0, _link(0) + text(_IFLA_IFNAME, name)))
    return None if body is None else Link(body)


def links(route: Netlink) -> list[Link]:
    """Every interface of the socket's namespace."""
    return [Link(body) for body in route.dump(Message(_GETLINK, 0, _link(0)))]


def addresses(route: Netlink, index: int = 0) -> list[tuple[int, str]]:
    """Every address as (interface index, CIDR text); of one interface when ``index`` is given."""
    from _socket import inet_ntop

    found = []
    for body in route.dump(Message(_GETADDR, 0, bytes(8))):
        family, prefix, _flags, _scope, at = unpack_from("=BBBBI", body)
        attrs = _netlink.attributes(body, 8)
        raw = attrs.get(2) or attrs.get(1)  # IFA_LOCAL; IPv6 has IFA_ADDRESS only
        if raw and index in (0, at):
            found.append((int(at), f"{inet_ntop(family, raw)}/{prefix}"))
    return found


def new_bridge(name: str, mac: bytes, mtu: int = 0) -> Message:
    """Make a bridge, down. With an address of its own it keeps it when ports come and go."""
    body = _link(0) + text(_IFLA_IFNAME, name) + attribute(_IFLA_ADDRESS, mac)
    body += number(_IFLA_MTU, mtu) if mtu else b""
    return Message(_NEWLINK, CREATE | EXCL, body + nested(_IFLA_LINKINFO, text(_INFO_KIND, "bridge")))


def new_veth(name: str, *, master: int, mtu: int, peer: str, peer_mac: bytes, netns_fd: int) -> Message:
    """Make a veth pair in one go: this end up and a port of ``master``, the peer already in another namespace."""
    inside = _link(0) + text(_IFLA_IFNAME, peer) + attribute(_IFLA_ADDRESS, peer_mac) + number(_IFLA_MTU, mtu)
    data = nested(_INFO_DATA, attribute(_PEER, inside + number(_IFLA_NET_NS_FD, netns_fd)))
    body = _link(0, up=True) + text(_IFLA_IFNAME, name) + number(_IFLA_MTU, mtu) + number(_IFLA_MASTER, master)
    return Message(_NEWLINK, CREATE | EXCL, body + nested(_IFLA_LINKINFO, text(_INFO_KIND, "veth"), data))


def set_up(index: int) -> Message:
    """Bring an interface up."""
    return Message(_NEWLINK, 0, _link(index, up=True))


def set_alias(index: int, alias: str) -> Message:
    """Write the free text of an interface."""
    return Message(_SETLINK, 0, _link(index) + text(_IFLA_IFALIAS, alias))


def set_master(index: int, master: int) -> Message:
    """Make an interface a port of a bridge, and bring it up."""
    return Message(_SETLINK, 0, _link(index, up=True) + number(_IFLA_MASTER, master))


def set_port(index: int, *, hairpin: bool, isolated: bool) -> Message:
    """May a bridge port send a frame back to where it came from? May it not talk to other isolated ports?"""
    flags = attribute(_BRPORT_HAIRPIN, bytes((hairpin,))) + attribute(_BRPORT_ISOLATED, bytes((isolated,)))
    return Message(_SETLINK, 0, pack("=BxHiII", _AF_BRIDGE, 0, index, 0, 0) + nested(_IFLA_PROTINFO, flags))


def delete_link(index: int) -> Message:
    """Delete an interface: 13-26 ms, because the kernel waits for readers."""
    return Message(_DELLINK, 0, _link(index))


def add_address(index: int, cidr: str) -> Message:
    """Give an interface an address. One that is there already is refused with EEXIST."""
    family, raw, prefix = packed(cidr)
    body = pack("=BBBBI", family, prefix, 0, 0, index) + attribute(2, raw) + attribute(1, raw)
    if family == AF_INET and prefix < 31:
        value = int.from_bytes(raw, "big") | (1 << 32 - prefix) - 1
        body += attribute(4, value.to_bytes(4, "big"))  # IFA_BROADCAST
    if family == AF_INET6:
        body += number(8, 0x02)  # IFA_F_NODAD: the lease already says that nobody else has it
    return Message(_NEWADDR, CREATE | EXCL, body)


def add_route(index: int, destination: str, gateway: str) -> Message:
    """Add a route (``0.0.0.0/0`` for the default one); without a gateway the destination is on the link."""
    family, raw, prefix = packed(destination)
    scope = 0 if gateway else 253
    body = pack("=BBBBBBBBI", family, prefix, 0, 0, 254, 3, scope, 1, 0)  # main table, boot protocol, unicast
    body += attribute(1, raw) if prefix else b""
    body += attribute(5, packed(gateway)[1]) if gateway else b""
    return Message(_NEWROUTE, CREATE | EXCL, body + number(4, index))


def set_neighbour(index: int, address: str, mac: bytes) -> Message:
    """Tell this end who has an address now, where a former owner may still be remembered."""
    family, raw, _ = packed(address)
    body = pack("=BxHiHBB", family, 0, index, 0x04, 0, 0)  # NUD_STALE: verified on use
    return Message(_NEWNEIGH, CREATE | _REPLACE, body + attribute(1, raw) + attribute(2, mac))


def packed(cidr: str) -> tuple[int, bytes, int]:
    """Family, bytes and prefix length of an address, with or without a prefix.

    Raises:
        OSError: not an address.
    """
    address, slash, prefix = cidr.partition("/")
    family = AF_INET6 if ":" in address else AF_INET
    raw = inet_pton(family, address)
    return family, raw, int(prefix) if slash else len(raw) * 8


def open_inside(netns_fd: int, interface: str = "") -> Netlink:
    """A route socket in another network namespace; only a short-lived thread ever goes there.

    On the occasion an ``interface`` in there is told not to believe what its neighbours say about routers.

    Raises:
        OSError: not a network namespace, or not allowed.
    """

    def work() -> Netlink:
        if interface:
            try:
                with open(f"/proc/sys/net/ipv6/conf/{interface}/accept_ra", "w") as file:
                    file.write("0")
            except OSError:
                pass  # no IPv6 in this kernel, or /proc/sys is not ours to write
        return Netlink(_netlink.ROUTE)

    return in_namespace(netns_fd, work)  # type: ignore[no-any-return]


def in_namespace(netns_fd: int, work: Callable[[], Any]) -> Any:
    """Run ``work`` in a thread of its own that has moved to a network namespace, and return its result."""
    import _thread

    result: list[Any] = []
    failures: list[BaseException] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            _setns(netns_fd)
            result.append(work())
        except BaseException as error:
            failures.append(error)
        finally:
            done.release()

    _thread.start_new_thread(run, ())
    with done:
        pass
    if failures:
        raise failures[0]
    return result[0]


def _setns(netns_fd: int) -> None:
    import ctypes  # 3 ms: os.setns is Python 3.12's

    if ctypes.CDLL(None, use_errno=True).setns(netns_fd, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"cannot enter the network namespace: {os.strerror(error)}")


def _link(index: int, *, up: bool = False) -> bytes:
    return pack("=BxHiII", 0, 0, index, _IFF_UP if up else 0, _IFF_UP if up else 0)
