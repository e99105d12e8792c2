"""The whole run: its order, and a limit for each test."""

from __future__ import annotations

import signal
from collections.abc import Generator

import pytest

LIMIT_S = 240  # a test that waits for what never comes fails by name instead of holding everything up


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no daemon first, because it says sooner what is wrong."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    def expire(*_: object) -> None:
        raise TimeoutError(f"{item.nodeid} did not finish in {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
