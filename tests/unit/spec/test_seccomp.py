"""seccomp profiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyctl.spec.capabilities import DEFAULT
from pyctl.spec.seccomp import seccomp
from pyctl_hookspecs import InvalidArgumentError


def built_in(*caps: str, machine: str = "x86_64", kernel: str = "6.1.0-18-amd64") -> dict[str, Any]:
    found = seccomp("builtin", (*DEFAULT, *caps), machine=machine, kernel=kernel)
    assert found is not None
    return found


def allowed(profile: dict[str, Any]) -> set[str]:
    rules = profile["syscalls"]
    return {name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule for name in rule["names"]}


def test_the_default_profile_lets_ordinary_programs_run() -> None:
    profile = built_in()
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO" and profile["defaultErrnoRet"] == 1
    assert {"read", "openat", "execve", "futex", "epoll_pwait", "rseq", "arch_prctl", "ptrace"} <= allowed(profile)


def test_the_default_profile_keeps_the_dangerous_ones_out() -> None:
    unwanted = "mount umount2 bpf unshare setns reboot init_module kexec_load io_uring_setup keyctl add_key swapon"
    assert not set(unwanted.split()) & allowed(built_in())


def test_clone3_looks_unimplemented_so_that_libc_falls_back_to_clone() -> None:
    rules = [rule for rule in built_in()["syscalls"] if rule["names"] == ["clone3"]]
    assert rules == [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]


def test_clone_may_not_make_namespaces() -> None:
    (rule,) = [rule for rule in built_in()["syscalls"] if rule["names"] == ["clone"]]
    assert rule["args"] == [{"index": 0, "value": 0x7E020000, "op": "SCMP_CMP_MASKED_EQ", "valueTwo": 0}]


def test_a_capability_opens_its_system_calls() -> None:
    assert {"mount", "unshare", "clone3", "setns"} <= allowed(built_in("CAP_SYS_ADMIN"))
    assert "settimeofday" in allowed(built_in("CAP_SYS_TIME"))


def test_the_architecture_decides() -> None:
    assert built_in()["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    arm = built_in(machine="aarch64")
    assert arm["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert "arch_prctl" not in allowed(arm) and "cacheflush" in allowed(arm)


def test_an_old_kernel_does_not_get_ptrace() -> None:
    assert "ptrace" not in allowed(built_in(kernel="4.4.0"))


def test_unconfined_is_no_profile() -> None:
    assert seccomp("unconfined", DEFAULT) is None


def test_a_file_is_resolved_like_the_default(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    rules = [{"name": "mkdir", "action": "SCMP_ACT_ERRNO", "args": None}, {"names": ["bpf"], "action": "SCMP_ACT_KILL"}]
    rules[1]["includes"] = {"caps": ["CAP_BPF"]}
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))
    assert seccomp(str(path), ()) == {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}],
    }


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(content)
    with pytest.raises(InvalidArgumentError, match="decoding seccomp profile"):
        seccomp(str(path), ())


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"opening seccomp profile \(/no/such\) failed: open /no/such: no such file"):
        seccomp("/no/such", ())
