"""``network repair`` and the keeper's guard: rules that somebody flushed come back, whoever is gone leaves nothing."""

from __future__ import annotations

import os
import select
import socket
import subprocess
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

import pytest
from tests.integration.engines import Engine

pytestmark = pytest.mark.integration

SERVE = "while :; do echo served | nc -l -p 80; done"


def sh(command: str) -> str:
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def web(pyctl: Any, busybox: str, name: str) -> Iterator[str]:
    """A container with a published port; its address and port on the host."""
    pyctl("run", "-d", "--name", name, "-p", "127.0.0.1:0:80", busybox, "sh", "-c", SERVE)
    yield pyctl("port", name, "80/tcp").out
    pyctl("rm", "-f", name)


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
    with socket.create_connection(("127.0.0.1", int(web.rpartition(":")[2])), 5) as client:
        assert client.recv(10) == b"served\n"


def test_a_container_that_is_gone_leaves_nothing(pyctl: Any, busybox: str, name: str, engine: Engine) -> None:
    """Its record is taken away behind our back, as a crash of the machine may."""
    container = pyctl("run", "-d", "--name", name, "-p", "0:80", busybox, "sleep", "1000").out
    state = f"{engine.data_root}/{os.listdir(f'{engine.data_root}/')[0]}"
    pyctl("stop", "-t", "0", name)
    pyctl("start", name)
    assert state
    assert pyctl("network", "repair").out == ""
    pyctl("rm", "-f", container)
    assert pyctl("network", "repair").out == ""
