"""Where a container's control group is, and what the kernel says there about memory that ran out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.spec.cgroups import cgroups_path, group_members, is_frozen, oom_kills, remove_group

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


@pytest.mark.parametrize(("path", "place"), PLACES)
@pytest.mark.parametrize("hierarchies", [("pids", "memory"), ("",)])
def test_a_group_is_removed_from_every_hierarchy(tmp_path: Path, path: str, place: str, hierarchies: tuple[str, ...]) -> None:
    groups = [tmp_path / hierarchy / place for hierarchy in hierarchies]
    for number, group in enumerate(groups):
        group.mkdir(parents=True)
        (group / "inner").mkdir()
        (group / "cgroup.procs").write_text("0\n")
        (group / "inner/cgroup.procs").write_text(f"7\n{number + 8}\n")
    assert group_members(path, str(tmp_path)) == {7, *range(8, 8 + len(groups))}
    for group in groups:
        with pytest.raises(OSError, match="not empty"):
            remove_group(path, str(tmp_path), patience_s=0)
        for procs in ("cgroup.procs", "inner/cgroup.procs"):
            (group / procs).unlink()  # in the kernel's file system it is no obstacle
    remove_group(path, str(tmp_path))
    remove_group(path, str(tmp_path))
    assert not any(group.exists() for group in groups) and groups[0].parent.exists()


def test_a_kernel_without_the_count_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "memory/ns/c1").mkdir(parents=True)
    (tmp_path / "memory/ns/c1/memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\n")
    assert oom_kills("/ns/c1", str(tmp_path)) == 0


@pytest.mark.parametrize(
    ("groups", "file_name", "text", "answer"),
    [
        ("3:cpu:/else\n2:freezer:/ns/c1\n", "freezer/ns/c1/freezer.state", "FROZEN", True),
        ("2:freezer:/ns/c1\n", "freezer/ns/c1/freezer.state", "FREEZING", True),
        ("2:freezer:/ns/c1\n0::/\n", "freezer/ns/c1/freezer.state", "THAWED", False),
        ("0::/ns/c1\n", "ns/c1/cgroup.freeze", "1", True),
        ("0::/ns/c1\n", "ns/c1/cgroup.freeze", "0", False),
        ("2:freezer:/ns/c1:2\n", "freezer/ns/c1:2/freezer.state", "FROZEN", True),
        ("3:cpu:/ns/c1\n", "cpu/ns/c1/freezer.state", "FROZEN", False),
    ],
)
def test_a_frozen_process_is_known_by_its_groups(tmp_path: Path, groups: str, file_name: str, text: str, answer: bool) -> None:
    path = tmp_path / file_name
    path.parent.mkdir(parents=True)
    path.write_text(f"{text}\n")
    assert is_frozen(groups, str(tmp_path)) is answer
    path.unlink()
    assert not is_frozen(groups, str(tmp_path))
