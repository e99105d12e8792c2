"""Limits of a container."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pyctl.spec.cgroups import CgroupFacts, cgroups_path, read_cgroup_facts
from pyctl.spec.options import ContainerOptions
from pyctl.spec.resources import linux_resources
from pyctl_hookspecs import InvalidArgumentError

V1 = CgroupFacts()
V2 = CgroupFacts(version=2, swappiness=False, oom_kill_disable=False, realtime=False)


def resources(cgroups: CgroupFacts = V1, **values: Any) -> tuple[dict[str, Any], list[str]]:
    warnings: list[str] = []
    return linux_resources(ContainerOptions(image="x", **values), cgroups, warnings), warnings


def test_nothing_asked_is_nothing_set() -> None:
    assert resources() == ({}, [])


def test_swap_is_twice_the_memory_unless_given() -> None:
    assert resources(memory="64m")[0]["memory"] == {"limit": 64 << 20, "swap": 128 << 20}
    assert resources(memory="64m", memory_swap="64m")[0]["memory"]["swap"] == 64 << 20
    assert resources(memory="64m", memory_swap="-1")[0]["memory"]["swap"] == -1


def test_without_swap_accounting_the_limit_stands_and_a_warning_says_so() -> None:
    found, warnings = resources(CgroupFacts(swap_limit=False), memory="64m")
    assert found["memory"] == {"limit": 64 << 20}
    assert "Memory limited without swap" in warnings[0]


def test_what_cgroup_v2_does_not_know_is_said() -> None:
    found, warnings = resources(V2, memory_swappiness=10, oom_kill_disable=True)
    assert found == {} and len(warnings) == 2


def test_a_container_that_nothing_ends_is_warned_of() -> None:
    found, warnings = resources(oom_kill_disable=True)
    assert found == {"memory": {"disableOOMKiller": True}} and "no memory limit is set" in warnings[0]
    assert resources(oom_kill_disable=True, memory="64m")[1] == []


def test_cpus_become_a_quota_of_a_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert resources(cpus="1.5")[0]["cpu"] == {"quota": 150_000, "period": 100_000}
    assert resources(cpu_quota=5000, cpu_period=10000, cpu_shares=512, cpuset_cpus="0-1,3")[0]["cpu"] == {
        "quota": 5000,
        "period": 10000,
        "shares": 512,
        "cpus": "0-1,3",
    }


def test_pids_are_limited_only_by_a_positive_number() -> None:
    assert resources(pids_limit=50)[0] == {"pids": {"limit": 50}}
    assert resources(pids_limit=-1)[0] == {}


def test_a_weight_the_kernel_does_not_know_is_dropped_with_a_warning() -> None:
    assert resources(blkio_weight=300)[0] == {"blockIO": {"weight": 300}}
    found, warnings = resources(CgroupFacts(blkio_weight=False), blkio_weight=300)
    assert found == {} and "Weight discarded" in warnings[0]


def test_throttles_name_the_device_by_its_number() -> None:
    facts = os.stat("/dev/null")
    rule = {"major": os.major(facts.st_rdev), "minor": os.minor(facts.st_rdev), "rate": 1 << 20}
    assert resources(device_read_bps=("/dev/null:1mb",))[0] == {"blockIO": {"throttleReadBpsDevice": [rule]}}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"memory": "4m"}, "Minimum memory limit allowed is 6MB"),
        ({"memory": "x"}, 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\''),
        ({"memory_swap": "64m"}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
        ({"memory": "64m", "memory_swap": "32m"}, "Minimum memoryswap limit should be larger than memory limit, see usage"),
        (
            {"memory": "64m", "memory_reservation": "65m"},
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        ({"memory_swappiness": 101}, "invalid value: 101. Valid memory swappiness range is 0-100"),
        (
            {"cpus": "0.5", "cpu_period": 1000},
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        ({"cpus": "99999"}, "Range of CPUs is from 0.01 to"),
        ({"cpu_quota": 10}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ({"cpuset_cpus": "a"}, "Invalid value a for cpuset cpus: invalid format: a"),
        ({"cpuset_cpus": "8000"}, "Requested CPUs are not available - requested 8000, available: 0"),
        ({"blkio_weight": 5}, "Range of blkio weight is from 10 to 1000"),
        ({"device_read_iops": ("/dev/null:-1",)}, "invalid rate for device: /dev/null:-1"),
        ({"device_write_bps": ("/etc/x:1",)}, "bad format for device path: /etc/x:1"),
        ({"cgroup_conf": ("memory.high=1",)}, "cannot use --cgroup-conf without cgroup v2"),
    ],
)
def test_contradictions_are_refused_in_docker_s_words(values: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        resources(**values)
    assert why in str(raised.value)


def test_the_mounted_hierarchy_tells_the_version(tmp_path: Path) -> None:
    assert read_cgroup_facts(str(tmp_path)).version == 1
    (tmp_path / "cgroup.controllers").write_text("cpu io memory pids\n")
    facts = read_cgroup_facts(str(tmp_path))
    assert facts.version == 2 and facts.controllers == ("cpu", "io", "memory", "pids") and facts.swap_limit


def test_the_group_of_a_container_depends_on_the_manager() -> None:
    assert cgroups_path("id", "ns", "", "cgroupfs") == "/ns/id"
    assert cgroups_path("id", "ns", "mine/sub", "cgroupfs") == "/mine/sub/id"
    assert cgroups_path("id", "ns", "", "systemd") == "system.slice:nerdctl:id"
    assert cgroups_path("id", "ns", "", "none") == ""
    with pytest.raises(InvalidArgumentError, match=r"xxx\.slice"):
        cgroups_path("id", "ns", "/mine", "systemd")
