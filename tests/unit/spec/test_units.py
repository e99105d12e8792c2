"""Sizes, durations and CPU counts."""

from __future__ import annotations

import pytest

from pyctl.spec.units import flag_bytes, nano_cpus, size_bytes
from pyctl_hookspecs import InvalidArgumentError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("512", 512),
        ("10b", 10),
        ("512m", 512 << 20),
        ("64 KiB", 64 << 10),
        ("1.5g", 3 << 29),
        ("2TB", 2 << 40),
        ("1Gi", None),
        ("9007199254740993", 9007199254740993),
        (".5k", 512),
    ],
)
def test_sizes_are_read_in_units_of_1024(text: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="invalid suffix: 'gi'"):
            size_bytes(text)
    elif text == "9007199254740993":
        assert abs(size_bytes(text) - expected) <= 1
    else:
        assert size_bytes(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x", "invalid size: 'x'"),
        ("-5m", "invalid size: '-5m'"),
        ("5q", "invalid suffix: 'q'"),
        ("5mbb", "invalid suffix: 'mbb'"),
        ("1.2.3m", 'strconv.ParseFloat: parsing "1.2.3": invalid syntax'),
    ],
)
def test_a_malformed_size_names_flag_and_text_as_docker_does(text: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        flag_bytes(text, "-m, --memory")
    assert str(raised.value) == f'invalid argument "{text}" for "-m, --memory" flag: {why}'
    assert raised.value.exit_code == 125


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("2", 2 * 10**9), ("0.5", 5 * 10**8), ("1.25", 125 * 10**7), ("1/4", 25 * 10**7)],
)
def test_cpus_are_counted_in_billionths(text: str, expected: int) -> None:
    assert nano_cpus(text) == expected


def test_cpus_that_are_no_number_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match='"x" for "--cpus" flag: failed to parse x as a rational number'):
        nano_cpus("x")
    with pytest.raises(InvalidArgumentError, match="value is too precise"):
        nano_cpus("0.12345678901")
