"""Shims that containerd forgot while it broke off: processes named like one, with a bundle or without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.ops import orphans
from pyctl_hookspecs.errors import NotFoundError, UnavailableError

ID = "ab" * 32
_LISTEN = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[-1])
s.listen()
os.write(1, b"x")
sys.stdin.read()
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "bundle").mkdir()
    return tmp_path / "bundle"


@pytest.fixture
def shim(tmp_path: Path, bundle: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = ["/x/containerd-shim-test", "-c", _LISTEN, "-namespace", "ns", "-id", ID, "-address", str(tmp_path / "s")]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, executable=sys.executable, cwd=bundle, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None and process.stdout.read(1) == b"x"
        yield process
        process.kill()


def session(*, has_task: bool, namespace: str = "ns") -> Any:
    def get(container_id: str) -> object:
        if not has_task:
            raise NotFoundError("task", container_id)
        return SimpleNamespace(status="created")

    client, paths = SimpleNamespace(tasks=SimpleNamespace(get=get)), SimpleNamespace(fifo_dir=lambda _: "/nowhere")
    return SimpleNamespace(namespace=namespace, client=client, paths=paths, address="/x/containerd.sock")


def test_a_shim_without_a_bundle_is_ended_with_its_socket(tmp_path: Path, bundle: Path, shim: subprocess.Popen[bytes]) -> None:
    bundle.rmdir()
    orphans.await_creation(session(has_task=False), ID)
    assert shim.wait(10) == -9
    assert not (tmp_path / "s").exists()


def test_a_task_that_is_there_after_all_is_left_to_the_undo(bundle: Path, shim: subprocess.Popen[bytes]) -> None:
    orphans.await_creation(session(has_task=True), ID)
    assert shim.poll() is None


def test_a_daemon_that_is_still_at_it_is_waited_for_not_for_ever(
    shim: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_PATIENCE_S", 0.0)
    with pytest.raises(UnavailableError, match="has not done with the task"):
        orphans.await_creation(session(has_task=False), ID)
    assert shim.poll() is None


def test_others_are_none_of_our_business(bundle: Path, shim: subprocess.Popen[bytes]) -> None:
    bundle.rmdir()
    orphans.await_creation(session(has_task=False, namespace="other"), ID)
    orphans.await_creation(session(has_task=False), "cd" * 32)
    assert shim.poll() is None


def test_one_that_is_being_deleted_goes_by_itself(bundle: Path, shim: subprocess.Popen[bytes]) -> None:
    assert shim.stdin is not None
    shim.stdin.close()
    bundle.rmdir()
    orphans.await_deletion("ns", ID)
    assert shim.wait(10) == 0


def test_one_that_nobody_deletes_any_more_is_ended(
    bundle: Path, shim: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_DELETION_S", 0.0)
    monkeypatch.setattr(orphans, "_PATIENCE_S", 0.0)
    orphans.await_deletion("other", ID)
    assert shim.poll() is None
    with pytest.raises(UnavailableError, match="has not cleared away"):
        orphans.await_deletion("ns", ID)  # there is no daemon here that would
    assert shim.wait(10) == -9
