"""Sixty containers that start at once on one network: everybody gets an address and a port of their own, and all of it goes."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.integration.engines import Engine
from tests.integration.web import get, wait_until_served

pytestmark = pytest.mark.integration

CROWD = 60
AT_ONCE = 8
_SERVE = "mkdir -p /www && hostname > /www/index.html && exec httpd -f -p 80 -h /www"


@pytest.fixture
def network(pyctl: Any, busybox: str) -> Iterator[str]:
    """A network that has had a container: its bridge and the bridge's own rules stay until the network goes."""
    pyctl("network", "create", "crowd")
    pyctl("run", "--rm", "--network", "crowd", "-p", "80", busybox, "true")
    yield "crowd"
    pyctl("network", "rm", "crowd", ok=False)


def test_many_at_once_get_addresses_and_ports_of_their_own_and_leave_nothing(
    pyctl: Any, engine: Engine, busybox: str, network: str
) -> None:
    names = [f"crowd{number}" for number in range(CROWD)]
    before = _host(engine)

    def run(name: str) -> str:
        flags = ("--name", name, "--hostname", name, "--network", network, "-p", "80")
        container_id: str = pyctl("run", "-d", *flags, busybox, "sh", "-c", _SERVE, timeout_s=120).out
        return container_id

    with ThreadPoolExecutor(AT_ONCE) as pool:
        container_ids = list(pool.map(run, names))
    assert sorted(pyctl("ps", "--format", "{{.Names}}").out.splitlines()) == sorted(names)
    found = json.loads(pyctl("inspect", *container_ids).stdout)
    assert len({one["NetworkSettings"]["Networks"][network]["IPAddress"] for one in found}) == len(names)
    ports = {one["Name"].lstrip("/"): int(one["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]) for one in found}
    assert len(set(ports.values())) == len(names)
    wait_until_served(pyctl, *container_ids)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert dict(zip(ports, pool.map(_page, ports.values()), strict=True)) == {name: name for name in ports}
    pyctl("rm", "-f", *names, timeout_s=120)
    _wait_for_no_more_than(before, engine)


def _page(port: int) -> str:
    return get(f"http://127.0.0.1:{port}/")


def _host(engine: Engine) -> dict[str, list[str]]:
    """What the harness's own leak check does not compare line by line: the whole ruleset, links, pools and records.

    The keeper comes and goes as it is needed.
    """
    rules = subprocess.run(["nft", "-s", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    return {
        "rules": sorted(line.strip() for line in rules.splitlines()),
        "links": sorted(os.listdir("/sys/class/net")),
        "leases": _files("/var/lib/cni", "last_reserved_ip", "lock"),
        "records": [path for path in _files("/run/pyctl") if not path.startswith("/run/pyctl/keeper/")],
        "configurations": _files(engine.netconf_path),
    }


def _files(base: str, *without: str) -> list[str]:
    return sorted(f"{folder}/{name}" for folder, _, names in os.walk(base) for name in names if not name.startswith(without))


def _wait_for_no_more_than(before: dict[str, list[str]], engine: Engine) -> None:
    """The kernel takes links away some time after their namespaces: those of earlier containers may still go, too."""
    give_up = time.monotonic() + 15
    while (more := _more(_host(engine), before)) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not more


def _more(after: dict[str, list[str]], before: dict[str, list[str]]) -> dict[str, list[str]]:
    found = {kind: sorted((Counter(after[kind]) - Counter(before[kind])).elements()) for kind in after}
    return {kind: names for kind, names in found.items() if names}
