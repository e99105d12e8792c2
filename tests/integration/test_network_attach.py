"""Several networks, aliases, namespaces of others, and networks that change while a container runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.integration.conftest import Pyctl
from tests.integration.web import SERVE, get, wait_until_served

pytestmark = pytest.mark.integration

ONE, TWO = "10.99.1", "10.99.2"


@pytest.fixture
def networks(pyctl: Pyctl) -> Iterator[tuple[str, str]]:
    """Two networks, ``one`` and ``two``, on 10.99.1.0/24 and 10.99.2.0/24."""
    made: list[str] = []
    try:
        for network, prefix in (("one", ONE), ("two", TWO)):
            pyctl("network", "create", "--subnet", f"{prefix}.0/24", network)
            made.append(network)
        yield "one", "two"
    finally:
        if made:
            pyctl("network", "rm", *made)


@pytest.fixture
def start(pyctl: Pyctl, busybox: str, networks: tuple[str, str]) -> Iterator[Callable[..., str]]:
    """``start(*flags)`` runs a container detached and returns its ID."""
    started: list[str] = []

    def run(*flags: str, command: tuple[str, ...] = ("sleep", "600")) -> str:
        container_id: str = pyctl("run", "-d", *flags, busybox, *command).out
        started.append(container_id)
        return container_id

    yield run
    if started:
        pyctl("rm", "-f", *started)


def _addresses(pyctl: Pyctl, name: str) -> dict[str, str]:
    """IPv4 addresses by interface, from inside."""
    lines = pyctl("exec", name, "ip", "-4", "-o", "addr").stdout.splitlines()
    return {fields[1]: fields[3].partition("/")[0] for fields in map(str.split, lines) if fields[1] != "lo"}


def _default_route(pyctl: Pyctl, name: str) -> str:
    found: str = pyctl("exec", name, "ip", "route", "show", "default").out
    return found.partition(" dev ")[0].removeprefix("default via ")


def _connected(pyctl: Pyctl, name: str) -> dict[str, Any]:
    (found,) = json.loads(pyctl("inspect", name).stdout)
    return dict(found["NetworkSettings"]["Networks"])


def _resolves(pyctl: Pyctl, inside: str, name: str) -> str:
    """The address a name has inside a container, empty if it has none."""
    lines = pyctl("exec", inside, "cat", "/etc/hosts").stdout.splitlines()
    return next((fields[0] for fields in map(str.split, lines) if name in fields[1:]), "")


def test_networks_become_eth0_and_eth1_with_their_own_values(pyctl: Pyctl, start: Callable[..., str]) -> None:
    second = f"name=two,ip={TWO}.20,mac-address=02:42:00:00:00:77,alias=store"
    container_id = start("--network", "one", "--network", second, "--ip", f"{ONE}.10", "--network-alias", "db")
    assert _addresses(pyctl, container_id) == {"eth0": f"{ONE}.10", "eth1": f"{TWO}.20"}
    assert _default_route(pyctl, container_id) == f"{ONE}.1"
    found = _connected(pyctl, container_id)
    assert (found["one"]["Aliases"], found["two"]["Aliases"]) == (["db"], ["store"])
    assert found["two"]["MacAddress"] == "02:42:00:00:00:77"
    assert found["two"]["IPAMConfig"] == {"IPv4Address": f"{TWO}.20"}
    assert found["two"]["DNSNames"][1:] == ["store", container_id[:12]]


def test_the_default_route_goes_through_the_highest_priority(pyctl: Pyctl, start: Callable[..., str]) -> None:
    container_id = start("--network", "one", "--network", "name=two,gw-priority=1")
    assert _default_route(pyctl, container_id) == f"{TWO}.1"
    pyctl("restart", "-t", "0", container_id)
    assert _default_route(pyctl, container_id) == f"{TWO}.1"
    assert sorted(_addresses(pyctl, container_id)) == ["eth0", "eth1"]


def test_an_interface_may_have_a_name_of_its_own(pyctl: Pyctl, start: Callable[..., str]) -> None:
    container_id = start("--network", "one", "--network", "name=two,driver-opt=com.docker.network.endpoint.ifname=lan0")
    assert sorted(_addresses(pyctl, container_id)) == ["eth0", "lan0"]


def test_aliases_are_names_for_peers_on_that_network_only(pyctl: Pyctl, start: Callable[..., str]) -> None:
    server = start("--network", "name=one,alias=db", "--network", "two")
    on_one, on_two = start("--network", "one"), start("--network", "two")
    assert _resolves(pyctl, on_one, "db") == _addresses(pyctl, server)["eth0"]
    assert _resolves(pyctl, on_one, "db.one") == _addresses(pyctl, server)["eth0"]
    assert _resolves(pyctl, on_two, "db") == ""
    pyctl("exec", on_one, "ping", "-c1", "-W5", "db")


def test_a_stopped_container_starts_with_everything_it_was_asked_for(pyctl: Pyctl, start: Callable[..., str]) -> None:
    container_id = start("--network", f"name=one,ip={ONE}.10,alias=db", "--network", f"name=two,ip={TWO}.20")
    peer = start("--network", "one")
    pyctl("stop", "-t", "0", container_id)
    assert _resolves(pyctl, peer, "db") == ""
    pyctl("start", container_id)
    assert _addresses(pyctl, container_id) == {"eth0": f"{ONE}.10", "eth1": f"{TWO}.20"}
    assert _resolves(pyctl, peer, "db") == f"{ONE}.10"


def test_a_running_container_is_connected_and_its_peers_know_it(pyctl: Pyctl, start: Callable[..., str], name: str) -> None:
    container_id, peer = start("--name", name, "--network", "one"), start("--network", "two")
    pyctl("network", "connect", "--ip", f"{TWO}.20", "--alias", "db", "two", name)
    assert _addresses(pyctl, name) == {"eth0": f"{ONE}.2", "eth1": f"{TWO}.20"}
    assert _default_route(pyctl, name) == f"{ONE}.1"
    pyctl("exec", peer, "ping", "-c1", "-W5", "db")
    assert {*_connected(pyctl, name)} == {"one", "two"}
    (network,) = json.loads(pyctl("network", "inspect", "two").stdout)
    assert container_id in network["Containers"]
    again = pyctl("network", "connect", "two", name, ok=False)
    assert (again.code, again.stderr) == (1, f"pyctl: endpoint with name {name} already exists in network two\n")
    pyctl("restart", "-t", "0", name)
    assert _addresses(pyctl, name)["eth1"] == f"{TWO}.20"
    pyctl("exec", peer, "ping", "-c1", "-W5", "db")


def test_a_running_container_is_disconnected_and_its_peers_forget_it(pyctl: Pyctl, start: Callable[..., str], name: str) -> None:
    container_id, peer = start("--name", name, "--network", "one", "--network", "two"), start("--network", "one")
    assert _resolves(pyctl, peer, name) == f"{ONE}.2"
    pyctl("network", "disconnect", "one", name)
    assert [*_addresses(pyctl, name)] == ["eth1"]
    assert _default_route(pyctl, name) == f"{TWO}.1"
    assert _resolves(pyctl, peer, name) == ""
    assert [*_connected(pyctl, name)] == ["two"]
    again = pyctl("network", "disconnect", "one", name, ok=False)
    assert (again.code, again.stderr) == (1, f"pyctl: container {container_id} is not connected to network one\n")
    other = start("--network", f"name=one,ip={ONE}.2")
    assert _addresses(pyctl, other) == {"eth0": f"{ONE}.2"}
    pyctl("restart", "-t", "0", name)
    assert [*_addresses(pyctl, name)] == ["eth0"]


def test_the_last_network_may_go_and_another_may_come(pyctl: Pyctl, start: Callable[..., str]) -> None:
    container_id = start("--network", "one")
    pyctl("network", "disconnect", "-f", "one", container_id)
    assert _addresses(pyctl, container_id) == {} == _connected(pyctl, container_id)
    pyctl("restart", "-t", "0", container_id)
    assert _addresses(pyctl, container_id) == {}
    pyctl("network", "connect", "two", container_id)
    assert [*_addresses(pyctl, container_id)] == ["eth0"]
    assert _default_route(pyctl, container_id) == f"{TWO}.1"


def test_a_container_that_does_not_run_is_connected_at_its_start(
    pyctl: Pyctl, start: Callable[..., str], busybox: str, name: str
) -> None:
    pyctl("create", "--name", name, "--network", "one", busybox, "sleep", "600")
    try:
        pyctl("network", "connect", "--ip", f"{TWO}.20", "two", name)
        found = _connected(pyctl, name)
        assert {*found} == {"one", "two"} and found["two"]["IPAddress"] == ""
        assert "already exists in network two" in pyctl("network", "connect", "two", name, ok=False).stderr
        pyctl("network", "disconnect", "one", name)
        pyctl("start", name)
        assert _addresses(pyctl, name) == {"eth0": f"{TWO}.20"}
    finally:
        pyctl("rm", "-f", name)


def test_ports_stay_with_their_network_and_come_back_at_the_next_start(pyctl: Pyctl, start: Callable[..., str]) -> None:
    container_id = start("--network", "one", "-p", "18091:80", command=("sh", "-c", SERVE))
    wait_until_served(pyctl, container_id)
    pyctl("network", "connect", "two", container_id)
    assert get("http://127.0.0.1:18091/") == "served"
    pyctl("network", "disconnect", "one", container_id)
    assert pyctl("port", container_id).out == ""
    curl = ["curl", "-s", "--max-time", "5", "http://127.0.0.1:18091/"]
    assert subprocess.run(curl, check=False).returncode == 7  # refused
    pyctl("restart", "-t", "0", container_id)
    wait_until_served(pyctl, container_id)
    assert get("http://127.0.0.1:18091/") == "served"
    assert "80/tcp -> 0.0.0.0:18091" in pyctl("port", container_id).stdout


def test_the_default_route_follows_the_priority_of_a_network_that_comes_and_goes(pyctl: Pyctl, start: Callable[..., str]) -> None:
    container_id = start("--network", "one")
    pyctl("network", "connect", "--gw-priority", "1", "two", container_id)
    assert _default_route(pyctl, container_id) == f"{TWO}.1"
    pyctl("network", "disconnect", "two", container_id)
    assert _default_route(pyctl, container_id) == f"{ONE}.1"


def test_a_policy_brings_every_network_back(pyctl: Pyctl, start: Callable[..., str]) -> None:
    container_id = start("--network", f"name=one,ip={ONE}.10", "--restart", "always")
    pyctl("network", "connect", "--ip", f"{TWO}.20", "two", container_id)
    (before,) = json.loads(pyctl("inspect", container_id).stdout)
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        (now,) = json.loads(pyctl("inspect", container_id).stdout)
        if now["State"]["Status"] == "running" and now["State"]["Pid"] != before["State"]["Pid"]:
            break
    assert _addresses(pyctl, container_id) == {"eth0": f"{ONE}.10", "eth1": f"{TWO}.20"}


def test_many_changes_at_once_do_not_get_in_each_others_way(pyctl: Pyctl, start: Callable[..., str]) -> None:
    container_id = start("--network", "one")
    for verb, left in (("connect", ["eth0", "eth1", "eth2"]), ("disconnect", ["eth0"])):
        running = [pyctl.popen("network", verb, network, container_id) for network in ("two", "bridge")]
        assert [process.wait(60) for process in running] == [0, 0]
        assert sorted(_addresses(pyctl, container_id)) == left


def test_networks_that_do_not_go_together_are_refused(pyctl: Pyctl, start: Callable[..., str]) -> None:
    of = {kind: start("--network", kind) for kind in ("one", "none", "host")}
    for kind, network, words in (
        ("one", "host", "container cannot be disconnected from host network or connected to host network"),
        ("one", "none", "with one of the networks in private (none) mode"),
        ("none", "one", "with one of the networks in private (none) mode"),
        ("host", "one", "container sharing network namespace with another container or host"),
        ("one", "nonesuch", "network nonesuch not found"),
    ):
        done = pyctl("network", "connect", network, of[kind], ok=False)
        assert done.code == 1 and words in done.stderr, (kind, network)
    assert "No such container: nobody" in pyctl("network", "connect", "one", "nobody", ok=False).stderr


def test_an_alias_on_the_default_network_is_refused(pyctl: Pyctl, start: Callable[..., str], busybox: str) -> None:
    done = pyctl("run", "--rm", "--network-alias", "db", busybox, "true", ok=False)
    assert done.code == 125 and "network-scoped aliases are only supported for user-defined networks" in done.stderr
    done = pyctl("network", "connect", "--alias", "db", "bridge", start("--network", "one"), ok=False)
    assert done.code == 1 and "network-scoped alias is supported only for containers in user defined networks" in done.stderr


def test_a_namespace_of_somebody_else_is_joined_and_looked_at_again(
    pyctl: Pyctl, networks: tuple[str, str], busybox: str, name: str
) -> None:
    subprocess.run(["ip", "netns", "add", "pyctl-it"], check=True)
    try:
        subprocess.run(["ip", "-n", "pyctl-it", "addr", "add", "127.9.9.9/8", "dev", "lo"], check=True)
        pyctl("create", "--name", name, "--network", "ns:/run/netns/pyctl-it", busybox, "sleep", "600")
        pyctl("start", name)
        assert "127.9.9.9" in pyctl("exec", name, "ip", "addr").stdout
        pyctl("stop", "-t", "0", name)
        subprocess.run(["ip", "netns", "del", "pyctl-it"], check=True)
        assert "No such network namespace: /run/netns/pyctl-it" in pyctl("start", name, ok=False).stderr
    finally:
        pyctl("rm", "-f", name, ok=False)
        subprocess.run(["ip", "netns", "del", "pyctl-it"], check=False, capture_output=True)
    done = pyctl("run", "--rm", "--network", "ns:/etc/hostname", busybox, "true", ok=False)
    assert done.code == 125 and "/etc/hostname is no network namespace" in done.stderr


def test_a_shared_network_is_found_again_after_its_owner_restarted(pyctl: Pyctl, start: Callable[..., str]) -> None:
    owner = start("--network", "one", "--network", "two")
    guest = start("--network", f"container:{owner}")
    pyctl("stop", "-t", "0", guest)
    pyctl("restart", "-t", "0", owner)
    pyctl("start", guest)
    assert _addresses(pyctl, guest) == _addresses(pyctl, owner)


def test_a_created_container_publishes_when_it_starts(pyctl: Pyctl, busybox: str, networks: tuple[str, str], name: str) -> None:
    ports = ("-P", "--expose", "81", "-p", "18092:80")
    pyctl("create", "--name", name, "--network", "one", "--network", "two", *ports, busybox, "sh", "-c", SERVE)
    try:
        pyctl("start", name)
        wait_until_served(pyctl, name)
        assert get("http://127.0.0.1:18092/") == "served"
        assert pyctl("port", name, "80").stdout.splitlines()[0] == "0.0.0.0:18092"
        assert int(pyctl("port", name, "81").stdout.splitlines()[0].rpartition(":")[2]) >= 32768
    finally:
        pyctl("rm", "-f", name)
