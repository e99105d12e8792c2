"""Where a container's control group is, and what the kernel says there about memory that ran out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.spec.cgroups import cgroups_path, oom_kills

PLACES = [
    (cgroups_path("c1", "ns", "", "cgroupfs"), "ns/c1"),
    (cgroups_path("c1", "ns", "/mine/too", "cgroupfs"), "mine/too/c1"),
    (cgroups_path("c1", "ns", "", "systemd"), "system.slice/nerdctl-c1.scope"),
    (cgroups_path("c1", "ns", "a-b.slice", "systemd"), "a.slice/a-b.slice/nerdctl-c1.scope"),
    (cgroups_path("c1", "ns", "-.slice", "systemd"), "nerdctl-c1.scope"),
]


@pytest.mark.parametrize(("path", "place"), PLACES)
@pytest.mark.parametrize("version", [1, 2])
def test_kills_for_want_of_memory_are_counted_in_the_containers_own_group(
    tmp_path: Path, path: str, place: str, version: int
) -> None:
    group = tmp_path / "memory" / place if version == 1 else tmp_path / place
    group.mkdir(parents=True)
    file_name, before = ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0") if version == 1 else ("memory.events", "oom 3")
    (group / file_name).write_text(f"{before}\noom_kill 2\n")
    assert oom_kills(path, str(tmp_path)) == 2


def test_a_group_that_is_gone_says_nothing(tmp_path: Path) -> None:
    assert oom_kills("/ns/c1", str(tmp_path)) is None
    assert oom_kills(cgroups_path("c1", "ns", "", "none"), str(tmp_path)) is None


def test_a_kernel_without_the_count_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "memory/ns/c1").mkdir(parents=True)
    (tmp_path / "memory/ns/c1/memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\n")
    assert oom_kills("/ns/c1", str(tmp_path)) == 0
