"""Containers of ours that another tool starts: ``ctr`` here, nerdctl or containerd's restart monitor elsewhere."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.engines import Engine

from pyctl.containerd.client import Client

pytestmark = pytest.mark.integration


class Created:
    """A container that waits for a signal, and a tool that starts it behind our back."""

    def __init__(self, pyctl: Any, engine: Engine, name: str) -> None:
        self._pyctl, self._engine = pyctl, engine
        self.container_id = pyctl("inspect", "-f", "{{.Id}}", name).out
        with Client(engine.address, engine.namespace) as client:
            self._log_uri = client.containers.get(self.container_id).labels["nerdctl/log-uri"]
        self.pin = f"/run/pyctl/netns/{engine.namespace}-{self.container_id}"

    def start(self) -> None:
        self._engine.ctr("tasks", "start", "--detach", "--log-uri", self._log_uri, self.container_id)
        self._pyctl("internal", "adopt", self.container_id)  # the keeper does the same: whoever is second finds it done


@pytest.fixture
def says(tmp_path: Path) -> Iterator[int]:
    """The reading end of a FIFO into which the container writes each time it starts."""
    os.mkfifo(tmp_path / "says")
    descriptor = os.open(tmp_path / "says", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def created(pyctl: Any, engine: Engine, busybox: str, name: str, says: int, tmp_path: Path) -> Iterator[Created]:
    script = "trap 'exit 3' USR1; echo said; echo x > /test/says; while :; do sleep 1000 & wait; done"
    flags = ("--ipc", "shareable", "--restart", "on-failure:1", "-v", f"{tmp_path}:/test", "--name", name)
    pyctl("create", *flags, busybox, "sh", "-c", script)
    yield Created(pyctl, engine, name)
    pyctl("rm", "-f", name)


def test_it_has_its_network_and_its_end_is_dealt_with(pyctl: Any, name: str, created: Created) -> None:
    created.start()
    address = pyctl("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name).out
    assert f"inet {address}/" in pyctl("exec", name, "ip", "address", "show", "eth0").stdout
    assert f"{address} " in pyctl("exec", name, "cat", "/etc/hosts").stdout
    pyctl("stop", "-t", "0", name)
    assert pyctl("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name).out == "exited 137"
    assert not os.path.exists(created.pin)
    created.start()
    assert pyctl("exec", name, "ip", "address", "show", "eth0").stdout.count("inet ") == 1
    assert pyctl("logs", name).stdout == "said\n" * 2


def test_its_policy_is_kept(pyctl: Any, engine: Engine, name: str, created: Created, says: int) -> None:
    created.start()
    for _ in range(2):
        assert select.select([says], [], [], 30)[0] and os.read(says, 2) == b"x\n"
        engine.ctr("tasks", "kill", "-s", "USR1", created.container_id)
    assert pyctl("wait", name).out == "3"
    assert pyctl("inspect", "-f", "{{.RestartCount}}", name).out == "1"
