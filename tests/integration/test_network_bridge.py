"""Bridge networks of every kind with real containers: what ``port``, ``ps`` and ``inspect`` say, and who gets through."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.integration.conftest import Done, Pyctl
from tests.integration.web import SERVE, get, wait_until_served

pytestmark = pytest.mark.integration


@pytest.fixture
def network(pyctl: Pyctl) -> Iterator[Callable[..., str]]:
    """``network(name, *flags)`` creates one; all are removed at the end."""
    made: list[str] = []

    def create(name: str, *flags: str) -> str:
        pyctl("network", "create", *flags, name)
        made.append(name)
        return name

    yield create
    if made:
        pyctl("network", "rm", *made)


@pytest.fixture
def start(pyctl: Pyctl, busybox: str, network: Callable[..., str]) -> Iterator[Callable[..., str]]:
    """``start(*flags)`` runs a web server detached and returns the container ID; gone before the networks go."""
    started: list[str] = []

    def run(*flags: str) -> str:
        container_id: str = pyctl("run", "-d", *flags, busybox, "sh", "-c", SERVE).out
        started.append(container_id)
        wait_until_served(pyctl, container_id)
        return container_id

    yield run
    if started:
        pyctl("rm", "-f", *started)


def _fetch_inside(pyctl: Pyctl, container: str, url: str) -> Done:
    return pyctl("exec", container, "timeout", "3", "wget", "-q", "-O", "-", url, ok=False)


def _endpoint(pyctl: Pyctl, container: str, name: str) -> dict[str, Any]:
    (found,) = json.loads(pyctl("inspect", container).stdout)
    return dict(found["NetworkSettings"]["Networks"][name])


def test_a_port_is_published_on_both_families_and_shown_so(
    pyctl: Pyctl, network: Callable[..., str], start: Callable[..., str]
) -> None:
    network("both", "--ipv6", "--subnet", "10.91.0.0/24", "--subnet", "fd91::/64")
    container = start(
        "--network", "both", "--ip6", "fd91::99", "-p", "18080:80", "-p", "[::1]:18081:80", "-p", "0.0.0.0:18082:80"
    )
    for url in ("127.0.0.1:18080", "[::1]:18080", "localhost:18080", "[::1]:18081", "127.0.0.1:18082", "[fd91::1]:18080"):
        assert get(f"http://{url}/") == "served", url
    lines = ["0.0.0.0:18080", "[::]:18080", "[::1]:18081", "0.0.0.0:18082"]
    assert sorted(pyctl("port", container).out.splitlines()) == sorted(f"80/tcp -> {line}" for line in lines)
    shown = pyctl("ps", "--format", "{{.Ports}}").out.split(", ")
    assert sorted(shown) == sorted(f"{line}->80/tcp" for line in lines)
    (found,) = json.loads(pyctl("inspect", container).stdout)
    bindings = found["HostConfig"]["PortBindings"]["80/tcp"]
    assert [one["HostIp"] for one in bindings] == ["", "::1", "0.0.0.0"]
    assert {one["HostIp"] for one in found["NetworkSettings"]["Ports"]["80/tcp"]} == {"0.0.0.0", "::", "::1"}
    endpoint = _endpoint(pyctl, container, "both")
    assert (endpoint["GlobalIPv6Address"], endpoint["GlobalIPv6PrefixLen"], endpoint["IPv6Gateway"]) == (
        "fd91::99",
        64,
        "fd91::1",
    )
    assert (endpoint["IPPrefixLen"], endpoint["Gateway"]) == (24, "10.91.0.1")


def test_ports_of_both_families_are_the_same_after_a_restart(
    pyctl: Pyctl, network: Callable[..., str], start: Callable[..., str]
) -> None:
    network("both", "--ipv6", "--subnet", "10.91.0.0/24", "--subnet", "fd91::/64")
    container = start("--network", "both", "-p", "18080:80")
    before = pyctl("port", container).out
    pyctl("restart", "-t", "0", container)
    wait_until_served(pyctl, container)
    assert pyctl("port", container).out == before
    assert get("http://[::1]:18080/") == "served"


def test_an_internal_network_is_reached_from_the_host_and_leads_nowhere(
    pyctl: Pyctl, network: Callable[..., str], start: Callable[..., str]
) -> None:
    network("inside", "--internal", "--subnet", "10.92.0.0/24")
    one, two = start("--network", "inside", "-p", "18083:80", "--name", "inside-one"), start("--network", "inside")
    address = _endpoint(pyctl, one, "inside")["IPAddress"]
    assert get(f"http://{address}/") == "served"
    assert _fetch_inside(pyctl, two, "http://inside-one/").out == "served"
    assert "default" not in pyctl("exec", one, "ip", "route").out
    assert pyctl("port", one).out == ""
    outsider = start()
    assert _fetch_inside(pyctl, outsider, f"http://{address}/").code != 0


def test_containers_that_must_not_reach_each_other(pyctl: Pyctl, network: Callable[..., str], start: Callable[..., str]) -> None:
    network("apart", "-o", "icc=false", "--subnet", "10.93.0.0/24")
    one, two = start("--network", "apart", "-p", "18084:80"), start("--network", "apart")
    address = _endpoint(pyctl, one, "apart")["IPAddress"]
    assert get("http://127.0.0.1:18084/") == "served"
    assert _fetch_inside(pyctl, two, f"http://{address}/").code != 0
    assert _fetch_inside(pyctl, two, "http://10.93.0.1:18084/").out == "served"


def test_a_network_takes_everything_with_it(pyctl: Pyctl, network: Callable[..., str], start: Callable[..., str]) -> None:
    """The container's end of the veth dies after the container: its bridge must go all the same, at once."""
    pyctl("network", "create", "--ipv6", "--subnet", "10.94.0.0/24", "--subnet", "fd94::/64", "brief")
    container = start("--network", "brief", "-p", "18085:80")
    pyctl("rm", "-f", container)
    pyctl("network", "rm", "brief")
    assert "br-" not in subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    assert "10.94.0" not in rules and "fd94" not in rules


def test_a_full_subnet_is_one_line_and_leaves_nothing(
    pyctl: Pyctl, network: Callable[..., str], start: Callable[..., str], busybox: str
) -> None:
    network("tiny", "--subnet", "10.95.0.0/30")
    start("--network", "tiny")
    done = pyctl("run", "-d", "--network", "tiny", "-p", "80", busybox, "true", ok=False)
    assert done.code == 125
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("pyctl: no available IPv4 addresses on this network's address pools: tiny (")
    )


def test_a_range_serves_many_at_once_and_nobody_twice(pyctl: Pyctl, network: Callable[..., str], busybox: str) -> None:
    network("crowd", "--ipv6", "--subnet", "10.96.0.0/24", "--subnet", "fd96::/64")
    names = [f"crowd{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        flags = ("--network", "crowd", "-p", "18100-18105:80", "-p", "80")
        list(pool.map(lambda name: pyctl("run", "-d", "--name", name, *flags, busybox, "sh", "-c", SERVE), names))
    lines = [line for name in names for line in pyctl("port", name).out.splitlines()]
    assert len(lines) == len(set(lines)) == 6 * 4
    assert {f"80/tcp -> 0.0.0.0:{port}" for port in range(18100, 18106)} <= set(lines)
    wait_until_served(pyctl, *names)
    for name in names:
        for line in pyctl("port", name).out.splitlines():
            address, _, port = line.rpartition(" ")[2].rpartition(":")
            assert get(f"http://{'127.0.0.1' if address == '0.0.0.0' else '[::1]'}:{port}/") == "served"
    pyctl("rm", "-f", *names)
