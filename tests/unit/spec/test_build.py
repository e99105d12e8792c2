"""The whole specification."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyctl.spec.build import SpecFacts, build_spec, rootfs_propagation
from pyctl.spec.capabilities import ALL, DEFAULT
from pyctl.spec.cgroups import CgroupFacts
from pyctl.spec.options import ContainerOptions
from pyctl_hookspecs import InvalidArgumentError, OciMount

IMAGE = {"Env": ["PATH=/bin"], "Cmd": ["serve"], "Entrypoint": ["/init"], "WorkingDir": "/srv", "User": "web"}
PASSWD = b"root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/sh\n"


def build(image: dict[str, Any] | None = None, facts: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "container_id": "c1",
        "namespace": "ns",
        "hostname": "host1",
        "capabilities": ALL,
        "read_file": lambda path: PASSWD if path == "/etc/passwd" else None,
    }
    options = ContainerOptions(image="x", **values)
    return build_spec(options, IMAGE if image is None else image, SpecFacts(**{**known, **(facts or {})}))


def namespaces(spec: dict[str, Any]) -> dict[str, str]:
    return {entry["type"]: entry.get("path", "") for entry in spec["linux"]["namespaces"]}


def destinations(spec: dict[str, Any]) -> list[str]:
    return [mount["destination"] for mount in spec["mounts"]]


def test_the_image_says_what_runs_unless_the_user_does() -> None:
    assert build()["process"]["args"] == ["/init", "serve"]
    assert build(command=("a", "b"))["process"]["args"] == ["/init", "a", "b"]
    assert build(entrypoint=("/bin/sh",))["process"]["args"] == ["/bin/sh"]
    assert build(entrypoint=("",), command=("id",))["process"]["args"] == ["id"]


def test_nothing_to_run_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="no command specified"):
        build(image={})
    with pytest.raises(InvalidArgumentError, match="no command specified"):
        build(entrypoint=("",))


def test_the_process_is_the_image_s_user_in_its_directory() -> None:
    process = build()["process"]
    assert process["user"] == {"uid": 33, "gid": 33, "additionalGids": [33]}
    assert process["cwd"] == "/srv"
    assert process["env"] == ["PATH=/bin", "HOSTNAME=host1"]
    assert build(user="0", workdir="/tmp")["process"]["cwd"] == "/tmp"
    with pytest.raises(InvalidArgumentError, match="Cannot mkdir: /etc/passwd is not a directory"):
        build(workdir="/etc/passwd/here")


def test_only_root_starts_with_capabilities_in_effect() -> None:
    caps = build()["process"]["capabilities"]
    assert sorted(caps["bounding"]) == sorted(DEFAULT) and caps["effective"] == caps["permitted"] == []
    caps = build(user="root")["process"]["capabilities"]
    assert caps["bounding"] == caps["effective"] == caps["permitted"]


def test_limits_are_inherited_unless_given() -> None:
    assert "rlimits" not in build()["process"]
    assert build(ulimit=("nofile=100:200", "core=-1"))["process"]["rlimits"] == [
        {"type": "RLIMIT_CORE", "soft": (1 << 64) - 1, "hard": (1 << 64) - 1},
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
    ]


def test_a_container_is_confined_by_default() -> None:
    spec = build()
    assert "/proc/kcore" in spec["linux"]["maskedPaths"] and "/proc/sys" in spec["linux"]["readonlyPaths"]
    assert spec["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert spec["process"]["noNewPrivileges"] is False
    assert namespaces(spec) == {"mount": "", "pid": "", "ipc": "", "uts": "", "network": ""}
    assert spec["linux"]["cgroupsPath"] == "/ns/c1"


def test_a_privileged_one_is_not() -> None:
    spec = build(privileged=True, facts={"capabilities": ("CAP_CHOWN", "CAP_SYS_ADMIN")}, user="root")
    assert "maskedPaths" not in spec["linux"] and "seccomp" not in spec["linux"]
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert spec["process"]["capabilities"]["effective"] == ["CAP_CHOWN", "CAP_SYS_ADMIN"]
    assert "/dev/null" in {device["path"] for device in spec["linux"]["devices"]}
    assert {"rw"} <= {*next(mount for mount in spec["mounts"] if mount["destination"] == "/sys")["options"]}
    assert "seccomp" in build(privileged=True, security_opt=("seccomp=builtin",))["linux"]
    bare = build(privileged=True, security_opt=("privileged-without-host-devices",))
    assert "devices" not in bare["linux"]


def test_security_options_loosen_and_tighten() -> None:
    spec = build(security_opt=("seccomp=unconfined", "no-new-privileges", "systempaths=unconfined"))
    assert "seccomp" not in spec["linux"] and "maskedPaths" not in spec["linux"]
    assert spec["process"]["noNewPrivileges"] is True
    assert build(security_opt=("no-new-privileges:false",))["process"]["noNewPrivileges"] is False
    for text in ("fish=1", "seccomp", "systempaths=all", "no-new-privileges=perhaps"):
        with pytest.raises(InvalidArgumentError, match="nvalid --security-opt"):
            build(security_opt=(text,))


def test_namespaces_are_joined_shared_or_new() -> None:
    facts = {"network_namespace": "/run/n", "pid_namespace": "/proc/7/ns/pid", "ipc_namespace": "/proc/7/ns/ipc"}
    spec = build(pid="container:a", ipc="container:a", uts="host", facts=facts)
    assert namespaces(spec) == {"mount": "", "pid": "/proc/7/ns/pid", "ipc": "/proc/7/ns/ipc", "network": "/run/n"}
    assert "hostname" not in spec
    assert {"pid", "ipc", "network"} & {*namespaces(build(pid="host", ipc="host", facts={"network_namespace": None}))} == set()


def test_the_cgroup_namespace_follows_docker() -> None:
    assert "cgroup" in namespaces(build(facts={"cgroups": CgroupFacts(version=2)}))
    assert "cgroup" not in namespaces(build(cgroupns="host", facts={"cgroups": CgroupFacts(version=2)}))
    assert "cgroup" in namespaces(build(cgroupns="private"))


@pytest.mark.parametrize(
    ("values", "why", "create_exits"),
    [
        ({"pid": "x"}, "--pid: invalid PID mode", 125),
        ({"ipc": "container:"}, "invalid IPC mode: container:", 1),
        ({"uts": "private"}, "--uts: invalid UTS mode", 125),
        ({"cgroupns": "x"}, "--cgroupns: invalid CGROUP mode", 125),
        ({"uts": "host", "hostname": "h"}, "conflicting options: hostname and the UTS mode", 1),
        ({"workdir": "rel"}, "the working directory 'rel' is invalid", 1),
        ({"umask": "9"}, 'invalid argument "9" for "--umask" flag', 125),
        ({"oom_score_adj": 1001}, "Invalid value 1001, range for oom score adj is [-1000, 1000]", 1),
        ({"ulimit": ("nofile",)}, 'invalid argument "nofile" for "--ulimit" flag: invalid ulimit argument: nofile', 125),
        ({"ulimit": ("fish=1",)}, "invalid ulimit type: fish", 125),
        ({"ulimit": ("nofile=2:1",)}, "ulimit soft limit must be less than or equal to hard limit: 2 > 1", 125),
        ({"ulimit": ("nofile=x",)}, 'strconv.ParseInt: parsing "x": invalid syntax', 125),
        ({"sysctl": ("kernel.panic=1",)}, "sysctl 'kernel.panic=1' is not allowed", 125),
        ({"shm_size": "x"}, 'invalid argument "x" for "--shm-size" flag: invalid size: \'x\'', 125),
    ],
)
def test_a_bad_value_is_named_with_docker_s_exit_code(values: dict[str, Any], why: str, create_exits: int) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        build(**values)
    assert why in str(raised.value) and raised.value.exit_code == create_exits


def test_sysctls_belong_to_namespaces_of_one_s_own() -> None:
    kind = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
    assert build()["linux"]["sysctl"] == kind
    assert build(sysctl=("net.core.somaxconn=9",))["linux"]["sysctl"] == {**kind, "net.core.somaxconn": "9"}
    assert "sysctl" not in build(facts={"network_namespace": "/p", "network_joined": True})["linux"]
    with pytest.raises(InvalidArgumentError, match="not allowed in the host network namespace"):
        build(sysctl=("net.core.somaxconn=9",), facts={"network_namespace": None})


def test_the_domain_is_set_for_every_runtime() -> None:
    assert build(facts={"domainname": "ex.org"})["linux"]["sysctl"]["kernel.domainname"] == "ex.org"


def test_shared_files_are_mounted_unless_the_user_mounts_there() -> None:
    facts: dict[str, Any] = {"resolv_conf_path": "/s/resolv.conf", "hosts_path": "/s/hosts", "hostname_path": "/s/hostname"}
    assert {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} <= {*destinations(build(facts=facts))}
    facts["mounts"] = (OciMount(type="bind", source="/mine", destination="/etc/hosts"),)
    spec = build(facts=facts)
    assert [mount["source"] for mount in spec["mounts"] if mount["destination"] == "/etc/hosts"] == ["/mine"]


def test_a_volume_on_etc_does_not_hide_the_shared_files() -> None:
    mounts = (OciMount(type="bind", source="/v", destination="/etc"),)
    places = destinations(build(facts={"mounts": mounts, "hosts_path": "/s/hosts"}))
    assert places.index("/etc") < places.index("/etc/hosts")


def test_a_mount_of_the_user_s_replaces_a_default_and_what_is_below_it() -> None:
    dev = OciMount(type="bind", source="/dev", destination="/dev", options=("rbind",))
    places = destinations(build(facts={"mounts": (dev,)}))
    assert places.count("/dev") == 1 and "/dev/pts" not in places
    shm = OciMount(type="tmpfs", source="tmpfs", destination="/dev/shm")
    assert destinations(build(facts={"mounts": (shm,)})).count("/dev/shm") == 1


def test_shared_memory_has_docker_s_size_or_the_user_s() -> None:
    def shm(**values: Any) -> list[str]:
        found = build(**values)["mounts"]
        return next(mount["options"] for mount in found if mount["destination"] == "/dev/shm")

    assert "size=67108864" in shm() and "size=1048576" in shm(shm_size="1m")
    assert "/dev/shm" not in destinations(build(ipc="none"))


def test_propagation_reaches_the_root() -> None:
    def propagation(*words: str) -> str:
        return rootfs_propagation((OciMount(type="bind", source="/", destination="/x", options=words),))

    assert propagation("rprivate") == "" and propagation("rslave") == "rslave" and propagation("rshared") == "shared"


def test_init_comes_first_and_is_mounted_read_only() -> None:
    spec = build(init=True, facts={"init_source": "/usr/bin/tini-static", "init_path": "/sbin/docker-init"})
    assert spec["process"]["args"] == ["/sbin/docker-init", "--", "/init", "serve"]
    (mount,) = [mount for mount in spec["mounts"] if mount["destination"] == "/sbin/docker-init"]
    assert mount["source"] == "/usr/bin/tini-static" and "ro" in mount["options"]


def test_the_specification_is_plain_json() -> None:
    spec = build(read_only=True, tty=True, device=("/dev/null",), umask="027", oom_score_adj=5)
    assert json.loads(json.dumps(spec)) == spec
    assert spec["root"] == {"path": "rootfs", "readonly": True}
    assert spec["process"]["terminal"] is True and spec["process"]["user"]["umask"] == 0o27
