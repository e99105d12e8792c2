"""Published ports, masquerade and isolation: one nftables table of ours, looked at and changed over netlink.

The table and what belongs to a whole network are written by ``nft`` in one transaction, once; what belongs to a
container are elements of maps, a few microseconds each, found again by their comment.
"""

from __future__ import annotations

import os
from struct import pack

from pyctl_hookspecs import PyctlError, UnsupportedError
from pyctl_plugins.network import _legacy, _netlink
from pyctl_plugins.network._netlink import CREATE, Message, Netlink, attribute, nested, text
from pyctl_plugins.network._rtnetlink import packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyctl_hookspecs import PortMapping

_TABLE = "pyctl"
_VERSION = "v1"  # an empty chain: a table of another version is replaced
_INET, _IP, _IP6 = 1, 2, 10
_GETTABLE, _GETCHAIN, _GETRULE = 0xA01, 0xA04, 0xA07
_NEWELEMENT, _GETELEMENT, _DELELEMENT = 0xA0C, 0xA0D, 0xA0E
_BEGIN, _END = 16, 17
UDP = 17
_PROTOCOLS = {"tcp": 6, "udp": UDP, "sctp": 132}
_MAPS = ("ports4", "bound4", "ports6", "bound6")

_LAYOUT = """\
create table inet pyctl
add chain inet pyctl v1
add map inet pyctl ports4 { type inet_proto . inet_service : ipv4_addr . inet_service; }
add map inet pyctl bound4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
add map inet pyctl ports6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
add map inet pyctl bound6 { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }
add set inet pyctl bridges { type ifname; }
add set inet pyctl closed { type ifname; }
add set inet pyctl same { type ifname . ifname; }
add set inet pyctl own4 { type ipv4_addr . ifname; flags interval; }
add set inet pyctl masq4 { type ipv4_addr; flags interval; }
add set inet pyctl hairpin4 { type ipv4_addr . ipv4_addr; flags interval; }
add set inet pyctl own6 { type ipv6_addr . ifname; flags interval; }
add set inet pyctl masq6 { type ipv6_addr; flags interval; }
add set inet pyctl hairpin6 { type ipv6_addr . ipv6_addr; flags interval; }
add chain inet pyctl raw { type filter hook prerouting priority raw; }
add rule inet pyctl raw iifname @bridges ip daddr 127.0.0.0/8 drop
add chain inet pyctl prerouting { type nat hook prerouting priority -105; }
add rule inet pyctl prerouting ip daddr 127.0.0.0/8 return
add rule inet pyctl prerouting dnat ip to ip daddr . meta l4proto . th dport map @bound4
add rule inet pyctl prerouting fib daddr type local dnat ip to meta l4proto . th dport map @ports4
add rule inet pyctl prerouting dnat ip6 to ip6 daddr . meta l4proto . th dport map @bound6
add rule inet pyctl prerouting fib daddr type local dnat ip6 to meta l4proto . th dport map @ports6
add chain inet pyctl output { type nat hook output priority -105; }
add rule inet pyctl output dnat ip to ip daddr . meta l4proto . th dport map @bound4
add rule inet pyctl output fib daddr type local dnat ip to meta l4proto . th dport map @ports4
add rule inet pyctl output ip6 daddr ::1 return
add rule inet pyctl output dnat ip6 to ip6 daddr . meta l4proto . th dport map @bound6
add rule inet pyctl output fib daddr type local dnat ip6 to meta l4proto . th dport map @ports6
add chain inet pyctl forward { type filter hook forward priority filter; }
add rule inet pyctl forward iifname . oifname @same accept
add rule inet pyctl forward oifname @closed ct state established,related accept
add rule inet pyctl forward oifname @closed ct status dnat accept
add rule inet pyctl forward oifname @closed drop
add chain inet pyctl postrouting { type nat hook postrouting priority srcnat; }
add rule inet pyctl postrouting oifname @bridges ip saddr 127.0.0.0/8 masquerade
add rule inet pyctl postrouting ct status dnat ip saddr . ip daddr @hairpin4 masquerade
add rule inet pyctl postrouting ct status dnat ip6 saddr . ip6 daddr @hairpin6 masquerade
add rule inet pyctl postrouting ip saddr . oifname @own4 return
add rule inet pyctl postrouting ip6 saddr . oifname @own6 return
add rule inet pyctl postrouting ip daddr 224.0.0.0/4 return
add rule inet pyctl postrouting ip6 daddr ff00::/8 return
add rule inet pyctl postrouting ip saddr @masq4 masquerade
add rule inet pyctl postrouting ip6 saddr @masq6 masquerade
"""


class Element:
    """One element of a map: host side to container side, as the kernel's bytes."""

    __slots__ = ("data", "key", "map_name")

    def __init__(self, map_name: str, key: bytes, data: bytes) -> None:
        self.map_name, self.key, self.data = map_name, key, data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Element) and self.line() == other.line()

    def __hash__(self) -> int:
        return hash(self.line())

    def line(self) -> str:
        """As one line of a record."""
        return f"{self.map_name} {self.key.hex()} {self.data.hex()}"

    @staticmethod
    def parse(line: str) -> Element:
        """What ``line`` wrote."""
        map_name, key, data = line.split()
        return Element(map_name, bytes.fromhex(key), bytes.fromhex(data))

    @property
    def protocol(self) -> int:
        """The IP protocol number of the port."""
        return self.key[-8]

    @property
    def host_port(self) -> int:
        """The port on the host."""
        return int.from_bytes(self.key[-4:-2], "big")


def published(port: PortMapping, address: str) -> Element:
    """The element that sends a port of the host to a container's address (same family; a plain address)."""
    _, raw, _ = packed(address)
    family = 6 if len(raw) == 16 else 4
    key = pack(">B3xH2x", _PROTOCOLS[port.protocol], port.host_port)
    data = raw + pack(">H2x", port.container_port)
    if port.host_ip in ("0.0.0.0", "::"):
        return Element(f"ports{family}", key, data)
    return Element(f"bound{family}", packed(port.host_ip)[1] + key, data)


class Table:
    """The table in the network namespace of this thread. ``records`` is a directory that remembers elements.

    The records serve one end: when somebody flushed the rules, all that should be there is written again.
    """

    def __init__(self, records: str) -> None:
        self._records = records
        self._netlink = Netlink(_netlink.NETFILTER)

    def close(self) -> None:
        """Close the socket, without waiting for what was deleted to be gone from memory."""
        self._netlink.close_aside()

    def ensure(self, bridge: str, subnets: Sequence[str], *, masquerade: bool, closed: bool) -> None:
        """Make sure that the table knows a network. Costs microseconds once it does.

        Raises:
            UnsupportedError: there is no nft to set it up with.
            PyctlError: nft refused.
        """
        about = f"{','.join(subnets)} masquerade={int(masquerade)} closed={int(closed)}"
        if self._knows(bridge, about):
            return
        from pyctl_plugins.network import _records

        held = _records.lock(self._records)
        try:
            if not self._knows(bridge, about):  # nobody was faster
                self._introduce(bridge, subnets, about, masquerade=masquerade, closed=closed)
        finally:
            os.close(held)

    def let_forward(self, bridge: str, families: Iterable[str] = ("ip",)) -> None:
        """Where the host filters forwarded packets (Docker's DROP), let this bridge's pass: our table decides the rest."""
        comment = f"pyctl:{bridge}"
        for name in families:
            _legacy.let_forward(bridge, comment, 6 if name == "ip6" else 4)
            if self._lets_forward(name, comment):
                continue
            from pyctl_plugins.network import _records

            held = _records.lock(self._records)
            try:
                if self._lets_forward(name, comment):
                    continue
                # Plain matches only: anything richer makes iptables call the whole chain incompatible.
                refusal = run_nft(
                    "".join(
                        f'insert rule {name} filter FORWARD {direction} "{bridge}" counter accept comment "{comment}"\n'
                        for direction in ("iifname", "oifname")
                    )
                )
                if refusal:
                    raise PyctlError(f"nft refused to let {bridge} through {name} filter FORWARD: {refusal}")
            finally:
                os.close(held)

    def add(self, token: str, elements: Sequence[Element]) -> None:
        """Publish ports in one transaction; repeating it changes nothing.

        Raises:
            FileExistsError: a port leads somewhere else already.
            OSError: refused.
        """
        if not elements:
            return
        from pyctl_plugins.network import _records

        _records.write(self._records, token, [element.line() for element in elements])
        self._change(_NEWELEMENT, CREATE, elements, token[-120:])

    def remove(self, token: str) -> list[Element]:
        """Take back every port of a token, and say which. Finds them by comment; the record is left to the caller."""
        comment = token[-120:]
        found = []
        for name in _MAPS:
            for element, label in self._elements(name, comment.encode()):
                if label == comment:
                    found.append(element)
        if found:
            try:
                self._change(_DELELEMENT, 0, found, "")
            except FileNotFoundError:
                return self.remove(token)  # somebody removed one of them meanwhile
        return found

    def _introduce(self, bridge: str, subnets: Sequence[str], about: str, *, masquerade: bool, closed: bool) -> None:
        script = ""
        present = self._exists(_GETTABLE, _INET, "")
        current = present and self._exists(_GETCHAIN, _INET, _VERSION)
        if present and not current:
            script += "delete table inet pyctl\n"
        if not current:
            script += _LAYOUT
        elif self._knows(bridge, None):  # the same bridge with other settings
            script += f'delete element inet pyctl bridges {{ "{bridge}" }}\n'
            script += f'add element inet pyctl closed {{ "{bridge}" }}\ndelete element inet pyctl closed {{ "{bridge}" }}\n'
        refusal = run_nft(script + _network(bridge, subnets, about, masquerade=masquerade, closed=closed))
        if refusal:
            raise PyctlError(f"nft refused the rules of bridge {bridge}: {refusal}")
        if not current:
            self._apply_records()

    def _lets_forward(self, name: str, comment: str) -> bool:
        family = _IP6 if name == "ip6" else _IP
        if not self._exists(_GETCHAIN, family, "FORWARD", "filter"):
            return True  # nobody filters there
        query = pack(">BBH", family, 0, 0) + text(1, "filter") + text(2, "FORWARD")
        rules = self._netlink.dump(Message(_GETRULE, 0, query))
        return sum(comment.encode() + b"\0" in rule for rule in rules) >= 2

    def _apply_records(self) -> None:
        from pyctl_plugins.network import _records

        for token, lines in _records.read_all(self._records):
            try:
                self._change(_NEWELEMENT, CREATE, [Element.parse(line) for line in lines], token[-120:])
            except (ValueError, KeyError, OSError):
                continue  # a torn or outdated record is nobody's port

    def _knows(self, bridge: str, about: str | None) -> bool:
        query = pack(">BBH", _INET, 0, 0) + text(1, _TABLE) + text(2, "bridges")
        query += nested(3, nested(1, nested(1, attribute(1, bridge.encode().ljust(16, b"\0")))))
        answer = self._netlink.get(Message(_GETELEMENT, 0, query))
        return answer is not None and (about is None or about.encode() + b"\0" in answer)

    def _exists(self, kind: int, family: int, chain: str, table: str = _TABLE) -> bool:
        body = pack(">BBH", family, 0, 0)
        body += text(1, table) + text(3, chain) if chain else text(1, table)
        return self._netlink.get(Message(kind, 0, body)) is not None

    def _elements(self, map_name: str, comment: bytes) -> list[tuple[Element, str]]:
        query = pack(">BBH", _INET, 0, 0) + text(1, _TABLE) + text(2, map_name)
        try:
            bodies = self._netlink.dump(Message(_GETELEMENT, 0, query))
        except FileNotFoundError:
            return []
        found = []
        for body in bodies:
            if comment not in body:
                continue  # a message holds dozens of elements
            for raw in _list(_netlink.attributes(body, 4).get(3, b"")):
                attrs = _netlink.attributes(raw)
                key = _netlink.attributes(attrs.get(1, b"")).get(1, b"")
                data = _netlink.attributes(attrs.get(2, b"")).get(1, b"")
                found.append((Element(map_name, key, data), _comment(attrs.get(6, b""))))
        return found

    def _change(self, kind: int, flags: int, elements: Sequence[Element], comment: str) -> None:
        frame = pack(">BBH", 0, 0, 10)  # the subsystem of a batch is nf_tables
        messages = []
        for element in elements:
            parts = [nested(1, attribute(1, element.key))]
            if kind == _NEWELEMENT:
                parts += [nested(2, attribute(1, element.data)), attribute(6, _userdata(comment))]
            body = pack(">BBH", _INET, 0, 0) + text(1, _TABLE) + text(2, element.map_name) + nested(3, nested(1, *parts))
            messages.append(Message(kind, flags, body))
        self._netlink.transaction(Message(_BEGIN, 0, frame), messages, Message(_END, 0, frame))


def run_nft(script: str) -> str:
    """Give a script to ``nft -f -`` as one transaction; the answer is empty, or the reason why nothing happened.

    Raises:
        UnsupportedError: no nft.
    """
    source, output = os.memfd_create("nft-in"), os.memfd_create("nft-out")
    try:
        os.write(source, script.encode())
        os.lseek(source, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        environment = {"PATH": os.environ.get("PATH", "/usr/bin") + ":/usr/sbin:/sbin", "LC_ALL": "C"}
        try:
            pid = os.posix_spawnp("nft", ["nft", "-f", "-"], environment, file_actions=actions)
        except FileNotFoundError as error:
            raise UnsupportedError(
                "network driver bridge needs nft, which is not installed", hint="install the package nftables"
            ) from error
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            return ""
        os.lseek(output, 0, os.SEEK_SET)
        lines = os.read(output, 4096).decode(errors="replace").splitlines()
        return next((line for line in lines if "Error" in line), lines[0] if lines else f"exit status {status}")
    finally:
        os.close(source)
        os.close(output)


def _network(bridge: str, subnets: Sequence[str], about: str, *, masquerade: bool, closed: bool) -> str:
    lines = [f'bridges {{ "{bridge}" comment "{about}" }}', f'same {{ "{bridge}" . "{bridge}" }}']
    if closed:
        lines.append(f'closed {{ "{bridge}" }}')
    for subnet in subnets:
        family = 6 if ":" in subnet else 4
        lines.append(f"hairpin{family} {{ {subnet} . {subnet} }}")
        if masquerade:
            lines += [f'own{family} {{ {subnet} . "{bridge}" }}', f"masq{family} {{ {subnet} }}"]
    return "".join(f"add element inet pyctl {line}\n" for line in lines)


def _userdata(comment: str) -> bytes:
    raw = comment.encode() + b"\0"
    return pack("BB", 0, len(raw)) + raw  # as nft writes a comment


def _comment(userdata: bytes) -> str:
    return userdata[2:].rstrip(b"\0").decode(errors="replace") if userdata[:1] == b"\0" else ""


def _list(data: bytes) -> list[bytes]:
    """The entries of a nested list, where all have one type."""
    found, offset = [], 0
    while offset + 4 <= len(data):
        size = int.from_bytes(data[offset : offset + 2], _netlink.ORDER)
        if size < 4:
            break
        found.append(data[offset + 4 : offset + size])
        offset += size + 3 & ~3
    return found
