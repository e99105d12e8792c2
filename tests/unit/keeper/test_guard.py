"""Which of the kernel's messages about nftables are worth a repair."""

from __future__ import annotations

import struct

import pytest

from pyctl.keeper.guard import concerns_us

DEL_TABLE, DEL_RULE, NEW_RULE, DEL_ELEMENT = 0xA02, 0xA08, 0xA06, 0xA0E


def message(kind: int, *names: str) -> bytes:
    body = b"\1\0\0\0"
    for number, name in enumerate(names, 1):
        value = name.encode() + b"\0"
        body += struct.pack("=HH", len(value) + 4, number) + value + b"\0" * (-len(value) % 4)
    return struct.pack("=IHHII", len(body) + 16, kind, 0, 0, 0) + body


@pytest.mark.parametrize(
    ("data", "is_ours"),
    [
        (message(DEL_TABLE, "pyctl"), True),
        (message(DEL_RULE, "filter", "FORWARD"), True),
        (message(DEL_RULE, "pyctl", "forward"), True),
        (message(NEW_RULE, "pyctl", "forward"), False),
        (message(DEL_ELEMENT, "pyctl", "ports4"), False),
        (message(DEL_TABLE, "firewalld"), False),
        (message(DEL_RULE, "nat", "PREROUTING"), True),
        (message(DEL_RULE, "filter", "INPUT"), False),
        (message(DEL_RULE, "filter", "CNI-FORWARD"), False),
        (message(DEL_TABLE, "firewalld") + message(DEL_TABLE, "pyctl"), True),
        (message(DEL_TABLE, "pyctl")[:10], False),
        (b"", False),
    ],
)
def test_deletions_of_our_table_and_of_chains_that_lead_to_containers_count(data: bytes, is_ours: bool) -> None:
    assert concerns_us(data) == is_ours
