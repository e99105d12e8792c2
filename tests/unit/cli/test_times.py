"""--since and --until."""

from __future__ import annotations

import pytest

from pyctl.cli.times import parse_moment
from pyctl_hookspecs.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("1700000000", 1700000000.0),
        ("1700000000.5", 1700000000.5),
        ("42m", 1000.0 - 42 * 60),
        ("1h30m", 1000.0 - 5400),
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T00:00:10.123456789Z", 10.123456),
        ("1970-01-01T01:00:00+01:00", 0.0),
    ],
)
def test_moments(text: str, seconds: float | None) -> None:
    assert parse_moment("since", text, 1000.0) == seconds


@pytest.mark.parametrize("text", ["x", "5y", "-", "2024-99-01"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match='invalid value for "since": failed to parse value as time or duration'):
        parse_moment("since", text, 0.0)
