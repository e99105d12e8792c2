"""``network repair`` and the keeper's guard: rules that somebody flushed come back, whoever is gone leaves nothing."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from glob import glob
from time import monotonic
from typing import Any

import pytest
from tests.integration.engines import Engine
from tests.integration.waiting import until

from pyctl.containerd.client import Client
from pyctl.keeper.client import Deputy
from pyctl.ops.tasks import delete_task
from pyctl.state import netns
from pyctl_hookspecs import NotFoundError

pytestmark = pytest.mark.integration


def sh(command: str) -> str:
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def web(pyctl: Any, busybox: str, name: str) -> Iterator[str]:
    """A container with a published port; its address and port on the host."""
    pyctl("run", "-d", "--name", name, "-p", "127.0.0.1:0:80", busybox, "nc", "-ll", "-p", "80", "-e", "echo", "served")
    yield pyctl("port", name, "80/tcp").out
    pyctl("rm", "-f", name)


def is_served(address: str, seconds: float = 10.0) -> bool:
    """Does somebody answer there by then? A container's server needs a moment until it listens."""
    host, _, port = address.rpartition(":")
    until = monotonic() + seconds
    while monotonic() < until:
        try:
            with socket.create_connection((host, int(port)), 2) as client:
                if client.recv(10) == b"served\n":
                    return True
        except OSError:
            continue
    return False


def _nft() -> str:
    return sh("nft -s list ruleset")


def _has(wanted: Sequence[str]) -> bool:
    rules = _nft()
    return all(one in rules for one in wanted)


def _comes_back(change: str, *wanted: str, seconds: float = 5.0) -> bool:
    """Make a change, then follow the kernel's events until the rules are as they were."""
    assert _has(wanted)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as events:
        events.bind((0, 1 << 6))
        sh(change)
        until = monotonic() + seconds
        while not _has(wanted):
            left = until - monotonic()
            if left <= 0 or not select.select([events], [], [], left)[0]:
                return _has(wanted)
            events.recv(1 << 16)
    return True


def test_repair_says_nothing_when_nothing_is_wrong(pyctl: Any, web: str) -> None:
    assert pyctl("network", "repair").out == ""


def test_the_keeper_puts_flushed_rules_back(pyctl: Any, web: str, name: str) -> None:
    port = f". {web.rpartition(':')[2]} comment"
    for change in ("nft flush ruleset", "nft delete table inet pyctl", "nft flush table inet pyctl"):
        assert _comes_back(change, "masquerade", port), change
    assert is_served(web)


def test_the_rules_of_a_foreground_container_come_back_too(pyctl: Any, busybox: str, name: str) -> None:
    run = pyctl.popen("run", "--rm", "--name", name, "-p", "127.0.0.1:0:80", busybox, "sleep", "1000", stderr=subprocess.PIPE)
    with run:
        while not (address := pyctl("port", name, "80/tcp", ok=False).out):
            assert run.poll() is None, run.stderr.read()
        assert _comes_back("nft flush ruleset", "masquerade", f". {address.rpartition(':')[2]} comment")
        pyctl("stop", "-t", "0", name)
        assert run.wait(20) == 137


def test_the_keeper_lets_bridges_pass_again_after_a_firewall_was_flushed(pyctl: Any, busybox: str, name: str) -> None:
    sh("iptables-nft -P FORWARD DROP")
    pyctl("run", "-d", "--name", name, busybox, "sleep", "1000")
    try:
        assert _comes_back("iptables-nft -F", 'iifname "nerdctl0"', 'oifname "nerdctl0"')
    finally:
        pyctl("rm", "-f", name)
        sh("iptables-nft -P FORWARD ACCEPT; nft delete table ip filter")


def test_what_a_vanished_container_had_is_taken_away(pyctl: Any, busybox: str, name: str, engine: Engine) -> None:
    ghost = "f" * 64
    pyctl("run", "-d", "--name", name, busybox, "sleep", "1000")
    netns.create(f"/run/pyctl/netns/{engine.namespace}-{ghost}")
    (leases,) = glob("/var/lib/cni/networks/bridge")
    with open(f"{leases}/10.4.0.200", "w") as lease:
        lease.write(f"{engine.namespace}-{ghost}\r\neth0")
    said = pyctl("network", "repair").out.splitlines()
    assert said == [
        f"released what container {ghost[:12]} still had of network bridge",
        f"let the network namespace of container {ghost[:12]} go",
    ]
    assert pyctl("network", "repair").out == ""
    pyctl("rm", "-f", name)


@pytest.mark.parametrize("with_directory", [True, False])
def test_a_container_that_another_tool_removed_leaves_nothing(
    pyctl: Any, web: str, name: str, engine: Engine, with_directory: bool
) -> None:
    """nerdctl takes our directory along, last of all, and with it the plan. The keeper's process comes after that, or before."""
    container_id = pyctl("inspect", "-f", "{{.Id}}", name).out
    tagged = f"{engine.namespace}-{container_id}"
    assert tagged in _nft() and glob(f"/run/pyctl/netns/{tagged}")
    (store,) = glob(f"{engine.data_root}/*/containers/{engine.namespace}")
    store = store.removesuffix(f"/containers/{engine.namespace}")
    directory = f"{store}/containers/{engine.namespace}/{container_id}"
    with (
        Client(engine.address, engine.namespace) as client,
        closing(
            Deputy(store, "/run/pyctl", engine.namespace, [container_id], data_root=engine.data_root, holds_notes=False)
        ) as deputy,
    ):
        assert deputy.pids  # the keeper waits for us
        container = client.containers.get(container_id)
        delete_task(client, container_id)
        client.containers.delete(container_id)
        with suppress(NotFoundError):  # nobody needs it any more: the engine's garbage collector may have been quicker
            client.snapshots.remove(container.snapshotter, container.snapshot_key)
        os.unlink(f"{store}/names/{engine.namespace}/{name}")
        shutil.rmtree(f"{store}/etchosts/{engine.namespace}/{container_id}")
        if with_directory:
            shutil.rmtree(directory)
    until(lambda: tagged not in _nft() and not glob(f"/run/pyctl/netns/{tagged}") and not os.path.exists(directory))
    assert not sh(f"grep -rl {tagged} /var/lib/cni /run/pyctl/ports || true")
