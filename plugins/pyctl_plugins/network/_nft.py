"""Published ports, masquerade and isolation: one nftables table of ours, looked at and changed over netlink.

The table and what belongs to a whole network are written by ``nft`` in one transaction, once; what belongs to a
container are elements of maps, a few microseconds each, found again by their comment.
"""

from __future__ import annotations

import os
from struct import pack

from pyctl_hookspecs import PyctlError, UnsupportedError
from pyctl_plugins.network import _layout, _legacy, _netlink
from pyctl_plugins.network._elements import Element
from pyctl_plugins.network._netlink import CREATE, Message, Netlink, attribute, nested, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyctl_plugins.network._conflist import BridgeConfig

_TABLE = "pyctl"
_INET, _IP, _IP6 = 1, 2, 10
_GETTABLE, _GETCHAIN, _GETRULE, _DELRULE = 0xA01, 0xA04, 0xA07, 0xA08
_NEWELEMENT, _GETELEMENT, _DELELEMENT = 0xA0C, 0xA0D, 0xA0E
_BEGIN, _END = 16, 17
_COMMENT_BYTES = 120  # of 128; what tells tags apart stands at their end


class Table:
    """The table in the network namespace of this thread. ``runtime_dir`` remembers what was written.

    The records serve one end: when somebody flushed the rules, all that should be there is written again. A tag names
    the connection to which ports belong.
    """

    def __init__(self, runtime_dir: str) -> None:
        self._ports, self._bridges = f"{runtime_dir}/ports", f"{runtime_dir}/bridges"
        self._netlink = Netlink(_netlink.NETFILTER)

    def close(self) -> None:
        """Close the socket, without waiting for what was deleted to be gone from memory."""
        self._netlink.close_aside()

    def ensure(self, config: BridgeConfig) -> bool:
        """Make sure that the table knows a network; True if it did not. Costs microseconds once it does.

        Raises:
            UnsupportedError: there is no nft to set it up with.
            PyctlError: nft refused.
        """
        about = _layout.about(config)
        if self._knows(config.bridge, about):
            return False
        from pyctl_plugins.network import _records

        with _records.Lock(self._ports):
            if self._knows(config.bridge, about):
                return False  # somebody was faster
            self._sweep(config.bridge)
            self._introduce(config)
        return True

    def confirm(self, config: BridgeConfig) -> bool:
        """To be called once a new bridge exists: until then somebody's ``sweep`` may have taken it for one that is gone."""
        from pyctl_plugins.network import _records

        with _records.Lock(self._ports):
            if self._knows(config.bridge, _layout.about(config)):
                return False
            self._introduce(config)
        return True

    def sweep(self) -> list[str]:
        """Forget every bridge that is gone although nobody told us, because another tool removed its network; their names.

        What stays in the table would hold for the next network of that name or subnet, whoever makes it.
        """
        from pyctl_plugins.network import _records

        with _records.Lock(self._ports):
            return self._sweep("")

    def check(self, config: BridgeConfig) -> bool:
        """``ensure`` for somebody with time (5-20 ms): every rule and every element of the network is looked at.

        Raises:
            UnsupportedError, PyctlError: as ``ensure``.
        """
        if self.ensure(config):
            return True
        from pyctl_plugins.network import _records

        with _records.Lock(self._ports):
            if self._count_rules() != _layout.RULE_COUNT:
                self._rebuild(config)
                return True
            lines = _layout.elements(config)
            if not _records.exists(self._bridges, config.bridge):
                _records.write(self._bridges, config.bridge, lines)
            if not run_nft(_layout.ask_for(config, lines)):
                return False
            _run(_layout.add(lines), config.bridge)
            return True

    def forget(self, config: BridgeConfig) -> None:
        """Take a network out of the table; one that is not there counts as taken out."""
        from pyctl_plugins.network import _records

        with _records.Lock(self._ports):
            known = _records.read(self._bridges, config.bridge)
            _records.remove(self._bridges, config.bridge)
            if self._exists(_GETCHAIN, _INET, _layout.VERSION) and (known or self._knows(config.bridge, None)):
                _run(_layout.delete(known or _layout.elements(config)), config.bridge)

    def let_forward(self, bridge: str, families: Iterable[str] = ("ip",)) -> list[str]:
        """Where the host filters forwarded packets (Docker's DROP), let this bridge's pass: our table decides the rest.

        Returns the families in which it had to be said.
        """
        changed = []
        for name in families:
            is_new = _legacy.let_forward(bridge, f"pyctl:{bridge}", 6 if name == "ip6" else 4)
            if not self._lets_forward(name, bridge):
                from pyctl_plugins.network import _records

                with _records.Lock(self._ports):
                    if not self._lets_forward(name, bridge):
                        self._insert_accepts(name, bridge)
                        is_new = True
            if is_new:
                changed.append(name)
        return changed

    def stop_forwarding(self, bridge: str) -> None:
        """Undo ``let_forward``; where nothing was said, nothing is unsaid."""
        for family, number in ((_IP, 4), (_IP6, 6)):
            _legacy.stop_forwarding(bridge, f"pyctl:{bridge}", number)
            where = pack(">BBH", family, 0, 0) + text(1, "filter") + text(2, "FORWARD")
            handles = [_netlink.attributes(rule, 4)[3] for rule in self._accepts(family, bridge)]
            if handles:
                self._commit([Message(_DELRULE, 0, where + attribute(3, handle)) for handle in handles])

    def add(self, tag: str, elements: Sequence[Element]) -> None:
        """Publish ports in one transaction; repeating it changes nothing. What nobody's record knows makes room.

        Raises:
            FileExistsError: a port leads somewhere else already.
            OSError: refused.
        """
        if not elements:
            return
        from pyctl_plugins.network import _records

        _records.write(self._ports, tag, [element.line() for element in elements])
        try:
            self._change(_NEWELEMENT, CREATE, elements, _comment_of(tag))
        except FileExistsError:
            known = {_comment_of(other) for other, _ in _records.read_all(self._ports)} - {_comment_of(tag)}
            self.take_back([element for element in elements if self._label(element) not in (None, *known)])
            self._change(_NEWELEMENT, CREATE, elements, _comment_of(tag))

    def remove(self, tag: str) -> list[Element]:
        """Take back every port of a tag, and say which. Finds them by comment; the record is left to the caller."""
        found = self.elements_of(tag)
        if found:
            try:
                self._change(_DELELEMENT, 0, found, "")
            except FileNotFoundError:
                return self.remove(tag)  # somebody removed one of them meanwhile
        return found

    def take_back(self, elements: Sequence[Element]) -> None:
        """Delete single elements.

        Raises:
            FileNotFoundError: one is gone already; nothing was deleted.
        """
        if elements:
            self._change(_DELELEMENT, 0, elements, "")

    def elements_of(self, tag: str) -> list[Element]:
        """Every port of a tag that the table has. Without a record of them all maps are searched."""
        from pyctl_plugins.network import _records

        comment = _comment_of(tag)
        try:
            recorded = [Element.parse(line) for line in _records.read(self._ports, tag)]
        except ValueError:
            recorded = []  # torn
        if recorded:
            return [element for element in recorded if self._label(element) == comment]
        found = []
        for name in _layout.MAPS:
            found += [element for element, label in self._elements(name, comment.encode()) if label == comment]
        return found

    def comments(self) -> set[str]:
        """The tags (their ends, if they are long) of all ports in the table."""
        return {label for name in _layout.MAPS for _, label in self._elements(name, b"")}

    def _sweep(self, spared: str) -> list[str]:
        from pyctl_plugins.network import _records

        kept, gone = [], {}
        for name, lines in _records.read_all(self._bridges):
            if name == spared or _is_interface(name):
                kept.append(lines)
            else:
                gone[name] = lines
        if gone and self._exists(_GETCHAIN, _INET, _layout.VERSION):
            # Another network may have the same subnet by now.
            script = _layout.add([line for lines in kept for line in lines])
            if run_nft("".join(map(_layout.delete, gone.values())) + script):
                for lines in gone.values():  # one that nft does not like is no reason to keep the others
                    run_nft(_layout.delete(lines) + script)
        for name in gone:
            _records.remove(self._bridges, name)
            self.stop_forwarding(name)
        return list(gone)

    def _introduce(self, config: BridgeConfig) -> None:
        from pyctl_plugins.network import _records

        if not self._exists(_GETCHAIN, _INET, _layout.VERSION):
            self._rebuild(config)
            return
        known = _records.read(self._bridges, config.bridge)
        lines = _layout.elements(config)
        if not known and self._knows(config.bridge, None):  # the same bridge with other settings
            known = [*(f'{name} {{ "{config.bridge}" }}' for name in ("bridges", "closed", "internal"))]
            known.append(f'same {{ "{config.bridge}" . "{config.bridge}" }}')
        _run(_layout.delete(known) + _layout.add(lines), config.bridge)
        _records.write(self._bridges, config.bridge, lines)

    def _rebuild(self, config: BridgeConfig) -> None:
        """The whole table anew, for everybody who is in the records."""
        from pyctl_plugins.network import _records

        lines = _layout.elements(config)
        script = "delete table inet pyctl\n" if self._exists(_GETTABLE, _INET, "") else ""
        script += _layout.LAYOUT + _layout.add(lines)
        others = [known for name, known in _records.read_all(self._bridges) if name != config.bridge]
        if run_nft(script + "".join(_layout.add(known) for known in others)):
            _run(script, config.bridge)  # a record that nft does not like is no reason to refuse this network
            for known in others:
                run_nft(_layout.add(known))
        _records.write(self._bridges, config.bridge, lines)
        for tag, records in _records.read_all(self._ports):
            try:
                self._change(_NEWELEMENT, CREATE, [Element.parse(line) for line in records], _comment_of(tag))
            except (ValueError, KeyError, OSError):
                continue  # a torn or outdated record is nobody's port

    def _insert_accepts(self, name: str, bridge: str) -> None:
        # Plain matches only: anything richer makes iptables call the whole chain incompatible.
        refusal = run_nft(
            "".join(
                f'insert rule {name} filter FORWARD {direction} "{bridge}" counter accept comment "pyctl:{bridge}"\n'
                for direction in ("iifname", "oifname")
            )
        )
        if refusal:
            raise PyctlError(f"nft refused to let {bridge} through {name} filter FORWARD: {refusal}")

    def _lets_forward(self, name: str, bridge: str) -> bool:
        family = _IP6 if name == "ip6" else _IP
        if not self._exists(_GETCHAIN, family, "FORWARD", "filter"):
            return True  # nobody filters there
        return len(self._accepts(family, bridge)) >= 2

    def is_isolated_by_cni(self, bridge: str) -> bool:
        """Did CNI's firewall plug-in, for another tool's container, write rules for this bridge? It never takes them back."""
        return any(self._rules(family, "CNI-ISOLATION-STAGE-1", bridge) for family in (_IP, _IP6))

    def _accepts(self, family: int, bridge: str) -> list[bytes]:
        return self._rules(family, "FORWARD", f"pyctl:{bridge}")

    def _rules(self, family: int, chain: str, word: str) -> list[bytes]:
        """The rules of a chain of iptables' filter table that have this word; none where there is no such chain."""
        query = pack(">BBH", family, 0, 0) + text(1, "filter") + text(2, chain)
        mark = f"{word}\0".encode()
        try:
            return [rule for rule in self._netlink.dump(Message(_GETRULE, 0, query)) if mark in rule]
        except FileNotFoundError:
            return []

    def _count_rules(self) -> int:
        query = pack(">BBH", _INET, 0, 0) + text(1, _TABLE)
        mark = text(1, _TABLE)
        try:
            return sum(mark in rule for rule in self._netlink.dump(Message(_GETRULE, 0, query)))
        except FileNotFoundError:
            return 0

    def _knows(self, bridge: str, about: str | None) -> bool:
        query = pack(">BBH", _INET, 0, 0) + text(1, _TABLE) + text(2, "bridges")
        query += nested(3, nested(1, nested(1, attribute(1, bridge.encode().ljust(16, b"\0")))))
        answer = self._netlink.get(Message(_GETELEMENT, 0, query))
        return answer is not None and (about is None or about.encode() + b"\0" in answer)

    def _exists(self, kind: int, family: int, chain: str, table: str = _TABLE) -> bool:
        body = pack(">BBH", family, 0, 0)
        body += text(1, table) + text(3, chain) if chain else text(1, table)
        return self._netlink.get(Message(kind, 0, body)) is not None

    def _label(self, element: Element) -> str | None:
        """The comment of whatever is under this element's key now."""
        query = pack(">BBH", _INET, 0, 0) + text(1, _TABLE) + text(2, element.map_name)
        query += nested(3, nested(1, nested(1, attribute(1, element.key))))
        answer = self._netlink.get(Message(_GETELEMENT, 0, query))
        for raw in _list(_netlink.attributes(answer or b"", 4).get(3, b"")):
            return _comment(_netlink.attributes(raw).get(6, b""))
        return None

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
        messages = []
        for element in elements:
            parts = [nested(1, attribute(1, element.key))]
            if kind == _NEWELEMENT:
                parts += [nested(2, attribute(1, element.data)), attribute(6, _userdata(comment))]
            body = pack(">BBH", _INET, 0, 0) + text(1, _TABLE) + text(2, element.map_name) + nested(3, nested(1, *parts))
            messages.append(Message(kind, flags, body))
        self._commit(messages)

    def _commit(self, messages: Sequence[Message]) -> None:
        frame = pack(">BBH", 0, 0, 10)  # the subsystem of a batch is nf_tables
        self._netlink.transaction(Message(_BEGIN, 0, frame), messages, Message(_END, 0, frame))


def _is_interface(name: str) -> bool:
    from _socket import if_nametoindex

    try:
        return if_nametoindex(name) > 0
    except OSError:
        return False


def run_nft(script: str) -> str:
    """Give a script to ``nft -f -`` as one transaction; the answer is empty, or the reason why nothing happened.

    Raises:
        UnsupportedError: no nft.
    """
    from pyctl_plugins.network import _programs

    program = _programs.find("nft")
    if not program:
        raise UnsupportedError("network driver bridge needs nft, which is not installed", hint="install the package nftables")
    source, output = os.memfd_create("nft-in"), os.memfd_create("nft-out")
    try:
        os.write(source, script.encode())
        os.lseek(source, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        pid = os.posix_spawn(program, [program, "-f", "-"], {"LC_ALL": "C"}, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            return ""
        os.lseek(output, 0, os.SEEK_SET)
        lines = os.read(output, 4096).decode(errors="replace").splitlines()
        return next((line for line in lines if "Error" in line), lines[0] if lines else f"exit status {status}")
    finally:
        os.close(source)
        os.close(output)


def _run(script: str, bridge: str) -> None:
    refusal = run_nft(script)
    if refusal:
        raise PyctlError(f"nft refused the rules of bridge {bridge}: {refusal}")


def _comment_of(tag: str) -> str:
    return tag[-_COMMENT_BYTES:]


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
