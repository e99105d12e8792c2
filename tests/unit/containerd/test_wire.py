"""Messages and records say the same."""

from __future__ import annotations

import pytest

from pyctl.containerd import wire
from pyctl.containerd._api import common_pb2
from pyctl_hookspecs import Descriptor, OciMount


@pytest.mark.parametrize(
    ("seconds", "nanos", "text"),
    [
        (0, 0, ""),
        (-62135596800, 0, ""),
        (1700000000, 0, "2023-11-14T22:13:20Z"),
        (1700000000, 120_000_000, "2023-11-14T22:13:20.12Z"),
        (1700000000, 1, "2023-11-14T22:13:20.000000001Z"),
    ],
)
def test_times_are_rfc_3339_with_no_digit_too_many(seconds: int, nanos: int, text: str) -> None:
    assert wire.time_text(common_pb2.Timestamp(seconds=seconds, nanos=nanos)) == text


def test_a_descriptor_survives_the_way_there_and_back() -> None:
    record = Descriptor(media_type="m", digest="sha256:1", size_bytes=5, annotations=(("a", "b"), ("c", "d")))

    assert wire.descriptor(wire.descriptor_message(record)) == record


def test_a_mount_survives_the_way_there_and_back() -> None:
    record = OciMount(type="overlay", source="overlay", destination="/x", options=("ro", "lowerdir=/a"))

    assert wire.mounts(wire.mount_messages([record])) == (record,)


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7"])
def test_a_platform_survives_the_way_there_and_back(text: str) -> None:
    assert wire.platform_text(wire.platform_message(text)) == text
