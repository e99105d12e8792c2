"""The environment of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.spec.env import DEFAULT_PATH, process_env, read_pairs, user_env
from pyctl_hookspecs import InvalidArgumentError


def test_a_bare_name_takes_the_caller_s_value() -> None:
    assert user_env(("A", "B=2"), (), host={"A": "1"}) == ("A=1", "B=2")


def test_a_bare_name_the_caller_does_not_have_unsets_the_image_s() -> None:
    given = user_env(("LANG",), (), host={})
    assert process_env(("LANG=C", "X=1"), given) == [DEFAULT_PATH, "X=1"]


def test_the_user_wins_over_the_image_and_the_defaults() -> None:
    env = process_env(("PATH=/image", "A=image", "B=image"), ("A=user", "HOSTNAME=mine"), hostname="abc", tty=True)
    assert env == ["PATH=/image", "HOSTNAME=mine", "TERM=xterm", "A=user", "B=image"]


def test_a_later_value_of_a_name_replaces_an_earlier_one(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=file\nB=file\n")
    assert user_env(("A=flag", "A=last"), (str(file),), host={}) == ("A=last", "B=file")


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match='"=x" for "-e, --env" flag: invalid environment variable: =x'):
        user_env(("=x",), (), host={})


def test_an_env_file_keeps_values_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_bytes(b"\xef\xbb\xbf# comment\n\n  A= x 'y' # no comment\nHOME\nGONE\nB=\nC=a=b\r\n")
    assert user_env((), (str(file),), host={"HOME": "/root"}) == ("A= x 'y' # no comment", "HOME=/root", "B=", "C=a=b")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"A B=1\n", "variable 'A B' contains whitespaces"),
        (b"=1\n", "no variable name on line '=1'"),
        (b"A=\xff\n", "invalid utf8 bytes at line 1"),
    ],
)
def test_a_malformed_env_file_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "env"
    file.write_bytes(content)
    with pytest.raises(InvalidArgumentError) as raised:
        user_env((), (str(file),), host={})
    assert why in str(raised.value) and str(file) in str(raised.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match="open /no/such: no such file or directory"):
        read_pairs("/no/such")
