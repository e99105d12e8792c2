"""What a container sees of its specification: written by us, carried out by runc."""

from __future__ import annotations

import os
from typing import Any

import pytest

pytestmark = pytest.mark.integration

_V2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


@pytest.fixture
def sh(pyctl: Any, busybox: str) -> Any:
    """``sh(script, *flags)``: the lines a container without network prints."""

    def run(script: str, *flags: str) -> list[str]:
        lines: list[str] = pyctl("run", "--rm", "--network", "none", *flags, busybox, "sh", "-c", script).stdout.splitlines()
        return lines

    return run


def _limit(v1: str, v2: str) -> str:
    return f"cat /sys/fs/cgroup/{v2 if _V2 else v1}"


def test_a_container_is_confined(sh: Any) -> None:
    lines = sh(
        "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; cat /proc/kcore | wc -c; "
        "(echo x > /proc/sys/kernel/hostname) 2>&1; (unshare -m true) 2>&1; touch /sys/x 2>&1; hostname; id"
    )
    text = "\n".join(lines)
    assert "CapEff:\t00000000a80425fb" in text and "NoNewPrivs:\t0" in text and "Seccomp:\t2" in text
    assert "Operation not permitted" in text
    assert text.count("Read-only file system") == 2
    assert lines[-1].startswith("uid=0(root) gid=0(root)") and len(lines[-2]) == 12


def test_a_privileged_container_is_not(sh: Any) -> None:
    lines = sh("grep Seccomp: /proc/self/status; unshare -m true && echo unshared; ls -l /dev/loop-control", "--privileged")
    assert lines[0] == "Seccomp:\t0" and lines[1] == "unshared"
    assert sh("grep CapEff /proc/self/status", "--privileged")[0] != "CapEff:\t00000000a80425fb"


def test_users_come_from_the_image_s_own_files(sh: Any) -> None:
    assert sh("id; echo $HOME", "-u", "guest") == ["uid=405(guest) gid=100(users) groups=50(staff),100(users)", "/home"]
    assert sh("id", "-u", "daemon:users", "--group-add", "77") == ["uid=1(daemon) gid=100(users) groups=77,100(users)"]
    assert sh("grep CapEff /proc/self/status", "-u", "33", "--cap-add", "net_admin") == ["CapEff:\t0000000000000000"]


def test_an_unknown_user_leaves_nothing_behind(pyctl: Any, busybox: str) -> None:
    done = pyctl("run", "--rm", "--network", "none", "-u", "nobodyx", busybox, "true", ok=False)
    assert done.code == 125 and "unable to find user nobodyx: no matching entries in passwd file" in done.stderr


def test_environment_directory_and_entrypoint(pyctl: Any, busybox: str, tmp_path: Any) -> None:
    file = tmp_path / "env"
    file.write_text("A=file\nB= spaced \nFROM\n")
    flags = ("--rm", "--network", "none", "-h", "box", "-w", "/new/dir", "-e", "A=flag", "--env-file", str(file))
    done = pyctl("run", *flags, "--entrypoint", "/bin/sh", busybox, "-c", "pwd; env | sort", env={"FROM": "host"})
    lines = done.stdout.splitlines()
    assert lines[0] == "/new/dir"
    assert {"A=flag", "B= spaced ", "FROM=host", "HOSTNAME=box"} <= {*lines}


def test_capabilities_and_new_privileges(sh: Any) -> None:
    flags = ("--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--security-opt", "no-new-privileges")
    assert sh("grep -E '^(CapEff|NoNewPrivs)' /proc/self/status", *flags) == ["CapEff:\t0000000000001000", "NoNewPrivs:\t1"]


def test_seccomp_can_be_unconfined_or_a_file(sh: Any, tmp_path: Any) -> None:
    assert sh("grep Seccomp: /proc/self/status", "--security-opt", "seccomp=unconfined") == ["Seccomp:\t0"]
    profile = tmp_path / "profile.json"
    rule = '{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}'
    profile.write_text(f'{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}')
    assert sh("mkdir /x || echo refused", "--security-opt", f"seccomp={profile}") == ["refused"]


def test_limits_reach_the_kernel(sh: Any) -> None:
    lines = sh(
        "; ".join(
            (
                _limit("memory/memory.limit_in_bytes", "memory.max"),
                _limit("pids/pids.max", "pids.max"),
                _limit("cpu/cpu.cfs_quota_us", "cpu.max"),
                _limit("cpuset/cpuset.cpus", "cpuset.cpus"),
                "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; df -k /dev/shm | tail -1",
            )
        ),
        *("-m", "64m", "--pids-limit", "50", "--cpus", "0.5", "--cpuset-cpus", "0"),
        *("--ulimit", "nofile=100:200", "--oom-score-adj", "300", "--shm-size", "1m"),
    )
    assert lines[0] == str(64 << 20) and lines[1] == "50"
    assert lines[2].split()[0] == "50000" and lines[3] == "0"
    assert lines[4:7] == ["100", "200", "300"] and lines[7].split()[1] == "1024"


def test_namespaces_can_be_the_host_s(sh: Any) -> None:
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "ipc", "uts")}
    show = "for n in pid ipc uts; do readlink /proc/self/ns/$n; done"
    assert sh(show, "--pid", "host", "--ipc", "host", "--uts", "host") == list(own.values())
    assert not {*sh(show)} & {*own.values()}


def test_a_pid_namespace_can_be_another_container_s(pyctl: Any, busybox: str, name: str) -> None:
    pyctl("run", "-d", "--name", name, "--network", "none", busybox, "sleep", "1000")
    done = pyctl("run", "--rm", "--network", "none", "--pid", f"container:{name}", busybox, "ps", "-o", "args")
    assert "sleep 1000" in done.stdout
    pyctl("rm", "-f", name)


def test_init_is_the_first_process_and_reaps(sh: Any) -> None:
    assert sh("tr '\\0' ' ' < /proc/1/cmdline; echo", "--init")[0].startswith("/sbin/docker-init -- sh -c ")


def test_devices_sysctls_and_domain(sh: Any) -> None:
    lines = sh(
        "ls -l /dev/other; cd /proc/sys; cat kernel/msgmax net/ipv4/ip_unprivileged_port_start kernel/domainname",
        *("--device", "/dev/null:/dev/other:r", "--sysctl", "kernel.msgmax=4096", "--domainname", "example.org"),
    )
    assert lines[0].startswith("crw-rw-rw-") and "1,   3" in lines[0]
    assert lines[1:] == ["4096", "0", "example.org"]


def test_a_read_only_root_lets_its_tmpfs_be_written(sh: Any) -> None:
    lines = sh(
        "touch /x 2>&1; touch /run/y /dev/shm/z && echo written; grep ' /run ' /proc/mounts", "--read-only", "--tmpfs", "/run"
    )
    assert "Read-only file system" in lines[0] and lines[1] == "written"
    assert "noexec" in lines[2]


_REFUSED = (
    (("-m", "x"), 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\''),
    (("-m", "4m"), "Minimum memory limit allowed is 6MB"),
    (("--cap-add", "fly"), 'invalid CapAdd: unknown capability: "CAP_FLY"'),
    (("--security-opt", "fish=1"), 'invalid --security-opt 2: "fish=1"'),
    (("--device", "/etc"), 'error gathering device information while adding custom device "/etc": not a device node'),
    (("--gpus", "all"), "--gpus is not supported yet"),
    (("--pid", "fish"), "--pid: invalid PID mode"),
    (("-w", "rel"), "the working directory 'rel' is invalid, it needs to be an absolute path"),
)


def test_a_bad_flag_is_one_line_and_leaves_nothing(pyctl: Any, busybox: str) -> None:
    for flags, why in _REFUSED:
        done = pyctl("run", "--rm", *flags, busybox, "true", ok=False)
        assert done.code == 125 and why in done.stderr and not done.stdout, flags
        assert len(done.stderr.splitlines()) <= 2, flags
