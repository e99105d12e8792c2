"""Our own containerd, real: started once, found again, replaced after a crash, stopped without its containers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from tests.integration import engines, images

from pyctl.engine import managed
from pyctl.engine.find import find, is_vacant
from pyctl.engine.places import places

pytestmark = pytest.mark.integration

STARTER = """
import sys
from types import SimpleNamespace
from pyctl.engine import managed
started = managed.start(SimpleNamespace(address=sys.argv[1], data_root=sys.argv[2], runtime_dir=sys.argv[3]))
print(started.pid, started.was_started)
"""


@pytest.fixture(params=engines.VERSIONS)
def settings(request: pytest.FixtureRequest, workshop: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A machine without a system daemon: containerd of one version first in PATH, a data root and a /run of its own."""
    base = f"{workshop}/own-{request.param}"
    os.makedirs(base)
    monkeypatch.setenv("PATH", f"{engines.BINARIES[request.param]}:{os.environ['PATH']}")
    mine = SimpleNamespace(address=f"{base}/nobody.sock", data_root=f"{base}/data", runtime_dir=f"{base}/run")
    yield mine
    managed.stop(mine)
    for pid in engines.processes(lambda text: base in text):
        engines.end(pid)
    engines.remove_tree(base)


def ctr(settings: SimpleNamespace, *args: str) -> str:
    command = ["ctr", f"--address={places(settings).address}", "--namespace=own", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_first_command_starts_it_and_the_second_finds_it(settings: SimpleNamespace) -> None:
    first, second = find(settings), find(settings)

    assert first.is_managed and len(first.notices) == 1
    assert second == first.replace(notices=())
    assert "Server:" in ctr(settings, "version")


def test_eight_at_once_start_one(settings: SimpleNamespace) -> None:
    command = [sys.executable, "-c", STARTER, settings.address, settings.data_root, settings.runtime_dir]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    said = [starter.communicate(timeout=60)[0].split() for starter in starters]

    assert len({pid for pid, _ in said}) == 1
    assert [was_started for _, was_started in said].count("True") == 1


def test_after_a_crash_the_next_command_starts_it_again(settings: SimpleNamespace) -> None:
    first = managed.start(settings)
    engines.end(first.pid)
    assert is_vacant(first.address)
    again = find(settings)

    assert again.is_managed and again.notices
    assert managed.status(settings).pid not in (0, first.pid)


def test_one_that_lost_its_socket_is_replaced(settings: SimpleNamespace) -> None:
    first = managed.start(settings)
    os.unlink(first.address)
    again = managed.start(settings)

    assert again.was_started and again.pid != first.pid
    assert not os.path.exists(f"/proc/{first.pid}") or managed._start_time(first.pid) == ""


def test_containers_outlive_stop_and_the_next_start_finds_them(
    settings: SimpleNamespace, registry: images.Registry, busybox_ref: str
) -> None:
    managed.start(settings)
    ctr(settings, "images", "pull", "--plain-http", busybox_ref)
    ctr(settings, "run", "--detach", busybox_ref, "sleeper", "sleep", "600")
    pid = int(ctr(settings, "tasks", "ls").split("sleeper")[1].split()[0])
    assert managed.stop(settings) is True
    assert not managed.status(settings).is_running
    os.kill(pid, 0)
    managed.start(settings)

    assert "RUNNING" in ctr(settings, "tasks", "ls")
    os.kill(pid, signal.SIGKILL)
    ctr(settings, "tasks", "rm", "-f", "sleeper")
    ctr(settings, "containers", "rm", "sleeper")


def test_it_is_private_and_says_where_it_is(settings: SimpleNamespace) -> None:
    managed.start(settings)
    status = managed.status(settings)

    assert status.is_running and not status.is_system_running
    assert status.root.startswith(settings.data_root) and os.path.exists(status.log_path)
    assert os.stat(settings.data_root).st_mode & 0o777 == 0o700
    assert status.address.startswith(settings.runtime_dir)
    assert not os.path.exists("/run/containerd/containerd.sock")
