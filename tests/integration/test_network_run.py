"""Networks from the command line to packets: run, ports, names, inspect, and nothing left when it is over."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.integration.web import SERVE, get, wait_until_served

pytestmark = pytest.mark.integration


@pytest.fixture
def start(pyctl: Any, busybox: str) -> Iterator[Callable[..., str]]:
    """``start(*flags)`` runs a web server detached and returns the container ID."""
    started: list[str] = []

    def run(*flags: str, command: str = SERVE) -> str:
        container_id: str = pyctl("run", "-d", *flags, busybox, "sh", "-c", command).out
        started.append(container_id)
        if command == SERVE:
            wait_until_served(pyctl, container_id)
        return container_id

    yield run
    if started:
        pyctl("rm", "-f", *started)


def _inspect(pyctl: Any, name: str) -> dict[str, Any]:
    (found,) = json.loads(pyctl("inspect", name).stdout)
    return dict(found)


def test_a_published_port_serves_and_is_shown_by_port(pyctl: Any, start: Callable[..., str]) -> None:
    container_id = start("-p", "18080:80")
    assert get("http://127.0.0.1:18080/") == "served"
    assert pyctl("port", container_id).out == "80/tcp -> 0.0.0.0:18080"


def test_the_long_form_of_a_port_is_one_port_in_spite_of_its_commas(pyctl: Any, start: Callable[..., str]) -> None:
    container_id = start("-p", "published=18086,target=80,protocol=tcp")
    assert get("http://127.0.0.1:18086/") == "served"
    assert pyctl("port", container_id).out == "80/tcp -> 0.0.0.0:18086"


def test_an_automatic_port_is_shown_and_serves(pyctl: Any, start: Callable[..., str]) -> None:
    container_id = start("-p", "127.0.0.1::80")
    address, _, port = pyctl("port", container_id, "80").out.rpartition(":")
    assert address == "127.0.0.1"
    assert get(f"http://127.0.0.1:{port}/") == "served"


def test_a_port_in_use_is_refused_and_leaves_nothing(pyctl: Any, start: Callable[..., str], busybox: str) -> None:
    start("-p", "18081:80")
    done = pyctl("run", "-d", "-p", "18081:80", busybox, "true", ok=False)
    assert done.code == 125
    assert "Bind for 0.0.0.0:18081 failed: port is already allocated" in done.stderr


def test_a_strangers_port_is_refused(pyctl: Any, busybox: str) -> None:
    with socket.socket() as stranger:
        stranger.bind(("0.0.0.0", 18082))
        stranger.listen()
        done = pyctl("run", "--rm", "-p", "18082:80", busybox, "true", ok=False)
    assert done.code == 125
    assert "port is already allocated" in done.stderr


def test_containers_find_each_other_by_name(pyctl: Any, start: Callable[..., str], busybox: str) -> None:
    start("--name", "server-by-name")
    loop = "for i in 1 2 3 4 5 6 7 8 9 10; do wget -q -O - http://server-by-name/ && exit 0; sleep 1; done; exit 1"
    assert pyctl("run", "--rm", busybox, "sh", "-c", loop).out == "served"


def test_the_network_of_another_container_is_shared(pyctl: Any, start: Callable[..., str], busybox: str) -> None:
    container_id = start()
    mine = pyctl("exec", container_id, "ip", "-4", "addr", "show", "eth0").out
    assert pyctl("run", "--rm", "--network", f"container:{container_id}", busybox, "ip", "-4", "addr", "show", "eth0").out == mine


def test_none_has_loopback_only_and_host_has_the_hosts_links(pyctl: Any, busybox: str) -> None:
    links = pyctl("run", "--rm", "--network", "none", busybox, "ls", "/sys/class/net").out
    assert links == "lo"
    shown = pyctl("run", "--rm", "--network", "host", busybox, "ip", "link").out
    assert "lo" in shown and "eth0" not in shown


def test_a_chosen_address_is_given_and_refused_to_a_second_container(pyctl: Any, start: Callable[..., str], busybox: str) -> None:
    container_id = start("--ip", "10.4.0.200")
    assert "10.4.0.200/24" in pyctl("exec", container_id, "ip", "-4", "addr", "show", "eth0").out
    done = pyctl("run", "--rm", "--ip", "10.4.0.200", busybox, "true", ok=False)
    assert done.code == 125
    assert "Address already in use" in done.stderr


def test_a_stopped_container_starts_with_its_ports_again(pyctl: Any, start: Callable[..., str]) -> None:
    container_id = start("-p", "18083:80")
    assert get("http://127.0.0.1:18083/") == "served"
    pyctl("stop", "-t", "0", container_id)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("0.0.0.0", 18083))
    pyctl("start", container_id)
    wait_until_served(pyctl, container_id)
    assert get("http://127.0.0.1:18083/") == "served"


def test_an_automatic_port_stays_over_a_restart_unless_somebody_has_taken_it(pyctl: Any, start: Callable[..., str]) -> None:
    container_id = start("-p", "127.0.0.1:0:80")
    address = pyctl("port", container_id, "80").out
    pyctl("restart", "-t", "0", container_id)
    assert pyctl("port", container_id, "80").out == address
    pyctl("stop", "-t", "0", container_id)
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        pyctl("start", container_id)
        assert pyctl("port", container_id, "80").out not in (address, "")


def test_an_unknown_network_is_named(pyctl: Any, busybox: str) -> None:
    done = pyctl("run", "--rm", "--network", "nowhere", busybox, "true", ok=False)
    assert done.code == 125
    assert "network nowhere not found" in done.stderr


def test_the_default_network_lists_who_is_connected(pyctl: Any, start: Callable[..., str]) -> None:
    container_id = start("--name", "connected-one")
    (network,) = json.loads(pyctl("network", "inspect", "bridge").stdout)
    entry = network["Containers"][container_id]
    assert entry["Name"] == "connected-one"
    assert entry["IPv4Address"].startswith("10.4.0.") and entry["IPv4Address"].endswith("/24")
    assert network["IPAM"]["Config"] == [{"Subnet": "10.4.0.0/24", "Gateway": "10.4.0.1"}]
    names = pyctl("network", "ls", "--format", "{{.Name}} {{.Driver}}").out.splitlines()
    assert names == ["bridge bridge", "host host", "none null"]
