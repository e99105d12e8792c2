"""Ports the keeper holds for containers."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from pyctl.keeper.ports import FIRST, LAST, PortError, Ports
from pyctl_hookspecs import ConflictError, InvalidArgumentError

if TYPE_CHECKING:
    from tests.unit.keeper.conftest import Keeper

HERE = "127.0.77.7"  # loopback, and nobody else's
ANY = [[HERE, 0, "tcp"]]


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
        except OSError:
            return False
    return True


def test_a_held_port_is_taken_for_everybody_else(keeper: Keeper) -> None:
    ((_, port, _),) = keeper("hold_ports", ports=ANY)["ports"]
    assert FIRST <= port <= LAST
    assert not is_free(port)
    with pytest.raises(ConflictError, match="port is already allocated"):
        keeper("hold_ports", container="c2", ports=[[HERE, port, "tcp"]])
    keeper("release_ports")
    assert is_free(port)


def test_holding_again_gives_the_same_ports(keeper: Keeper) -> None:
    wish = [[HERE, 0, "tcp"], [HERE, 0, "udp"]]
    first = keeper("hold_ports", ports=wish)["ports"]
    assert keeper("hold_ports", ports=wish)["ports"] == first
    assert keeper("hold_ports", ports=first)["ports"] == first


def test_a_port_somebody_else_listens_on_is_refused(keeper: Keeper) -> None:
    with socket.socket() as other:
        other.bind((HERE, 0))
        other.listen(1)
        with pytest.raises(ConflictError, match=rf"^Bind for {HERE}:{other.getsockname()[1]} failed: port is already allocated$"):
            keeper("hold_ports", ports=[[HERE, other.getsockname()[1], "tcp"]])
    assert keeper.status()["ports"] == {}


def test_a_failure_leaves_what_was_held_before(keeper: Keeper) -> None:
    (first,) = keeper("hold_ports", ports=ANY)["ports"]
    (other,) = keeper("hold_ports", container="c2", ports=ANY)["ports"]
    with pytest.raises(ConflictError):
        keeper("hold_ports", ports=[[HERE, 0, "tcp"], [HERE, 0, "udp"], other])
    assert keeper.status()["ports"] == {"ns-c1": [first], "ns-c2": [other]}


def test_ports_outlive_a_killed_keeper(keeper: Keeper) -> None:
    ((_, port, _),) = keeper("hold_ports", ports=ANY)["ports"]
    keeper.kill()
    assert is_free(port)
    keeper("ping")
    assert not is_free(port)
    assert keeper("hold_ports", ports=ANY)["ports"] == [[HERE, port, "tcp"]]


def test_ports_may_be_given_as_json_text(keeper: Keeper) -> None:
    assert keeper("hold_ports", ports=json.dumps(ANY))["ports"][0][0] == HERE


@pytest.mark.parametrize("entry", [[HERE, 70000, "tcp"], [HERE, 1, "icmp"], ["192.0.2.1", 0, "tcp"], ["x"], "x"])
def test_what_cannot_be_held_is_an_error_not_a_crash(keeper: Keeper, entry: object) -> None:
    with pytest.raises(InvalidArgumentError):
        keeper("hold_ports", ports=[entry])
    assert keeper("ping")["ok"]


def test_two_protocols_may_have_one_number() -> None:
    number = next(port for port in range(LAST, FIRST, -1) if is_free(port) and is_free(port, socket.SOCK_DGRAM))
    ports = Ports()
    ports.hold("a", [(HERE, number, "tcp")])
    ports.hold("b", [(HERE, number, "udp")])
    with pytest.raises(PortError):
        ports.hold("c", [(HERE, number, "udp")])
    assert ports.containers() == ["a", "b"]
    ports.release("a")
    ports.release("b")
    ports.release("b")
    assert ports.containers() == []


def test_a_port_without_an_address_is_held_for_both_families() -> None:
    ports = Ports()
    ((address, number, _),) = ports.hold("a", [("", 0, "tcp")])
    assert address == ""
    for family, everywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.socket(family) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((everywhere, number))
    with pytest.raises(PortError, match=f"Bind for 0.0.0.0:{number} failed: port is already allocated"):
        ports.hold("b", [("0.0.0.0", number, "tcp")])
    with pytest.raises(PortError, match=f"Bind for 0.0.0.0:{number} failed: port is already allocated"):
        ports.hold("b", [("", number, "tcp")])
    ports.release("a")
