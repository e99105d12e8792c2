"""Address arithmetic on plain numbers: what ``ipaddress`` knows, without its import on the way to ``run``."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton


class Range:
    """The addresses a driver may hand out in one subnet, both ends included. Numbers, not texts."""

    __slots__ = ("first", "gateway", "is_v6", "last", "network", "prefix")

    def __init__(self, subnet: str, *, start: str = "", end: str = "", gateway: str = "") -> None:
        """As host-local reads it: all but the network's own address and IPv4's broadcast, gateway the first.

        Raises:
            ValueError: not a subnet, or an end or gateway outside it.
        """
        address, slash, prefix = subnet.partition("/")
        self.is_v6 = ":" in address
        bits = 128 if self.is_v6 else 32
        if not slash or not prefix.isdecimal() or int(prefix) > bits - 2:
            raise ValueError(f"subnet {subnet} has no room for containers")
        self.prefix = int(prefix)
        size = 1 << bits - self.prefix
        self.network = to_number(address) & ~(size - 1)
        self.first = to_number(start) if start else self.network + 1
        self.last = to_number(end) if end else self.network + size - (1 if self.is_v6 else 2)
        self.gateway = to_number(gateway) if gateway else self.network + 1
        for number in (self.first, self.last, self.gateway):
            if not self.network <= number < self.network + size:
                raise ValueError(f"{self.text(number)} is not in subnet {subnet}")

    @property
    def subnet(self) -> str:
        """The subnet in canonical form."""
        return f"{self.text(self.network)}/{self.prefix}"

    def covers(self, number: int) -> bool:
        """Is this number in the subnet (not only in the range)?"""
        return self.network <= number < self.network + (1 << (128 if self.is_v6 else 32) - self.prefix)

    def text(self, number: int) -> str:
        """A number as an address of this family."""
        return inet_ntop(AF_INET6 if self.is_v6 else AF_INET, number.to_bytes(16 if self.is_v6 else 4, "big"))


def to_number(address: str) -> int:
    """An address as a number.

    Raises:
        ValueError: not an address.
    """
    try:
        return int.from_bytes(inet_pton(AF_INET6 if ":" in address else AF_INET, address), "big")
    except OSError as error:
        raise ValueError(f"{address} is not an IP address") from error


def canonical(address: str) -> str:
    """An address as the kernel would write it.

    Raises:
        ValueError: not an address.
    """
    family = AF_INET6 if ":" in address else AF_INET
    try:
        return inet_ntop(family, inet_pton(family, address))
    except OSError as error:
        raise ValueError(f"{address} is not an IP address") from error
