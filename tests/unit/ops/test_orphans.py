"""Shims that containerd forgot while it broke off: processes named like one, with a bundle or without."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    argv = [str(tmp_path / "containerd-shim-test"), "-c", _LISTEN, "-namespace", "ns", "-id", ID, "-address", str(tmp_path / "s")]
    with listener(argv, bundle) as process:
        yield process


@contextmanager
def listener(argv: list[str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, executable=sys.executable, cwd=directory, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None and process.stdout.read(1) == b"x"
        yield process
        process.kill()


def session(*, has_task: bool, namespace: str = "ns", address: str = "/x/containerd.sock") -> Any:
    def get(container_id: str) -> object:
        if not has_task:
            raise NotFoundError("task", container_id)
        return SimpleNamespace(status="created")

    def get_container(container_id: str) -> object:
        raise NotFoundError("container", container_id)

    tasks, containers = SimpleNamespace(get=get), SimpleNamespace(get=get_container)
    client = SimpleNamespace(tasks=tasks, containers=containers, namespace=namespace, address=address)
    paths = SimpleNamespace(fifo_dir=lambda _: "/nowhere")
    return SimpleNamespace(namespace=namespace, client=client, paths=paths, address=address)


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


def test_a_shim_of_the_daemon_before_is_ended_when_no_runtime_works_for_it(
    tmp_path: Path, bundle: Path, shim: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(orphans, "_CLEARANCE_S", 0.0)
    address = f"{tmp_path}/containerd.sock"
    runtime = ["/x/runc", "-c", _LISTEN, "--root", "/x", "create", ID, f"{tmp_path}/r"]
    time.sleep(0.02)  # the kernel counts births in hundredths of a second
    with listener(["/x/containerd", "-c", _LISTEN, address], tmp_path):
        with listener(runtime, tmp_path), pytest.raises(UnavailableError, match="has not done with the task"):
            orphans.await_creation(session(has_task=False, address=address), ID)
        assert shim.poll() is None
        with pytest.raises(UnavailableError, match="has not cleared away"):
            orphans.await_creation(session(has_task=False, address=address), ID)
        assert shim.wait(10) == -9
        bundle.rmdir()  # as the daemon would
        orphans.await_creation(session(has_task=False, address=address), ID)


def test_others_are_none_of_our_business(bundle: Path, shim: subprocess.Popen[bytes]) -> None:
    bundle.rmdir()
    orphans.await_creation(session(has_task=False, namespace="other"), ID)
    orphans.await_creation(session(has_task=False), "cd" * 32)
    assert shim.poll() is None


def test_one_that_is_being_deleted_goes_by_itself(bundle: Path, shim: subprocess.Popen[bytes]) -> None:
    assert shim.stdin is not None
    shim.stdin.close()
    bundle.rmdir()
    orphans.await_deletion(session(has_task=False).client, ID)
    assert shim.wait(10) == 0


def test_one_that_nobody_deletes_any_more_is_ended(
    bundle: Path, shim: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_DELETION_S", 0.0)
    monkeypatch.setattr(orphans, "_CLEARANCE_S", 0.0)
    orphans.await_deletion(session(has_task=False, namespace="other").client, ID)
    assert shim.poll() is None
    with pytest.raises(UnavailableError, match="has not cleared away"):
        orphans.await_deletion(session(has_task=False).client, ID)  # no daemon here does, and there is no such shim
    assert shim.wait(10) == -9


def test_a_bundle_that_nobody_clears_away_goes_with_its_own_files_and_no_others(
    tmp_path: Path, bundle: Path, shim: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_DELETION_S", 0.0)
    monkeypatch.setattr(orphans, "_CLEARANCE_S", 0.0)
    program, work, precious = tmp_path / "containerd-shim-test", tmp_path / "work", bundle / "rootfs/precious"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit 1\n')
    program.chmod(0o755)
    work.mkdir()
    (bundle / "work").symlink_to(work)
    (bundle / "config.json").touch()
    precious.mkdir(parents=True)
    with pytest.raises(UnavailableError, match="Directory not empty"):
        orphans.await_deletion(session(has_task=False).client, ID)
    assert precious.exists() and not work.exists() and shim.wait(10) == -9
    assert (tmp_path / "asked").read_text().endswith(f"-bundle {bundle} delete\n")


def test_a_bundle_is_gone_with_the_shim_that_nobody_knew(
    tmp_path: Path, bundle: Path, shim: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_IDLE_S", 0.0)
    monkeypatch.setattr(orphans, "_CLEARANCE_S", 0.0)
    (tmp_path / "containerd-shim-test").symlink_to("/bin/true")
    (bundle / "rootfs").mkdir()
    (bundle / "config.json").touch()
    orphans.await_creation(session(has_task=False), ID)
    assert not bundle.exists() and shim.wait(10) == -9
