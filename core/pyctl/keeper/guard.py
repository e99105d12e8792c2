"""Rules that somebody flushed are noticed: by the kernel's word where it gives one, by a look every few seconds otherwise.

Only while there are containers, and a bridge whose rules the driver has recorded or a connection made by CNI binaries:
what those wrote is not known here, so only the kernel's word that FORWARD or PREROUTING lost something counts for them.
Putting rules back is a pyctl process's job (``pyctl internal repair``); here is only what notices.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop, Timer

LOOK_S = 3.0
_DEBOUNCE_S = 0.2
_NETFILTER, _NFTABLES_GROUP, _SUBSYSTEM = 12, 7, 10
_GET_CHAIN, _GET_RULE, _GET_ELEMENT = 0xA04, 0xA07, 0xA0D
_DEL_TABLE, _DEL_CHAIN, _DEL_RULE = 0xA02, 0xA05, 0xA08
_INET, _FAMILIES = 1, (2, 10)
_SO_ATTACH_FILTER = 26
_OLD_TABLES = {2: ("/proc/net/ip_tables_names", 0), 10: ("/proc/net/ip6_tables_names", 41)}  # and getsockopt's level
_SO_GET_INFO, _SO_GET_ENTRIES = 64, 65
_OUR_TABLE, _FORWARD = b"pyctl\0", b"FORWARD\0"
_CNI_RESULTS = "/var/lib/cni/results"
_INFO, _SIZE_AT = 84, 80  # of struct ipt_getinfo: name, hooks, 5 entry points, 5 underflows, number of entries, their size
_ENTRIES_AT = 40  # of struct ipt_get_entries: name, size, padding


class Guard:
    """``lost(done)`` is called when rules are missing: it has them put back, and calls ``done`` afterwards."""

    def __init__(
        self, loop: Loop, bridges_dir: str, lost: Callable[[Callable[[], None]], None], note: Callable[[str], None]
    ) -> None:
        self._loop, self._bridges_dir, self._lost, self._note = loop, bridges_dir, lost, note
        self._events: _socket.socket | None = None
        self._asker: _socket.socket | None = None
        self._timer: Timer | None = None
        self._hurry: Timer | None = None
        self._hopeless: set[str] = set()  # missing although it was repaired: a bridge that nobody uses any more
        self._is_repairing = self._is_told = self._is_broken = False

    def set_needed(self, is_needed: bool) -> None:
        """Begin or end: to be called whenever that may have changed; costs nothing when it has not."""
        if is_needed and self._timer is None and not self._is_broken:
            self._begin()
        elif not is_needed and self._timer is not None:
            self._end()

    def missing(self) -> set[str]:
        """What the driver has recorded, or was there a moment ago, and is not there now. Takes some dozen microseconds.

        Raises:
            OSError: the kernel refuses to say.
        """
        bridges = self._bridges()
        if not bridges:
            return set()
        found = {f"the rules of bridge {bridge}" for bridge in bridges if not self._has_element(bridge)}
        # With its network, by another tool, or by somebody's mistake: the repair knows.
        found.update(f"bridge {bridge}" for bridge in bridges if not _is_interface(bridge))
        for family in _FAMILIES:
            wanted = bridges if family == _FAMILIES[0] else [bridge for bridge in bridges if self._has_ipv6(bridge)]
            if not wanted:
                continue
            for where, rules in (("FORWARD", self._rules(family)), ("the old FORWARD", _old_rules(family))):
                if rules is not None:
                    found.update(f"bridge {bridge} in {where} {family}" for bridge in wanted if not _passes(bridge, rules))
        return found

    def _begin(self) -> None:
        try:
            self._events = _listener()
            self._asker = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, _NETFILTER)
            self._asker.settimeout(1.0)
            self._asker.bind((0, 0))
        except OSError as error:
            self._note(f"flushed rules will not be noticed: {error}")
            self._is_broken = True
            self._close()
            return
        self._loop.watch(self._events.fileno(), self._read)
        self._timer = self._loop.later(_DEBOUNCE_S, self._tick)  # soon: nobody listened until now

    def _end(self) -> None:
        if self._events:
            self._loop.forget(self._events.fileno())
        for timer in (self._timer, self._hurry):
            if timer:
                timer.cancel()
        self._timer = self._hurry = None
        self._close()

    def _close(self) -> None:
        for sock in (self._events, self._asker):
            if sock:
                sock.close()
        self._events = self._asker = None

    def _tick(self) -> None:
        self._timer = self._loop.later(LOOK_S, self._tick)
        if self._is_repairing:
            return
        missing = self._look()
        self._hopeless &= missing
        if missing - self._hopeless:
            self._repair()

    def _look(self) -> set[str]:
        try:
            return self.missing()
        except OSError as error:
            self._note(f"cannot look at the rules: {error}")
            return set()

    def _read(self) -> None:
        """Everything that waits; an overrun means that something was missed."""
        assert self._events
        is_ours = False
        while True:
            try:
                data = self._events.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                is_ours = True
                continue
            is_ours = is_ours or concerns_us(data)
        if is_ours and self._is_repairing:
            self._is_told = True  # perhaps by the repair itself
        elif is_ours and self._hurry is None:
            self._hurry = self._loop.later(_DEBOUNCE_S, self._hurried)

    def _hurried(self) -> None:
        self._hurry = None
        if not self._is_repairing and (self._bridges() or _names(_CNI_RESULTS)):
            self._repair()

    def _repair(self) -> None:
        self._is_repairing, self._is_told = True, False
        self._lost(self._repaired)

    def _repaired(self) -> None:
        self._is_repairing = False
        if self._timer is None:
            return
        self._hopeless = self._look()
        if self._is_told and self._hurry is None:
            self._hurry = self._loop.later(_DEBOUNCE_S, self._hurried)

    def _bridges(self) -> list[str]:
        return [name for name in _names(self._bridges_dir) if not name.startswith(".")]

    def _has_element(self, bridge: str) -> bool:
        """Has the table's set of bridges this one?"""
        key = _attribute(1, bridge.encode().ljust(16, b"\0"))
        body = _frame(_INET) + _attribute(1, _OUR_TABLE) + _attribute(2, b"bridges\0")
        body += _attribute(0x8003, _attribute(0x8001, _attribute(0x8001, key)))
        return self._ask(_GET_ELEMENT, 0x4, body) is not None

    def _has_ipv6(self, bridge: str) -> bool:
        """An IPv6 chain has rules for bridges with IPv6 only: their records name a subnet of it."""
        try:
            with open(f"{self._bridges_dir}/{bridge}", "rb") as file:
                return b":" in file.read()
        except FileNotFoundError:
            return False

    def _rules(self, family: int) -> bytes | None:
        """A family's FORWARD chain; None if there is no such chain: nobody filters there."""
        where = _attribute(1, b"filter\0")
        if self._ask(_GET_CHAIN, 0x4, _frame(family) + where + _attribute(3, _FORWARD)) is None:
            return None
        return self._ask(_GET_RULE, 0x300, _frame(family) + where + _attribute(2, _FORWARD)) or b""

    def _ask(self, kind: int, flags: int, body: bytes) -> bytes | None:
        """All answers to a request, one after the other; None when there is no such object."""
        assert self._asker
        self._asker.send(struct.pack("=IHHII", len(body) + 16, kind, flags | 1, 1, 0) + body)
        answer = b""
        while True:
            data = self._asker.recv(1 << 17)
            offset = 0
            while offset + 16 <= len(data):
                size, what = struct.unpack_from("=IH", data, offset)
                if what == 2:  # an error, or its absence
                    (code,) = struct.unpack_from("=i", data, offset + 16)
                    if code in (0, -2):
                        return None if code else answer
                    raise OSError(-code, os.strerror(-code))
                if what == 3:  # the end of a dump
                    return answer
                answer += data[offset + 16 : offset + size]
                offset += max(size + 3 & ~3, 16)


def _is_interface(name: str) -> bool:
    try:
        return _socket.if_nametoindex(name) > 0
    except OSError:
        return False


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def concerns_us(data: bytes) -> bool:
    """Do these messages tell of something deleted from our table, or from anybody's FORWARD or PREROUTING chain?"""
    offset = 0
    while offset + 20 <= len(data):
        size, kind = struct.unpack_from("=IH", data, offset)
        if size < 20:
            return False
        if kind in (_DEL_TABLE, _DEL_CHAIN, _DEL_RULE):
            body = data[offset + 20 : offset + size]
            if _OUR_TABLE in body[:32] or any(chain in body for chain in _CHAINS):
                return True
        offset += size + 3 & ~3
    return False


def _listener() -> _socket.socket:
    """Wakes us for deletions of tables, chains and rules only: our own elements come and go all the time."""
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK, _NETFILTER)
    low, high = (4, 5) if sys.byteorder == "little" else (5, 4)  # of the message's type
    kinds = [kind & 0xFF for kind in (_DEL_TABLE, _DEL_CHAIN, _DEL_RULE)]
    program = [(0x30, 0, 0, high), (0x15, 0, len(kinds) + 1, _SUBSYSTEM), (0x30, 0, 0, low)]
    program += [(0x15, len(kinds) - position, 0, kind) for position, kind in enumerate(kinds)]
    program += [(0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)]
    code = b"".join(struct.pack("=HBBI", *one) for one in program)
    try:
        _attach(sock, code, len(program))
        sock.bind((0, 1 << (_NFTABLES_GROUP - 1)))
    except OSError:
        sock.close()
        raise
    return sock


def _attach(sock: _socket.socket, code: bytes, count: int) -> None:
    from array import array  # tells the address of what it holds

    program = array("B", code)
    sock.setsockopt(_socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", count, program.buffer_info()[0]))


def _passes(bridge: str, rules: bytes) -> bool:
    """One rule for each direction bears the bridge's name."""
    return rules.count(f"pyctl:{bridge}\0".encode()) >= 2


def _old_rules(family: int) -> bytes | None:
    """The filter table of iptables-legacy, which has no events; None where it is not used, or changes in this moment."""
    path, level = _OLD_TABLES[family]
    try:
        with open(path) as file:
            if "filter" not in file.read().split():
                return None
    except OSError:
        return None
    import ctypes  # getsockopt of ours gives nothing to the kernel; only few hosts have these rules

    libc = ctypes.CDLL(None, use_errno=True)
    sock = _socket.socket(family, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 255)

    def ask(option: int, buffer: ctypes.Array[ctypes.c_char]) -> bytes | None:
        size = ctypes.c_uint(len(buffer))
        if libc.getsockopt(sock.fileno(), level, option, buffer, ctypes.byref(size)) == 0:
            return buffer.raw
        if ctypes.get_errno() == errno.EAGAIN:
            return None
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    try:
        info = ask(_SO_GET_INFO, ctypes.create_string_buffer(b"filter", _INFO))
        if info is None:
            return None
        (size,) = struct.unpack_from("=I", info, _SIZE_AT)
        head = struct.pack("=32sI", b"filter", size)
        return ask(_SO_GET_ENTRIES, ctypes.create_string_buffer(head, _ENTRIES_AT + size))
    finally:
        sock.close()


def _frame(family: int) -> bytes:
    return struct.pack(">BBH", family, 0, 0)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


# As messages about rules and about chains name one; CNI-FORWARD loses rules whenever a container goes.
_CHAINS = tuple(_attribute(kind, name) for kind in (2, 3) for name in (_FORWARD, b"PREROUTING\0"))
