"""``inspect``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ops.reading import BUSYBOX, World

from pyctl.containerd.tasks import runc_options
from pyctl.ops import inspecting
from pyctl.ops.inspect_request import load_request, save_request
from pyctl.spec.options import ContainerOptions
from pyctl.state.networks import network_id
from pyctl.state.volumes import VolumeStore
from pyctl_hookspecs import InvalidArgumentError, MountOutcome, NotFoundError, OciMount

ATTACHMENT = {
    "interface": "eth0",
    "addresses": ["10.4.0.5/24", "fd00::5/64"],
    "gateway": "10.4.0.1",
    "mac_address": "02:42:0a:04:00:05",
}
# Docker 26.1.5, `docker inspect` of a container made with many flags: the keys it always shows.
STATE = (
    *("Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "Pid", "ExitCode", "Error", "StartedAt", "FinishedAt"),
)
TOP = (
    *("Id", "Created", "Path", "Args", "State", "Image", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "Name"),
    *("RestartCount", "Driver", "Platform", "MountLabel", "ProcessLabel", "AppArmorProfile", "ExecIDs", "HostConfig"),
    *("GraphDriver", "Mounts", "Config", "NetworkSettings"),
)
HOST_CONFIG = (
    *("Binds", "ContainerIDFile", "LogConfig", "NetworkMode", "PortBindings", "RestartPolicy", "AutoRemove", "VolumeDriver"),
    *("VolumesFrom", "ConsoleSize", "CapAdd", "CapDrop", "CgroupnsMode", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts"),
    *("GroupAdd", "IpcMode", "Cgroup", "Links", "OomScoreAdj", "PidMode", "Privileged", "PublishAllPorts", "ReadonlyRootfs"),
    *("SecurityOpt", "UTSMode", "UsernsMode", "ShmSize", "Runtime", "Isolation", "CpuShares", "Memory", "NanoCpus"),
    *("CgroupParent", "BlkioWeight", "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps"),
    *("BlkioDeviceReadIOps", "BlkioDeviceWriteIOps", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime"),
    *("CpusetCpus", "CpusetMems", "Devices", "DeviceCgroupRules", "DeviceRequests", "MemoryReservation", "MemorySwap"),
    *("MemorySwappiness", "OomKillDisable", "PidsLimit", "Ulimits", "CpuCount", "CpuPercent", "IOMaximumIOps"),
    *("IOMaximumBandwidth", "MaskedPaths", "ReadonlyPaths"),
)
CONFIG = (
    *("Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"),
    *("Env", "Cmd", "Image", "Volumes", "WorkingDir", "Entrypoint", "OnBuild", "Labels"),
)
ENDPOINT = (
    *("IPAMConfig", "Links", "Aliases", "MacAddress", "NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen"),
    *("IPv6Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "DriverOpts", "DNSNames"),
)
NETWORK_SETTINGS = (
    *("Bridge", "SandboxID", "SandboxKey", "Ports", "HairpinMode", "LinkLocalIPv6Address", "LinkLocalIPv6PrefixLen"),
    *("SecondaryIPAddresses", "SecondaryIPv6Addresses", "EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen"),
    *("IPAddress", "IPPrefixLen", "IPv6Gateway", "MacAddress", "Networks"),
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def look(world: World, name: str = "web", **how: Any) -> dict[str, Any]:
    found = inspecting.inspect(world.session, name, **how)
    json.dumps(found)
    return found


def test_every_field_of_docker_is_there_in_its_order(world: World) -> None:
    world.run(world.add("web", ports="8080:80"))
    found = look(world)
    assert tuple(found) == TOP
    assert tuple(found["State"]) == STATE
    assert tuple(found["HostConfig"]) == HOST_CONFIG
    assert tuple(key for key in found["Config"] if key != "ExposedPorts") == CONFIG
    assert tuple(found["NetworkSettings"]) == NETWORK_SETTINGS
    assert tuple(found["NetworkSettings"]["Networks"]["bridge"]) == ENDPOINT


def test_a_container_that_was_never_started_has_docker_s_empty_values(world: World) -> None:
    container = world.add("web", "true")
    found = look(world)
    assert found["State"] == {
        "Status": "created",
        "Running": False,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 0,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "0001-01-01T00:00:00Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    }
    assert (found["Path"], found["Args"], found["ExecIDs"], found["Mounts"], found["LogPath"]) == ("true", [], None, [], "")
    assert (found["Id"], found["Name"], found["Created"]) == (container.container_id, "/web", "2026-01-01T00:00:01Z")
    host = found["HostConfig"]
    assert (host["Binds"], host["PortBindings"], host["CapAdd"], host["ExtraHosts"]) == (None, {}, None, None)
    assert (host["Dns"], host["Devices"], host["Ulimits"], host["BlkioWeightDevice"]) == ([], [], [], [])
    assert (host["MemorySwappiness"], host["PidsLimit"], host["SecurityOpt"]) == (None, None, None)
    assert (host["ShmSize"], host["Runtime"], host["NetworkMode"], host["IpcMode"]) == (64 << 20, "runc", "bridge", "private")
    assert host["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert host["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert found["NetworkSettings"]["Ports"] == {}
    assert found["NetworkSettings"]["SandboxID"] == found["NetworkSettings"]["Networks"]["bridge"]["EndpointID"] == ""


def test_a_running_container_says_where_it_can_be_reached(world: World) -> None:
    container = world.add("web", ports="8080:80", expose=("99",))
    world.run(container)
    world.state(container).save_attachments({"bridge": ATTACHMENT})
    settings = look(world)["NetworkSettings"]
    assert settings["Ports"] == {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "99/tcp": None}
    assert (settings["IPAddress"], settings["IPPrefixLen"], settings["Gateway"]) == ("10.4.0.5", 24, "10.4.0.1")
    assert (settings["GlobalIPv6Address"], settings["GlobalIPv6PrefixLen"]) == ("fd00::5", 64)
    endpoint = settings["Networks"]["bridge"]
    assert (endpoint["IPAddress"], endpoint["MacAddress"]) == ("10.4.0.5", "02:42:0a:04:00:05")
    assert len(endpoint["EndpointID"]) == 64
    assert endpoint["EndpointID"] == settings["EndpointID"]
    assert endpoint["Aliases"] is None


def test_on_a_network_of_its_own_the_top_has_no_address(world: World) -> None:
    container = world.add("web", networks=("other",), ip="10.5.0.9")
    world.run(container)
    world.state(container).save_attachments({"other": ATTACHMENT})
    settings = look(world)["NetworkSettings"]
    assert (settings["IPAddress"], settings["Gateway"], settings["MacAddress"]) == ("", "", "")
    endpoint = settings["Networks"]["other"]
    assert endpoint["IPAddress"] == "10.4.0.5"
    assert endpoint["IPAMConfig"] == {"IPv4Address": "10.5.0.9"}
    assert endpoint["Aliases"] is None
    assert endpoint["DNSNames"] == ["web", container.container_id[:12]]


def test_the_machines_network_has_a_name_and_no_address(world: World) -> None:
    world.run(world.add("web", networks=("host",)))
    found = look(world)
    assert found["HostConfig"]["NetworkMode"] == "host"
    assert found["NetworkSettings"]["Networks"]["host"]["NetworkID"] == network_id("host")
    assert found["NetworkSettings"]["Networks"]["host"]["IPAddress"] == ""


def test_a_joined_network_is_the_other_containers(world: World) -> None:
    world.run(world.add("web", networks=("container:" + "f" * 64,)))
    found = look(world)
    assert found["HostConfig"]["NetworkMode"] == "container:" + "f" * 64
    assert (found["NetworkSettings"]["Networks"], found["NetworkSettings"]["SandboxID"]) == ({}, "")


def test_addresses_of_a_container_of_nerdctl_come_from_its_hosts_file(world: World) -> None:
    container = world.add("web")
    world.run(container)
    place = Path(world.session.paths.etchosts) / container.container_id
    place.mkdir(parents=True)
    result = {
        "interfaces": [{"name": "veth0", "mac": "aa"}, {"name": "eth0", "mac": "bb", "sandbox": "/proc/1/ns/net"}],
        "ips": [{"address": "10.4.0.7/24", "gateway": "10.4.0.1"}],
    }
    (place / "meta.json").write_text(json.dumps({"Networks": {"bridge": result}}))
    endpoint = look(world)["NetworkSettings"]["Networks"]["bridge"]
    assert (endpoint["IPAddress"], endpoint["Gateway"], endpoint["MacAddress"]) == ("10.4.0.7", "10.4.0.1", "bb")


def test_how_it_ended_is_in_the_state(world: World) -> None:
    container = world.add("web", labels={"nerdctl/error": "it broke", "containerd.io/restart.count": "2"})
    world.run(container, "stopped", exit_status=137, exited_at="2026-01-02T00:00:09Z")
    found = look(world)
    state = found["State"]
    assert (state["Status"], state["Running"], state["Pid"], state["ExitCode"]) == ("exited", False, 0, 137)
    assert (state["StartedAt"], state["FinishedAt"]) == ("2026-01-02T00:00:00.5Z", "2026-01-02T00:00:09Z")
    assert (state["Error"], found["RestartCount"]) == ("it broke", 2)


def test_paused_is_running_and_paused(world: World) -> None:
    world.run(world.add("web"), "paused")
    state = look(world)["State"]
    assert (state["Status"], state["Running"], state["Paused"], state["Pid"]) == ("paused", True, True, 4711)


def test_executed_commands_are_named_while_they_run(world: World) -> None:
    world.run(world.add("web"))
    world.exec_ids = ("one", "two")
    assert look(world)["ExecIDs"] == ["one", "two"]


def test_limits_come_from_the_specification(world: World) -> None:
    world.add(
        "web",
        memory="64m",
        memory_reservation="32m",
        cpu_shares=512,
        cpu_quota=50000,
        cpu_period=100000,
        pids_limit=7,
        oom_score_adj=100,
        ulimit=("nofile=100:200", "core=-1"),
        shm_size="1m",
        read_only=True,
        sysctl=("net.core.somaxconn=5",),
        device=("/dev/null:/dev/other:r",),
    )
    host = look(world)["HostConfig"]
    assert (host["Memory"], host["MemoryReservation"], host["CpuShares"]) == (64 << 20, 32 << 20, 512)
    assert (host["CpuQuota"], host["CpuPeriod"], host["NanoCpus"]) == (50000, 100000, 0)
    assert (host["PidsLimit"], host["OomScoreAdj"], host["ShmSize"], host["ReadonlyRootfs"]) == (7, 100, 1 << 20, True)
    assert host["Ulimits"] == [{"Name": "core", "Hard": -1, "Soft": -1}, {"Name": "nofile", "Hard": 200, "Soft": 100}]
    assert host["Sysctls"] == {"net.core.somaxconn": "5"}
    assert host["Devices"] == [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/other", "CgroupPermissions": "r"}]


def test_rights_without_a_request_are_the_difference_to_the_usual_ones(world: World) -> None:
    world.add("web", cap_add=("NET_ADMIN",), cap_drop=("CHOWN",), security_opt=("seccomp=unconfined", "no-new-privileges"))
    host = look(world)["HostConfig"]
    assert (host["CapAdd"], host["CapDrop"]) == (["CAP_NET_ADMIN"], ["CAP_CHOWN"])
    assert host["SecurityOpt"] == ["no-new-privileges", "seccomp=unconfined"]


def test_privileged_has_no_masked_paths_and_no_list_of_rights(world: World) -> None:
    world.add("web", privileged=True, pid="host", uts="host", ipc="host", shm_size="2m")
    host = look(world)["HostConfig"]
    assert (host["Privileged"], host["CapAdd"], host["MaskedPaths"], host["SecurityOpt"]) == (True, None, None, None)
    assert (host["PidMode"], host["UTSMode"], host["IpcMode"], host["ShmSize"]) == ("host", "host", "host", 2 << 20)


def test_the_runtime_that_was_chosen_is_named(world: World) -> None:
    container = world.add("web")
    world.containers[container.container_id] = container.replace(runtime_options=runc_options(binary_name="/usr/bin/crun"))
    assert look(world)["HostConfig"]["Runtime"] == "/usr/bin/crun"


BIND = MountOutcome(
    mount=OciMount(type="bind", source="/src", destination="/mnt", options=("ro",)),
    type="bind", source="/src", destination="/mnt", mode="ro", read_write=False, propagation="rprivate",
)  # fmt: skip
VOLUME = MountOutcome(
    mount=OciMount(type="bind", source="/v/data/_data", destination="/data", options=()),
    type="volume", name="data", source="/v/data/_data", destination="/data", driver="local", mode="z",
)  # fmt: skip
TMPFS = MountOutcome(mount=OciMount(type="tmpfs", source="tmpfs", destination="/t", options=()), type="tmpfs", destination="/t")


def test_mounts_have_dockers_fields(world: World) -> None:
    world.add("web", mounts=(BIND, VOLUME))
    found = look(world)
    assert found["Mounts"] == [
        {"Type": "bind", "Source": "/src", "Destination": "/mnt", "Mode": "ro", "RW": False, "Propagation": "rprivate"},
        {
            "Type": "volume",
            "Name": "data",
            "Source": "/v/data/_data",
            "Destination": "/data",
            "Driver": "local",
            "Mode": "z",
            "RW": True,
            "Propagation": "",
        },
    ]
    assert found["HostConfig"]["Binds"] == ["/src:/mnt:ro", "data:/data:z"]


def ask(world: World, options: ContainerOptions, **image_config: Any) -> dict[str, Any]:
    """A container whose request was written down."""
    fields = {name: getattr(options, name) for name in options.__fields__ if name not in ("image", "command", "name")}
    container = world.add("web", *options.command, mounts=(BIND, VOLUME, TMPFS), image_config=image_config, **fields)
    save_request(world.state(container).path, options, image_id="sha256:" + "c" * 64, image_config=image_config)
    return look(world)


def test_a_stop_signal_is_shown_if_somebody_gave_one(world: World) -> None:
    world.add("plain")
    world.add("typed", stop_signal="INT")
    world.add("image", image_config={"StopSignal": "SIGQUIT"})
    assert [look(world, name)["Config"].get("StopSignal") for name in ("plain", "typed", "image")] == [None, "INT", "SIGQUIT"]


def test_with_the_request_everything_is_as_it_was_typed(world: World) -> None:
    options = ContainerOptions(
        image="busybox",
        command=("600",),
        entrypoint=("sleep",),
        interactive=True,
        volume=("./here:/mnt:ro", "data:/data", "/anon"),
        tmpfs=("/t:size=1m",),
        cpus="0.5",
        cap_add=("NET_ADMIN",),
        cap_drop=("chown",),
        publish=("8080:80", "81"),
        publish_all=True,
        security_opt=("no-new-privileges",),
        sysctl=("net.core.somaxconn=5",),
        stop_signal="INT",
        stop_timeout=5,
        group_add=("7",),
        init=True,
        restart="on-failure:3",
        workdir="/srv",
    )
    found = ask(world, options, Volumes={"/image": {}}, WorkingDir="/", OnBuild=["RUN true"])
    host, config = found["HostConfig"], found["Config"]
    assert (found["Path"], found["Args"], config["Entrypoint"], config["Cmd"]) == ("sleep", ["600"], ["sleep"], ["600"])
    assert host["Binds"] == ["/src:/mnt:ro", "data:/data"]
    assert host["Tmpfs"] == {"/t": "size=1m"}
    assert [point["Destination"] for point in found["Mounts"]] == ["/mnt", "/data"]
    assert (host["NanoCpus"], host["CpuQuota"], host["CpuPeriod"]) == (500_000_000, 0, 0)
    assert (host["CapAdd"], host["CapDrop"], host["SecurityOpt"]) == (["NET_ADMIN"], ["chown"], ["no-new-privileges"])
    assert host["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "81/tcp": [{"HostIp": "", "HostPort": ""}],
    }
    assert (host["PublishAllPorts"], host["GroupAdd"], host["Init"]) == (True, ["7"], True)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert (config["Image"], config["WorkingDir"], config["OnBuild"]) == ("busybox", "/srv", ["RUN true"])
    assert (config["StopSignal"], config["StopTimeout"]) == ("INT", 5)
    assert (config["OpenStdin"], config["StdinOnce"], config["AttachStdin"], config["AttachStdout"]) == (True, True, True, True)
    assert config["Volumes"] == {"/image": {}, "/anon": {}}
    assert found["Image"] == "sha256:" + "c" * 64


def test_what_mount_flags_asked_for_is_told_as_docker_tells_it(world: World) -> None:
    flags = (
        "type=bind,src=/src,dst=/mnt,ro,bind-nonrecursive",
        "type=volume,src=data,dst=/data,volume-nocopy,volume-label=k=v",
        "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700",
    )
    found = ask(world, ContainerOptions(image="busybox", command=("true",), mount=flags))
    assert [point["Mode"] for point in found["Mounts"]] == ["", "z", ""]
    bind, volume, tmpfs = found["HostConfig"]["Mounts"]
    assert (bind["ReadOnly"], bind["BindOptions"]) == (True, {"NonRecursive": True})
    assert volume["VolumeOptions"] == {"NoCopy": True, "Labels": {"k": "v"}, "DriverConfig": {}}
    assert tmpfs["TmpfsOptions"] == {"SizeBytes": 1 << 20, "Mode": 0o700}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"privileged": True, "security_opt": ("seccomp=unconfined",)}, ["seccomp=unconfined", "label=disable"]),
        ({"pid": "host"}, ["label=disable"]),
        ({"ipc": "host", "security_opt": ("label=type:x",)}, ["label=type:x"]),
        ({"uts": "host"}, None),
    ],
)
def test_a_container_that_sees_the_machine_has_no_label(world: World, fields: dict[str, Any], expected: Any) -> None:
    assert ask(world, ContainerOptions(image="busybox", command=("true",), **fields))["HostConfig"]["SecurityOpt"] == expected


def test_a_detached_container_is_attached_to_nothing(world: World) -> None:
    config = ask(world, ContainerOptions(image="busybox", command=("true",), interactive=True, detach=True))["Config"]
    assert (config["OpenStdin"], config["StdinOnce"], config["AttachStdin"], config["AttachStdout"]) == (
        True,
        False,
        False,
        False,
    )


def test_the_request_keeps_no_environment_and_reads_what_newer_ones_wrote(tmp_path: Path) -> None:
    options = ContainerOptions(image="x", env=("SECRET=1",), label=("a=b",), stop_timeout=0)
    save_request(str(tmp_path), options, image_id="sha256:1", image_config={"Cmd": ["a"]})
    path = tmp_path / "pyctl-request.json"
    assert "SECRET" not in path.read_text()
    document = json.loads(path.read_text())
    document["options"]["from_the_future"] = 1
    path.write_text(json.dumps(document))
    found = load_request(str(tmp_path))
    assert found is not None
    assert found.options == options.replace(env=())
    assert (found.image_id, found.image_config) == ("sha256:1", {"Cmd": ["a"]})
    assert load_request(str(tmp_path / "none")) is None


def test_without_a_request_the_images_entrypoint_is_recognised(world: World) -> None:
    world.add_image(Entrypoint=["sleep"], Cmd=["1"])
    world.add("web", "600", image_config={"Entrypoint": ["sleep"]})
    found = look(world)
    assert (found["Config"]["Entrypoint"], found["Config"]["Cmd"]) == (["sleep"], ["600"])
    assert found["Image"] == world.images[BUSYBOX].target.digest


def test_the_image_is_the_one_in_the_list_as_long_as_its_name_stays(world: World) -> None:
    config_digest = world.add_image(Cmd=["a"])
    container = world.add("web")
    options = ContainerOptions(image="busybox")
    save_request(world.state(container).path, options, image_id=config_digest, image_config={"Cmd": ["sleep"]})
    assert look(world)["Image"] == world.images[BUSYBOX].target.digest
    world.add_image(Cmd=["another"])
    assert look(world)["Image"] == config_digest


def test_the_environment_is_the_users_and_the_images(world: World) -> None:
    world.add("web", env=("A=b",), tty=True, label=("x=y",))
    config = look(world)["Config"]
    assert "A=b" in config["Env"]
    assert not [text for text in config["Env"] if text.startswith(("HOSTNAME=", "TERM="))]
    assert config["Tty"] is True
    assert config["Labels"] == {"x": "y"}


def test_health_is_shown_once_somebody_examines_it(world: World) -> None:
    check = json.dumps({"Test": ["CMD-SHELL", "true"]})
    container = world.add("web", labels={"nerdctl/healthcheck": check})
    world.run(container)
    assert "Health" not in look(world)["State"]
    assert look(world)["Config"]["Healthcheck"] == {"Test": ["CMD-SHELL", "true"]}
    labels = {**container.labels, "nerdctl/healthstate": '{"Status":"unhealthy","FailingStreak":4}'}
    world.containers[container.container_id] = container.replace(labels=labels)
    probe = {"Start": "2026-01-01T00:00:00Z", "End": "2026-01-01T00:00:01Z", "ExitCode": 1, "Output": "no"}
    (Path(world.state(container).path) / "health.json").write_text(json.dumps(probe) + "\n{")
    assert look(world)["State"]["Health"] == {"Status": "unhealthy", "FailingStreak": 4, "Log": [probe]}


def test_files_of_the_root_are_named_for_overlay(world: World) -> None:
    container = world.add("web")
    assert look(world)["GraphDriver"] == {"Data": None, "Name": "overlayfs"}
    world.snapshots[container.container_id] = ("", 5)
    assert look(world)["GraphDriver"]["Data"] == {
        "LowerDir": "/s/1/fs:/s/0/fs",
        "MergedDir": "",
        "UpperDir": "/s/2/fs",
        "WorkDir": "/s/2/work",
    }


def test_sizes_are_there_when_they_were_asked_for(world: World) -> None:
    world.snapshots[world.add("web").container_id] = ("", 5)
    assert "SizeRw" not in look(world)
    assert (look(world, sizes=True)["SizeRw"], look(world, sizes=True)["SizeRootFs"]) == (5, 5)


def test_the_log_is_named_once_it_exists(world: World) -> None:
    container = world.add("web")
    path = Path(world.state(container).path) / f"{container.container_id}-json.log"
    path.touch()
    assert look(world)["LogPath"] == str(path)
    assert look(world)["HostsPath"] == f"/hosts/{container.container_id}"


def test_native_is_what_containerd_has(world: World) -> None:
    container = world.add("web")
    world.run(container)
    found = look(world, native=True)
    assert (found["ID"], found["Image"], found["Labels"]) == (container.container_id, BUSYBOX, dict(container.labels))
    assert found["Spec"] == json.loads(container.spec_json)
    assert (found["Process"]["Pid"], found["Process"]["Status"]["Status"]) == (4711, "running")


def test_a_name_is_looked_for_among_everything(world: World) -> None:
    world.add("web")
    world.add_image("docker.io/library/web:latest")
    world.add_image("docker.io/library/img:latest", Cmd=["other"])
    VolumeStore(world.session.paths.data_store, "ns").create("vol", {})
    assert look(world, "web")["Name"] == "/web"
    assert look(world, "web", kind="image")["RepoTags"] == ["web:latest"]
    assert look(world, "img")["RepoTags"] == ["img:latest"]
    assert look(world, "host")["Driver"] == "host"
    assert look(world, "vol")["Mountpoint"].endswith("/vol/_data")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("", "No such object: nope"),
        ("container", "No such container: nope"),
        ("image", "No such image: nope:latest"),
        ("network", "network nope not found"),
        ("volume", "get nope: no such volume"),
    ],
)
def test_what_is_missing_is_said_in_dockers_words(world: World, kind: str, message: str) -> None:
    with pytest.raises(NotFoundError) as missing:
        look(world, "nope", kind=kind)
    assert str(missing.value) == message


def test_a_name_that_nothing_can_have_is_no_such_object_either(world: World) -> None:
    with pytest.raises(NotFoundError, match="No such object: Not/A Name"):
        look(world, "Not/A Name")


def test_a_kind_that_is_none_is_refused(world: World) -> None:
    with pytest.raises(InvalidArgumentError, match='"foo" is not a valid value for --type'):
        look(world, kind="foo")


def test_an_oom_is_known_though_the_task_was_deleted_while_we_asked(world: World) -> None:
    from pyctl.state.containers import ExitRecord

    container = world.add("web")
    world.run(container, "stopped", exit_status=137, exited_at="2026-01-02T00:00:09Z")
    world.state(container).save_exit(ExitRecord(exit_code=137, exited_at="2026-01-02T00:00:09Z", oom_killed=True))
    assert look(world)["State"]["OOMKilled"] is True
