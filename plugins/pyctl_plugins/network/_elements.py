"""Elements of the table's maps as the kernel's bytes: a port of the host, and where in a container it leads."""

from __future__ import annotations

from struct import pack

from pyctl_plugins.network import _layout
from pyctl_plugins.network._rtnetlink import packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctl_hookspecs import PortMapping
    from pyctl_plugins.network._conflist import BridgeConfig

UDP = 17
_PROTOCOLS = {"tcp": 6, "udp": UDP, "sctp": 132}


class Element:
    """One element of a map: host side to container side."""

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


def published(port: PortMapping, address: str, gateway: str = "") -> list[Element]:
    """What sends a port of the host to a container's address (same family as ``host_ip``; a plain address).

    ``gateway`` is the bridge's own IPv6 address: needed for connections to ``::1``, which is none without it.
    """
    _, raw, _ = packed(address)
    family = 6 if len(raw) == 16 else 4
    key = pack(">B3xH2x", _PROTOCOLS[port.protocol], port.host_port)
    data = raw + pack(">H2x", port.container_port)
    found = []
    if port.host_ip in ("0.0.0.0", "::"):
        found.append(Element(f"ports{family}", key, data))
    elif port.host_ip != "::1":
        found.append(Element(f"bound{family}", packed(port.host_ip)[1] + key, data))
    if port.host_ip in ("::", "::1") and gateway:
        found.append(Element("bound6", packed(_layout.LOOPBACK6)[1] + key, data))
        found.append(Element("local6", key, packed(gateway)[1]))
    return found


def of_ports(ports: Sequence[PortMapping], addresses: Sequence[str], config: BridgeConfig) -> list[Element]:
    """Everything that publishes these ports; ``addresses`` are the container's, as CIDR texts."""
    gateway = next((one.partition("/")[0] for one in config.gateways if ":" in one), "")
    found = []
    for port in ports:
        address = next(one.partition("/")[0] for one in addresses if (":" in one) == (":" in port.host_ip))
        found += published(port, address, gateway)
    return found
