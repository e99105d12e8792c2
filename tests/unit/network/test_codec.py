"""The netlink codec against pyroute2, and the bytes of map elements against what nft writes."""

from __future__ import annotations

from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from pyctl_hookspecs import PortMapping
from pyctl_plugins.network import _elements, _layout, _netlink, _rtnetlink
from pyctl_plugins.network._netlink import Message


def _decode(kind: Any, message: Message) -> Any:
    header = (len(message.body) + 16).to_bytes(4, _netlink.ORDER) + message.kind.to_bytes(2, _netlink.ORDER) + bytes(10)
    decoded = kind(header + message.body)
    decoded.decode()
    return decoded


def test_a_bridge() -> None:
    link = _decode(ifinfmsg, _rtnetlink.new_bridge("br0", bytes.fromhex("024200000001"), 1400))
    assert link.get_attr("IFLA_IFNAME") == "br0"
    assert link.get_attr("IFLA_ADDRESS") == "02:42:00:00:00:01"
    assert link.get_attr("IFLA_MTU") == 1400
    assert link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == "bridge"
    assert not link["change"] & 1  # up only once its settings are made


def test_a_veth_with_its_peer_in_another_namespace() -> None:
    message = _rtnetlink.new_veth("veth0", master=7, mtu=1500, peer="eth0", peer_mac=bytes.fromhex("02420a040002"), netns_fd=9)
    link = _decode(ifinfmsg, message)
    assert (link.get_attr("IFLA_IFNAME"), link.get_attr("IFLA_MASTER")) == ("veth0", 7)
    peer = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "VETH_INFO_PEER")
    assert peer.get_attr("IFLA_IFNAME") == "eth0"
    assert peer.get_attr("IFLA_ADDRESS") == "02:42:0a:04:00:02"
    assert peer.get_attr("IFLA_NET_NS_FD") == 9


def test_addresses() -> None:
    address = _decode(ifaddrmsg, _rtnetlink.add_address(3, "10.4.0.2/24"))
    assert (address["prefixlen"], address["index"]) == (24, 3)
    assert address.get_attr("IFA_LOCAL") == "10.4.0.2"
    assert address.get_attr("IFA_BROADCAST") == "10.4.0.255"
    assert _decode(ifaddrmsg, _rtnetlink.add_address(3, "fd00::2/64")).get_attr("IFA_ADDRESS") == "fd00::2"


def test_routes() -> None:
    route = _decode(rtmsg, _rtnetlink.add_route(3, "0.0.0.0/0", "10.4.0.1"))
    assert (route["dst_len"], route["table"], route["type"]) == (0, 254, 1)
    assert (route.get_attr("RTA_GATEWAY"), route.get_attr("RTA_OIF")) == ("10.4.0.1", 3)
    on_link = _decode(rtmsg, _rtnetlink.add_route(3, "10.5.0.0/16", ""))
    assert (on_link.get_attr("RTA_DST"), on_link["dst_len"], on_link["scope"]) == ("10.5.0.0", 16, 253)


def test_a_neighbour() -> None:
    neighbour = _decode(ndmsg, _rtnetlink.set_neighbour(3, "10.4.0.2", bytes.fromhex("02420a040002")))
    assert (neighbour["ifindex"], neighbour["state"]) == (3, 4)
    assert neighbour.get_attr("NDA_DST") == "10.4.0.2"
    assert neighbour.get_attr("NDA_LLADDR") == "02:42:0a:04:00:02"


def test_attributes_survive_odd_lengths_and_the_nested_flag() -> None:
    data = _netlink.text(1, "abc") + _netlink.nested(2, _netlink.number(5, 42)) + b"\0"
    found = _netlink.attributes(data)
    assert found[1] == b"abc\0"
    assert _netlink.attributes(found[2])[5] == (42).to_bytes(4, _netlink.ORDER)


def test_loopback_is_found_without_root() -> None:
    with _netlink.Netlink(_netlink.ROUTE) as route:
        link = _rtnetlink.find_link(route, "lo")
        assert link is not None and link.index == 1
        assert _rtnetlink.find_link(route, "nosuchlink") is None
        assert "lo" in [one.name for one in _rtnetlink.links(route)]
        assert all("/" in text for _, text in _rtnetlink.addresses(route, 1))


def test_a_refusal_has_the_kernels_reason() -> None:
    with _netlink.Netlink(_netlink.ROUTE) as route, pytest.raises(OSError, match="No such device"):
        route.change(_rtnetlink.set_up(2**30))


@pytest.mark.parametrize(
    ("port", "address", "map_name", "key", "data"),
    [
        (PortMapping(container_port=80, host_port=8080), "10.4.0.2", "ports4", "060000001f900000", "0a04000200500000"),
        (
            PortMapping(container_port=53, host_port=53, protocol="udp", host_ip="127.0.0.1"),
            "10.4.0.2",
            "bound4",
            "7f0000011100000000350000",
            "0a04000200350000",
        ),
        (
            PortMapping(container_port=80, host_port=80, host_ip="::"),
            "fd00::2",
            "ports6",
            "0600000000500000",
            "fd00000000000000000000000000000200500000",
        ),
    ],
)
def test_a_port_is_one_map_element(port: PortMapping, address: str, map_name: str, key: str, data: str) -> None:
    (element,) = _elements.published(port, address)
    assert (element.map_name, element.key.hex(), element.data.hex()) == (map_name, key, data)
    assert (element.host_port, element.protocol) == (port.host_port, {"tcp": 6, "udp": 17}[port.protocol])
    assert _elements.Element.parse(element.line()) == element


def test_a_port_for_every_ipv6_address_is_one_for_loopback_too() -> None:
    port = PortMapping(container_port=80, host_port=8080, host_ip="::")
    everywhere, loopback, source = _elements.published(port, "fd00::2", "fd00::1")
    assert (everywhere.map_name, loopback.map_name, source.map_name) == ("ports6", "bound6", "local6")
    assert loopback.key == _rtnetlink.packed(_layout.LOOPBACK6)[1] + everywhere.key
    assert (loopback.data, source.key) == (everywhere.data, everywhere.key)
    assert source.data == _rtnetlink.packed("fd00::1")[1]
    assert _elements.published(port.replace(host_ip="::1"), "fd00::2", "fd00::1") == [loopback, source]
    assert {element.host_port for element in (everywhere, loopback, source)} == {8080}
