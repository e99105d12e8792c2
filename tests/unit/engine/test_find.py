"""Which daemon a command talks to, without any daemon: sockets that answer, sockets left behind, no sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyctl.engine import managed, places
from pyctl.engine.find import find, is_vacant
from pyctl_hookspecs import UnavailableError


@pytest.fixture
def settings(tmp_path: Path) -> SimpleNamespace:
    return SimpleNamespace(address=f"{tmp_path}/c.sock", data_root=f"{tmp_path}/data", runtime_dir=f"{tmp_path}/run")


@pytest.fixture
def listener(settings: SimpleNamespace) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(settings.address)
        server.listen()
        yield server


def test_a_system_daemon_that_answers_wins(settings: SimpleNamespace, listener: socket.socket) -> None:
    found = find(settings)

    assert (found.address, found.is_managed, found.notices) == (settings.address, False, ())


def test_our_running_engine_is_used_without_a_word(settings: SimpleNamespace) -> None:
    ours = places.places(settings)
    os.makedirs(ours.runtime)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(ours.address)
        server.listen()
        found = find(settings)

    assert (found.address, found.is_managed, found.notices) == (ours.address, True, ())


def test_a_socket_left_behind_is_vacant(settings: SimpleNamespace, listener: socket.socket) -> None:
    assert not is_vacant(settings.address)
    listener.close()
    assert is_vacant(settings.address)


def program(folder: Path, name: str, text: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_missing_programs_are_named_together(settings: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managed, "_search_path", lambda ours: str(ours.binaries))

    with pytest.raises(UnavailableError, match="containerd, containerd-shim-runc-v2, runc or crun not found"):
        find(settings)


def test_crun_stands_in_for_a_missing_runc(settings: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("containerd", "containerd-shim-runc-v2", "crun"):
        program(tmp_path / "bin", name)
    monkeypatch.setattr(managed, "_search_path", lambda ours: f"{ours.binaries}:{tmp_path}/bin")
    ours = places.places(settings)

    assert managed._programs(ours) == f"{tmp_path}/bin/containerd"
    assert os.readlink(f"{ours.binaries}/runc") == f"{tmp_path}/bin/crun"


def test_a_daemon_that_dies_is_reported_with_its_last_words_and_its_log(
    settings: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = 'case $1 in --version) echo containerd x v2.1.9 y;; *) echo "containerd: no space for it" >&2; exit 1;; esac'
    program(tmp_path / "bin", "containerd", dying)
    for name in ("containerd-shim-runc-v2", "runc"):
        program(tmp_path / "bin", name)
    monkeypatch.setattr(managed, "_search_path", lambda ours: f"{tmp_path}/bin:/usr/bin:/bin")

    with pytest.raises(UnavailableError, match="containerd did not start: containerd: no space for it") as caught:
        find(settings)
    assert caught.value.hint == f"its log is {places.places(settings).log}"
    assert managed.status(settings).pid == 0


def test_a_place_that_cannot_be_made_is_named(settings: SimpleNamespace) -> None:
    Path(settings.data_root).touch()

    with pytest.raises(UnavailableError, match=r"none can be started: .*/data: File exists"):
        find(settings)


def test_stopping_an_engine_that_never_ran_succeeds(settings: SimpleNamespace) -> None:
    assert managed.stop(settings) is False
    assert not os.path.exists(settings.runtime_dir)


def test_a_process_number_that_was_given_to_somebody_else_is_not_our_engine(settings: SimpleNamespace) -> None:
    ours = places.places(settings)
    os.makedirs(ours.runtime)
    Path(ours.pid_file).write_text(f"{os.getpid()} 1\n")

    assert managed.status(settings).pid == 0
    assert managed.stop(settings) is False


def test_only_our_own_engine_has_a_runc_root_of_its_own(settings: SimpleNamespace) -> None:
    ours = places.places(settings)
    os.makedirs(ours.runtime)
    Path(ours.config).touch()

    assert places.runc_root(ours.address) == ours.runc_root
    assert places.runc_root("/run/containerd/containerd.sock") == ""
