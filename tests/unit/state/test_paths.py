"""Paths below the data root."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pyctl.state import paths


@pytest.mark.parametrize("path", sorted(paths._KNOWN_HASHES))
def test_a_hash_known_by_heart_is_the_hash(path: str) -> None:
    assert hashlib.sha256(path.encode()).hexdigest()[:8] == paths._KNOWN_HASHES[path]


def test_the_hash_is_of_the_socket_itself_not_of_a_link_to_it(tmp_path: Path) -> None:
    socket = tmp_path / "real.sock"
    socket.touch()
    (tmp_path / "link.sock").symlink_to(socket)
    expected = hashlib.sha256(str(socket).encode()).hexdigest()[:8]
    assert paths.address_hash(f"unix://{tmp_path}/link.sock") == expected
