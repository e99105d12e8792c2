"""Leases are made and dropped beside the work; nothing is asked of the daemon under one that does not exist yet."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.ops.leases import leased
from pyctl.ops.session import Session
from pyctl.ops.settings import Settings
from pyctl_hookspecs.errors import PyctlError, UnavailableError


class Call:
    """A call under way until ``answer``."""

    def __init__(self, log: list[str], name: str, error: PyctlError | None = None) -> None:
        self._log, self._name, self._error = log, name, error
        self._over = threading.Event()

    def answer(self) -> Call:
        self._over.set()
        return self

    def result(self, timeout_s: float | None = None) -> object:
        assert self._over.wait(10)
        self._log.append(self._name)
        if self._error is not None:
            raise self._error
        return None


class Leases:
    def __init__(self, making: Call, deleting: Call, log: list[str]) -> None:
        self._making, self._deleting, self._log = making, deleting, log

    def start_create(self, lease_id: str, labels: dict[str, str]) -> Call:
        return self._making

    def start_delete(self, lease_id: str) -> Call:
        return self._deleting

    def delete(self, lease_id: str, *, sync: bool = False) -> None:
        self._log.append("deleted at once")


def session_with(leases: Leases) -> Session:
    settings = Settings(
        mode="rootful",
        address="/nowhere/containerd.sock",
        namespace="ns",
        data_root="/nowhere/data",
        runtime_dir="/nowhere/run",
        cni_netconfpath="/nowhere/net.d",
        cgroup_manager="cgroupfs",
    )
    session = Session(settings)
    client: Any = SimpleNamespace(leases=leases, close=lambda: None)
    client.with_lease = lambda lease_id: client
    session._client = client
    return session


def test_the_host_waits_for_its_lease_and_the_session_for_the_end_of_it() -> None:
    log: list[str] = []
    making, deleting = Call(log, "made"), Call(log, "deleted")
    session = session_with(Leases(making, deleting, log))
    with leased(session) as host:
        assert log == []
        making.answer()
        assert host.client is session.client
        assert log == ["made"]
    assert "deleted" not in log
    deleting.answer()
    session.close()
    assert log[-1] == "deleted"


def test_after_a_failure_the_lease_is_gone_when_the_error_comes_out() -> None:
    log: list[str] = []
    session = session_with(Leases(Call(log, "made").answer(), Call(log, "deleted"), log))
    with pytest.raises(ValueError, match="work"), leased(session):
        raise ValueError("work")
    assert log == ["made", "deleted at once"]


def test_a_lease_that_could_not_be_made_fails_the_work_under_it() -> None:
    log: list[str] = []
    session = session_with(Leases(Call(log, "made", UnavailableError("gone")).answer(), Call(log, "deleted"), log))
    with pytest.raises(UnavailableError, match="gone"), leased(session) as host:
        _ = host.client


def test_a_lease_that_could_not_be_dropped_is_left_to_a_later_command() -> None:
    log: list[str] = []
    deleting = Call(log, "deleted", UnavailableError("gone")).answer()
    session = session_with(Leases(Call(log, "made").answer(), deleting, log))
    with leased(session) as host:
        _ = host.client
    session.close()
    assert log[-1] == "deleted"
