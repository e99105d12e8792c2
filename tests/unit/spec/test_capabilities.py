"""Capabilities: defaults, add, drop, and what the machine can give."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.spec.capabilities import ALL, DEFAULT, available, effective
from pyctl_hookspecs import InvalidArgumentError


def test_the_default_is_docker_s_fourteen() -> None:
    chosen = effective((), (), privileged=False, known=ALL)
    assert sorted(chosen) == sorted(DEFAULT) and len(chosen) == 14


def test_names_may_be_short_and_in_any_case() -> None:
    assert effective(("net_admin", "CAP_SYS_TIME"), ("all",), privileged=False, known=ALL) == ["CAP_NET_ADMIN", "CAP_SYS_TIME"]


def test_all_may_be_added_and_some_dropped() -> None:
    chosen = effective(("ALL",), ("SYS_ADMIN",), privileged=False, known=ALL)
    assert len(chosen) == len(ALL) - 1 and "CAP_SYS_ADMIN" not in chosen


def test_a_privileged_container_gets_what_the_machine_has() -> None:
    known = tuple(name for name in ALL if name != "CAP_SYS_RESOURCE")
    assert effective((), ("CHOWN",), privileged=True, known=known) == list(known)


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match='invalid CapAdd: unknown capability: "CAP_FLY"'):
        effective(("fly",), (), privileged=False, known=ALL)


def test_a_capability_this_machine_cannot_give_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgumentError, match='not available in the current environment: "CAP_BPF"'):
        effective(("BPF",), (), privileged=False, known=("CAP_CHOWN",))


def test_what_the_machine_can_give_is_its_bounding_set(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapBnd:\t0000000000000009\n")
    assert available(str(status)) == ("CAP_CHOWN", "CAP_FOWNER")
