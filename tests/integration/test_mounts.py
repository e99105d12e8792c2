"""Mounts and volumes, from the command line to what a container reads and writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration import images

pytestmark = pytest.mark.integration


@pytest.fixture
def sh(pyctl: Any, busybox: str) -> Any:
    """``sh(script, *flags)``: the lines a container without network prints."""

    def run(script: str, *flags: str, image: str = busybox) -> list[str]:
        lines: list[str] = pyctl("run", "--rm", "--network", "none", *flags, image, "sh", "-c", script).stdout.splitlines()
        return lines

    return run


@pytest.fixture
def volume(pyctl: Any, name: str) -> Iterator[str]:
    """A volume's name; the volume is removed afterwards."""
    yield name
    pyctl("volume", "rm", "-f", name)


@pytest.fixture(scope="session")
def with_volumes(registry: images.Registry, engine: Any) -> str:
    """An image with data at a VOLUME, owned by somebody else than root."""
    files: dict[str, bytes | str] = {"data/": b"", "data/file": b"from the image\n", "data/link": "file"}
    layers = [images.busybox_layer(), images.tar(files, mode=0o750, owner=(33, 34))]
    ref = registry.push("spec/volumes", layers, config={"Cmd": ["sh"], "Volumes": {"/data": {}, "/empty/dir": {}}})
    engine.ctr("images", "pull", "--plain-http", ref)
    return ref


def test_a_directory_is_shared_with_the_host(sh: Any, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("host\n")
    assert sh("cat /d/f; echo container > /d/g", "-v", f"{tmp_path}:/d") == ["host"]
    assert (tmp_path / "g").read_text() == "container\n"


def test_v_makes_a_missing_directory_and_mount_refuses_it(sh: Any, pyctl: Any, busybox: str, tmp_path: Path) -> None:
    assert sh("ls -d /d", "-v", f"{tmp_path}/made:/d") == ["/d"]
    assert (tmp_path / "made").is_dir()
    argument = f"type=bind,src={tmp_path}/nope,dst=/d"
    done = pyctl("run", "--rm", "--mount", argument, busybox, "true", ok=False)
    assert done.code == 125
    assert f"bind source path does not exist: {tmp_path}/nope" in done.stderr and argument in done.stderr


def test_read_only_mounts_refuse_writes(sh: Any, tmp_path: Path, volume: str) -> None:
    script = "for d in a b c d; do touch /$d/x 2>/dev/null && echo wrote $d; done; true"
    mounts = ("-v", f"{tmp_path}:/a:ro", "--mount", f"type=bind,src={tmp_path},dst=/b,readonly", "-v", f"{volume}:/c:ro")
    assert sh(script, *mounts, "--mount", "type=tmpfs,dst=/d,ro") == []


def test_a_named_volume_outlives_its_container(sh: Any, pyctl: Any, volume: str) -> None:
    sh("echo kept > /v/f", "-v", f"{volume}:/v")
    assert sh("cat /w/f", "--mount", f"source={volume},target=/w") == ["kept"]
    (shown,) = json.loads(pyctl("volume", "inspect", volume).stdout)
    assert Path(shown["Mountpoint"], "f").read_text() == "kept\n"
    assert volume in pyctl("volume", "ls", "-q").stdout.split()


def test_an_empty_volume_gets_what_the_image_has(sh: Any, volume: str, with_volumes: str) -> None:
    lines = sh("cat /data/file; readlink /data/link; stat -c '%a %u %g' /data", "-v", f"{volume}:/data", image=with_volumes)
    assert lines == ["from the image", "file", "750 33 34"]
    sh("rm /data/file; touch /data/mine", "-v", f"{volume}:/data", image=with_volumes)
    assert sh("ls /data", "-v", f"{volume}:/data", image=with_volumes) == ["link", "mine"]


def test_image_volumes_are_filled_and_go_with_the_container(sh: Any, pyctl: Any, with_volumes: str) -> None:
    lines = sh("cat /data/file; ls -d /empty/dir; grep -cE ' (/data|/empty/dir) ' /proc/mounts", image=with_volumes)
    assert lines == ["from the image", "/empty/dir", "2"]
    assert pyctl("volume", "ls", "-q").out == ""


def test_rm_keeps_anonymous_volumes_unless_asked(pyctl: Any, busybox: str, name: str) -> None:
    pyctl("run", "-d", "--name", name, "--network", "none", "-v", "/anon", busybox, "true")
    pyctl("wait", name)
    pyctl("rm", name)
    (left,) = pyctl("volume", "ls", "-q").stdout.split()
    assert len(left) == 64
    assert left in pyctl("volume", "prune", "-f").stdout
    pyctl("create", "--name", name, "-v", "/anon", busybox)
    pyctl("rm", "-v", name)
    assert pyctl("volume", "ls", "-q").out == ""


def test_a_volume_in_use_cannot_be_removed(pyctl: Any, busybox: str, name: str, volume: str) -> None:
    container_id = pyctl("create", "--name", name, "-v", f"{volume}:/v", busybox).out
    done = pyctl("volume", "rm", volume, ok=False)
    assert done.code == 1 and f"remove {volume}: volume is in use - [{container_id}]" in done.stderr
    pyctl("rm", name)
    assert pyctl("volume", "rm", volume).out == volume
    assert f"get {volume}: no such volume" in pyctl("volume", "rm", volume, ok=False).stderr


def test_mounts_of_another_container_can_be_reused(sh: Any, pyctl: Any, busybox: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("host\n")
    pyctl("create", "--name", name, "-v", "/anon", "-v", f"{tmp_path}:/h:ro", busybox)
    sh("echo shared > /anon/f", "--volumes-from", name)
    assert sh("cat /anon/f /h/f; touch /h/x 2>/dev/null || echo refused", "--volumes-from", name) == ["shared", "host", "refused"]
    assert sh("touch /anon/x 2>/dev/null || echo refused", "--volumes-from", f"{name}:ro") == ["refused"]
    pyctl("rm", "-v", name)


def test_parents_are_mounted_before_children(sh: Any, tmp_path: Path, volume: str) -> None:
    (tmp_path / "f").write_text("deep\n")
    assert sh("cat /a/b/c/f", "-v", f"{tmp_path}:/a/b/c", "-v", f"{volume}:/a", "--tmpfs", "/a/b") == ["deep"]
    assert "127.0.0.1" in sh("cat /etc/hosts", "-v", f"{volume}:/etc")[1]


def test_tmpfs_takes_size_and_mode(sh: Any) -> None:
    (line,) = sh("grep ' /t ' /proc/mounts", "--tmpfs", "/t:size=1m,mode=700,exec")
    options = line.split()[3].split(",")
    assert "size=1024k" in options and "mode=700" in options and "noexec" not in options and "nosuid" in options


def test_a_file_can_replace_one_of_ours(sh: Any, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("mine\n")
    assert sh("cat /etc/hosts", "-v", f"{tmp_path}/hosts:/etc/hosts:ro") == ["mine"]


def test_mounts_are_there_again_after_a_restart(pyctl: Any, busybox: str, name: str, tmp_path: Path, volume: str) -> None:
    mounts = ("-v", f"{tmp_path}:/h", "-v", f"{volume}:/v", "--tmpfs", "/t")
    pyctl("run", "-d", "--name", name, "--network", "none", *mounts, busybox, "sleep", "1000")
    pyctl("exec", name, "sh", "-c", "echo kept > /v/f")
    pyctl("restart", "-t", "0", name)
    assert pyctl("exec", name, "sh", "-c", "cat /v/f; grep -cE ' /(h|v|t) ' /proc/mounts").stdout.split() == ["kept", "3"]
    pyctl("rm", "-f", name)


_REFUSED = (
    (("-v", "a:b:c:d"), "invalid volume specification: 'a:b:c:d'"),
    (("-v", "/a:/b:loud"), "invalid mode: loud"),
    (("-v", "a/b:/c"), "includes invalid characters for a local volume name"),
    (("-v", "/tmp:/x", "--tmpfs", "/x"), "Duplicate mount point: /x"),
    (("--mount", "type=bind,src=/a"), 'invalid argument "type=bind,src=/a" for "--mount" flag: target is required'),
    (("--tmpfs", "/t:loud"), 'invalid tmpfs option "loud"'),
    (("--volumes-from", "nosuchcontainer"), "No such container: nosuchcontainer"),
)


def test_a_bad_mount_is_named_and_leaves_nothing(pyctl: Any, busybox: str) -> None:
    for flags, why in _REFUSED:
        done = pyctl("run", "--rm", *flags, busybox, "true", ok=False)
        assert done.code == 125 and why in done.stderr and not done.stdout, flags


def test_a_failure_after_the_mounts_takes_the_anonymous_volumes_along(pyctl: Any, with_volumes: str) -> None:
    done = pyctl("run", "--rm", "--network", "none", with_volumes, "nosuchcommand", ok=False)
    assert done.code == 127
    assert pyctl("volume", "ls", "-q").out == ""
