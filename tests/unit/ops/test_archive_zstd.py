"""Archives compressed with zstd; needs the program."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from pyctl.ops.archive_zstd import plain
from pyctl_hookspecs.errors import InvalidArgumentError, UnsupportedError

BODY = bytes(range(256)) * 20_000


def packed() -> bytes:
    return subprocess.run(["zstd", "-cq", "--check"], input=BODY, capture_output=True, check=True).stdout


def test_zstd_is_taken_off() -> None:
    with plain(io.BytesIO(packed())) as stream:
        assert stream.read() == BODY


@pytest.mark.parametrize("body", [BODY, b"", b"ab"])
def test_anything_else_passes_as_it_is(body: bytes) -> None:
    with plain(io.BytesIO(body)) as stream:
        assert stream.read(3) + stream.read(-1) == body


def test_what_is_not_read_is_no_damage() -> None:
    with plain(io.BytesIO(packed())) as stream:
        assert stream.read(10) == BODY[:10]


@pytest.mark.parametrize("body", [packed()[:300], packed()[:-1] + b"!"], ids=["cut", "changed"])
def test_damage_is_said_whether_the_reader_noticed_or_not(body: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match=r"not an image archive: [A-Z][a-z]+ error"), plain(io.BytesIO(body)) as stream:
        stream.read()
    with pytest.raises(InvalidArgumentError, match=r"not an image archive: [A-Z][a-z]+ error"), plain(io.BytesIO(body)) as stream:
        stream.read()
        raise InvalidArgumentError("not an image archive: unexpected end of data")


def test_another_failure_stays_what_it_is() -> None:
    with pytest.raises(KeyError), plain(io.BytesIO(packed())) as stream:
        stream.read(10)
        raise KeyError


def test_without_the_program_the_user_learns_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = packed()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match="no program zstd"), plain(io.BytesIO(body)):
        pass
