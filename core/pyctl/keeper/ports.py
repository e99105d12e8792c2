"""Host ports held for containers: a socket each, so that nobody else gets them."""

from __future__ import annotations

import _socket
import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FIRST, LAST = 49153, 60999  # Docker's lower bound; Linux's upper bound of ephemeral ports

Port = tuple[str, int, str]
_Held = tuple[Port, "_socket.socket | None"]
_KINDS = {"tcp": (_socket.SOCK_STREAM, 0), "udp": (_socket.SOCK_DGRAM, 0), "sctp": (_socket.SOCK_STREAM, 132)}


class PortError(Exception):
    """``code`` is conflict or invalid_argument."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Ports:
    """All held ports of a data store, by container. Not thread-safe: the keeper has one thread, and that is the lock."""

    def __init__(self) -> None:
        self._held: dict[str, list[_Held]] = {}
        self._wanted: dict[str, list[Port]] = {}
        self._next = FIRST

    def hold(self, key: str, wanted: list[Port], known: list[Port] | None = None) -> list[Port]:
        """Hold exactly these ports for a container; what it holds of them already stays.

        ``known`` are the ports an earlier keeper had chosen for the same wish. After an error everything is as before.

        Raises:
            PortError: one is taken, or its address is not on this host.
        """
        before = self._held.get(key, [])
        wished = self._wanted.get(key, [])
        reusable = dict(before)
        taken: list[_Held] = []
        fresh: list[_Held] = []
        try:
            for index, (address, number, protocol) in enumerate(wanted):
                if protocol not in _KINDS or not 0 <= number <= 65535:
                    raise PortError(f"invalid port: {address}:{number}/{protocol}", "invalid_argument")
                port = (address, known[index][1] if known else number, protocol)
                if number == 0 and index < len(wished) and wished[index] == port:
                    port = before[index][0]  # chosen by an earlier call
                if port in reusable:
                    taken.append((port, reusable.pop(port)))
                    continue
                fresh.append(self._bind(port, taken) if port[1] else self._choose(address, protocol, taken))
                taken.append(fresh[-1])
        except PortError:
            _close(fresh)
            raise
        _close(list(reusable.items()))
        self._held[key], self._wanted[key] = taken, wanted
        return self.of(key)

    def of(self, key: str) -> list[Port]:
        return [port for port, _ in self._held.get(key, ())]

    def containers(self) -> list[str]:
        return list(self._held)

    def release(self, key: str) -> None:
        """Close a container's sockets; holding none is fine."""
        self._wanted.pop(key, None)
        _close(self._held.pop(key, []))

    def _choose(self, address: str, protocol: str, taken: list[_Held]) -> _Held:
        for _ in range(LAST - FIRST + 1):
            number = self._next
            self._next = number + 1 if number < LAST else FIRST
            try:
                return self._bind((address, number, protocol), taken)
            except PortError as error:
                if error.code != "conflict":
                    raise
        raise PortError(f"all {protocol} ports between {FIRST} and {LAST} are allocated", "conflict")

    def _bind(self, port: Port, taken: list[_Held]) -> _Held:
        address, number, protocol = port
        shown = f"[{address}]" if ":" in address else address or "0.0.0.0"
        in_use = PortError(f"Bind for {shown}:{number} failed: port is already allocated", "conflict")
        kind, number_of_protocol = _KINDS[protocol]
        is_both = not address and _has_ipv6()  # one socket for IPv4 and IPv6
        family = _socket.AF_INET6 if ":" in address or is_both else _socket.AF_INET
        try:
            sock = _socket.socket(family, kind | _socket.SOCK_CLOEXEC, number_of_protocol)
        except OSError as error:
            if protocol != "sctp" or error.errno not in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
                raise PortError(f"Bind for {shown}:{number} failed: {error.strerror}", "invalid_argument") from error
            # No sctp in this kernel: nobody outside can take it, so our own table is enough.
            if any(other[1:] == port[1:] for other in self._all(taken)):
                raise in_use from error
            return port, None
        try:
            if protocol != "udp":
                sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
            if family == _socket.AF_INET6:
                sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, not is_both)
            sock.bind((address or ("::" if is_both else "0.0.0.0"), number))
            if protocol != "udp":
                sock.listen(1)  # bound alone would not keep out a second one with SO_REUSEADDR
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                raise in_use from error
            raise PortError(f"Bind for {shown}:{number} failed: {error.strerror or error}".lower(), "invalid_argument") from error
        return port, sock

    def _all(self, taken: list[_Held]) -> list[Port]:
        return [port for held in [*self._held.values(), taken] for port, _ in held]


def _has_ipv6() -> bool:
    try:
        with open("/proc/sys/net/ipv6/conf/lo/disable_ipv6") as file:
            return file.read().strip() == "0"
    except FileNotFoundError:
        return False


def _close(held: list[_Held]) -> None:
    for _, sock in held:
        if sock:
            sock.close()


def parse(raw: object, loads: Callable[[str], object]) -> list[Port]:
    """The ``ports`` field of a request: a list, or JSON text of one.

    Raises:
        ValueError: anything else.
    """
    if isinstance(raw, str):
        raw = loads(raw)
    if not isinstance(raw, list):
        raise ValueError("ports must be a list")
    ports = []
    for entry in raw:
        address, number, protocol = entry
        ports.append((str(address), int(number), str(protocol).lower()))
    return ports
