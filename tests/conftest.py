"""The whole run: its order, and a limit for each test."""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import Any

import pytest
from tests.integration.engines import VERSIONS

LIMIT_S = 240  # a test that waits for what never comes fails by name instead of holding everything up


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no daemon first, because it says sooner what is wrong."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is not None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several workers (``tests/run``): the tests of one containerd version belong to one of them, others go by file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByVersion(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            parameters = nodeid.rpartition("[")[2].rstrip("]").split("-")
            return next((one for one in parameters if one in VERSIONS), nodeid.partition("::")[0])

    return ByVersion(config, log)


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
