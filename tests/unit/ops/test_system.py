"""``version``, ``info`` and the engine's commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.ops.reading import World

from pyctl.ops import system, system_info
from pyctl.ops.session import Session
from pyctl.ops.settings import Settings
from pyctl_hookspecs import UnavailableError


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Its session is the one that answers."""
    found = World(tmp_path)

    def look(settings: Settings) -> Session:
        return found.session

    monkeypatch.setattr(system, "look", look)
    return found


def program(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)


@pytest.fixture
def binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/bin:/usr/bin:/usr/sbin")
    program(directory, "runc", "runc version 1.2.3\ncommit: abc\nspec: 1.2.0")
    program(directory, "crun", "crun version 1.8\ncommit: def")
    return directory


def test_version_has_dockers_shape(world: World, binaries: Path) -> None:
    found = system.versions(world.session.settings).docker()
    assert tuple(map(int, found["Client"]["ApiVersion"].split("."))) >= (1, 41)
    assert (found["Client"]["Os"], found["Client"]["Context"]) == ("linux", "default")
    server = found["Server"]
    assert (server["Version"], server["GitCommit"], server["Os"]) == ("2.1.9", "abc", "linux")
    assert server["ApiVersion"] == found["Client"]["ApiVersion"]
    assert server["Arch"] == found["Client"]["Arch"] == system.architecture()
    assert server["Components"] == [
        {"Name": "containerd", "Version": "2.1.9", "Details": {"GitCommit": "abc"}},
        {"Name": "runc", "Version": "1.2.3", "Details": {"GitCommit": "abc"}},
        {"Name": "crun", "Version": "1.8", "Details": {"GitCommit": "def"}},
    ]


def test_a_runtime_that_is_not_there_or_broken_is_left_out(tmp_path: Path) -> None:
    assert system.runtime_version("no-such-runtime") is None
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert system.runtime_version(str(broken)) is None


def alone(tmp_path: Path, *, explicit: bool) -> Settings:
    return Settings(
        mode="rootful",
        address=str(tmp_path / "nobody.sock"),
        is_address_explicit=explicit,
        data_root=str(tmp_path / "data"),
        runtime_dir=str(tmp_path / "run"),
        cni_netconfpath=str(tmp_path),
        cgroup_manager="cgroupfs",
    )


@pytest.mark.parametrize("explicit", [True, False])
def test_with_nobody_there_the_client_is_described_and_nothing_is_started(tmp_path: Path, explicit: bool) -> None:
    settings = alone(tmp_path, explicit=explicit)
    found = system.versions(settings)
    assert found.docker()["Server"] is None
    assert found.docker()["Client"]["Version"]
    assert isinstance(found.error, UnavailableError)
    told = system_info.info(settings)
    assert set(told) == {"ServerErrors", "ClientInfo"}
    assert told["ServerErrors"] == [str(found.error)]
    assert not (tmp_path / "run").exists()


def test_info_has_the_fields_programs_read(world: World, binaries: Path) -> None:
    world.run(world.add("a"))
    world.run(world.add("b"), "paused")
    world.add("c")
    world.add_image("docker.io/library/x:1")
    world.add_image("docker.io/library/x:2")
    found = json.loads(json.dumps(system_info.info(world.session.settings)))
    assert (found["Containers"], found["ContainersRunning"], found["ContainersPaused"]) == (3, 1, 1)
    assert (found["ContainersStopped"], found["Images"]) == (1, 1)
    assert (found["ID"], found["ServerVersion"], found["Driver"], found["OSType"]) == ("uuid", "2.1.9", "overlayfs", "linux")
    assert (found["CgroupDriver"], found["LoggingDriver"]) == ("cgroupfs", "json-file")
    assert found["CgroupVersion"] in ("1", "2")
    assert found["NCPU"] >= 1 and found["MemTotal"] > 1 << 20
    assert found["Swarm"]["LocalNodeState"] == "inactive"
    assert found["RegistryConfig"]["Mirrors"] == [] and found["ClientInfo"]["Plugins"] == []
    assert found["Plugins"]["Storage"] == ["overlayfs"]
    assert {"bridge", "host", "none"} <= set(found["Plugins"]["Network"])
    assert found["Runtimes"]["runc"] == {"path": str(binaries / "runc")}
    assert found["SecurityOptions"] and found["OperatingSystem"]
    assert {"MemoryLimit", "PidsLimit", "CPUShares", "Architecture", "DockerRootDir"} <= set(found)
    assert "ServerErrors" not in found


def test_native_info_lists_the_daemons_plugins(world: World) -> None:
    found = system_info.info_native(world.session.settings)
    assert (found["Namespace"], found["Rootless"], found["Daemon"]["Server"]) == ("ns", False, {"uuid": "uuid"})
    kind, platform = "io.containerd.snapshotter.v1", {"os": "linux", "architecture": "amd64"}
    assert found["Daemon"]["Plugins"]["plugins"] == [  # containerd's own message, which nerdctl's readers take apart
        {"type": kind, "id": "overlayfs", "platforms": [platform], "capabilities": ["remap-ids"]},
        {"type": kind, "id": "zfs", "init_err": {"code": 2, "message": "no zfs here"}},
    ]


def test_the_systems_name_is_read_as_a_shell_would(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text('# comment\nPRETTY_NAME="Debian \\"12\\""\nVERSION_ID=\'12\'\nID=debian\nEMPTY=\n')
    found = system_info.read_os_release((str(tmp_path / "none"), str(path)))
    assert found == {"PRETTY_NAME": 'Debian "12"', "VERSION_ID": "12", "ID": "debian", "EMPTY": ""}
    assert system_info.read_os_release((str(tmp_path / "none"),)) == {}


def test_what_this_kernel_cannot_do_is_warned_of() -> None:
    from pyctl.spec.cgroups import CgroupFacts

    warnings = system_info._warnings(CgroupFacts(controllers=("cpu",), swap_limit=False))
    assert "WARNING: No memory limit support" in warnings
    assert "WARNING: No swap limit support" in warnings
    assert "WARNING: No cpu shares support" not in warnings
