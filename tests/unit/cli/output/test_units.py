"""Sizes and durations for people."""

from __future__ import annotations

import pytest

from pyctl.cli.output.units import ago, binary_size, human_duration, human_size


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1234567, "1.23MB"), (77.8e6, "77.8MB"), (5.5e9, "5.5GB"), (1e12, "1TB")],
)
def test_sizes_are_decimal_with_three_digits(size: float, text: str) -> None:
    assert human_size(size) == text


def test_binary_sizes_have_four_digits() -> None:
    assert (binary_size(1234567), binary_size(512 * 1024 * 1024), binary_size(0)) == ("1.177MiB", "512MiB", "0B")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (46 * 60, "46 minutes"),
        (59 * 60, "59 minutes"),
        (3600, "About an hour"),
        (89 * 60, "About an hour"),
        (90 * 60, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations_are_worded_as_docker_words_them(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_ago() -> None:
    assert ago(100.0, 220.0) == "2 minutes ago"
    assert ago(None, 0.0) == "N/A"
