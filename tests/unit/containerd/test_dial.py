"""Each way of not reaching containerd has its own words."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctl.containerd import dial
from pyctl_hookspecs.errors import InvalidArgumentError, UnavailableError


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "c.sock"))
        server.listen(0)
        yield server


def refusal(path: object) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        dial.check(str(path))
    assert str(path) in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_a_listening_socket_is_fine_in_both_spellings(listener: socket.socket) -> None:
    path = listener.getsockname()

    assert dial.check(path) == path
    listener.accept()[0].close()
    assert dial.check(f"unix://{path}") == path


def test_a_missing_socket_is_called_missing(tmp_path: Path) -> None:
    assert "does not exist" in str(refusal(tmp_path / "absent.sock"))


def test_a_path_below_a_file_is_called_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "does not exist" in str(refusal(tmp_path / "file" / "c.sock"))


def test_a_file_is_not_a_socket(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "not a socket" in str(refusal(tmp_path / "file"))


def test_a_socket_nobody_listens_on_says_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "c.sock"))

    assert "nobody answers" in str(refusal(tmp_path / "c.sock"))


def test_a_full_queue_does_not_hang(listener: socket.socket) -> None:
    path = listener.getsockname()
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(path)

        assert "does not accept connections" in str(refusal(path))


def test_a_socket_we_may_not_open_says_permission_denied(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", refuse)  # root may open everything, so nothing on disk would do

    assert "permission denied" in str(refusal(listener.getsockname()))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "run/containerd.sock", "", "npipe://x"])
def test_anything_but_a_unix_socket_is_an_invalid_address(address: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid containerd address"):
        dial.check(address)


def test_whoever_listens_is_known(listener: socket.socket, tmp_path: Path) -> None:
    assert dial.server_pid(f"unix://{listener.getsockname()}") == os.getpid()
    assert dial.server_pid(str(tmp_path / "nobody.sock")) == 0
    assert dial.server_pid(listener.getsockname()) == 0  # the first is in its queue, which is full: nobody accepts
