"""A keeper of one's own, in a short-lived data store."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyctl.keeper import client, wire


class Keeper:
    """Requests to one keeper, with what tests need to kill it and to wait for it without sleeping."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.data_root = f"{base}/root"
        self.data_store = f"{base}/root/0123abcd"
        self.runtime_dir = f"{base}/run"

    def __call__(self, command: str, /, **payload: object) -> dict[str, Any]:
        named = {"namespace": "ns", "container": "c1", **payload}
        return client.request(self.data_store, self.runtime_dir, command, named, data_root=self.data_root)

    def hand_over(self, pipe: int, *, again: bool = False) -> socket.socket:
        """Have the pipe's other end logged, as the log binary does it; readable once the keeper has gone away."""
        self("ping")  # starts one
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{wire.run_dir(self.data_store, self.runtime_dir)}/keeper.sock")
        wanted = {"command": "log_pipes", "namespace": "ns", "container": "c1", "again": again}
        reply = json.loads(wire.exchange(connection, json.dumps(wanted).encode() + b"\n", [pipe], 10))
        assert reply["ok"], reply
        return connection

    def status(self) -> dict[str, Any]:
        return self("status")

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        answer = client.request_if_running(self.data_store, self.runtime_dir, "ping", {}, data_root=self.data_root)
        assert answer, "no keeper runs"
        pid = int(answer["pid"])
        pidfd = os.pidfd_open(pid)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [])  # its lock is free a moment before its sockets are closed
        os.close(pidfd)

    def stop(self) -> None:
        client.stop(self.data_store, self.runtime_dir, data_root=self.data_root)

    def state_dir(self, container: str = "c1", **options: str) -> Path:
        path = Path(self.data_store, "containers", "ns", container)
        path.mkdir(parents=True, exist_ok=True)
        (path / "log-config.json").write_text(json.dumps({"driver": "json-file", "opts": options}))
        return path

    def wait_for_log(self, container: str = "c1") -> list[dict[str, str]]:
        """The whole log, once its writer has let go."""
        state_dir = Path(self.data_store, "containers", "ns", container)
        self.wait_for_lock(str(state_dir / "logger-lock"))
        return [json.loads(line) for line in (state_dir / f"{container}-json.log").read_text().splitlines()]

    def wait_for_lock(self, path: str) -> None:
        lock = os.open(path, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.close(lock)

    def notes(self) -> str:
        path = Path(wire.keeper_dir(self.data_store), "keeper.log")
        return path.read_text() if path.exists() else ""


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    """These tests wait for other processes; one that waits in vain fails instead of standing still."""

    def give_up(number: int, frame: object) -> None:
        raise TimeoutError("waited a minute for what did not happen")

    old = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    base = tempfile.mkdtemp(prefix="pyctl-", dir="/tmp")  # a socket's path must be short, and pytest's are not
    running = Keeper(Path(base))
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(base)
