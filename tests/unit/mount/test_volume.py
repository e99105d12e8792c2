"""Volumes and the copy of what the image has at their place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pyctl_hookspecs import MountRequest
from pyctl_hookspecs.testing.storage import StorageHost
from pyctl_plugins.mount import _copyup, volume

DATA = MountRequest(container_id="c", argument="-v data:/srv", type="volume", source="data", target="/srv", volume_name="data")


@pytest.fixture
def host(tmp_path: Path) -> StorageHost:
    return StorageHost(str(tmp_path))


def image(host: StorageHost) -> Path:
    root = Path(host.image_root)
    (root / "srv" / "deep" / "er").mkdir(parents=True)
    (root / "srv" / "file").write_text("hello")
    os.chmod(root / "srv" / "file", 0o4751)
    os.link(root / "srv" / "file", root / "srv" / "deep" / "same")
    os.symlink("/etc/passwd", root / "srv" / "link")
    os.mkfifo(root / "srv" / "deep" / "fifo")
    os.chmod(root / "srv" / "deep", 0o2770)
    os.chmod(root / "srv", 0o711)
    os.utime(root / "srv" / "file", ns=(1_000_000_000, 2_000_000_001))
    os.utime(root / "srv" / "deep", ns=(3_000_000_000, 4_000_000_000))
    return root


def test_an_empty_volume_gets_what_the_image_has(host: StorageHost) -> None:
    image(host)
    data = Path(volume.process_mounts(DATA, host).source)
    assert sorted(os.listdir(data)) == ["deep", "file", "link"]
    facts = os.stat(data / "file")
    assert (data / "file").read_text() == "hello"
    assert stat.S_IMODE(facts.st_mode) == 0o4751 and facts.st_mtime_ns == 2_000_000_001
    assert os.stat(data / "deep" / "same").st_ino == facts.st_ino
    assert os.readlink(data / "link") == "/etc/passwd"
    assert stat.S_ISFIFO(os.stat(data / "deep" / "fifo").st_mode)
    assert stat.S_IMODE(os.stat(data / "deep").st_mode) == 0o2770
    assert os.stat(data / "deep").st_mtime_ns == 4_000_000_000
    assert stat.S_IMODE(os.stat(data).st_mode) == 0o711
    assert [name for name in os.listdir(data.parent) if name.startswith(".tmp-")] == []


def test_extended_attributes_are_copied(host: StorageHost) -> None:
    root = image(host)
    try:
        os.setxattr(root / "srv" / "file", "user.mine", b"1")
    except OSError:
        return  # this file system has none
    data = volume.process_mounts(DATA, host).source
    assert os.getxattr(os.path.join(data, "file"), "user.mine") == b"1"


def test_a_volume_with_data_is_left_alone(host: StorageHost) -> None:
    image(host)
    data = Path(host.volumes.ensure("data", {}))
    (data / "mine").write_text("x")
    volume.process_mounts(DATA, host)
    assert os.listdir(data) == ["mine"]


def test_nocopy_leaves_the_volume_empty(host: StorageHost) -> None:
    image(host)
    assert os.listdir(volume.process_mounts(DATA.replace(copy_up=False), host).source) == []


@pytest.mark.parametrize("content", ["nothing", "file"])
def test_an_image_without_a_directory_there_leaves_the_volume_empty(host: StorageHost, content: str) -> None:
    if content == "file":
        (Path(host.image_root) / "srv").write_text("x")
    assert os.listdir(volume.process_mounts(DATA, host).source) == []


def test_what_a_killed_copy_left_is_thrown_away(host: StorageHost) -> None:
    image(host)
    data = Path(host.volumes.ensure("data", {}))
    (data.parent / ".tmp-copy-dead").mkdir()
    (data.parent / ".tmp-copy-dead" / "half").write_text("x")
    volume.process_mounts(DATA, host)
    assert sorted(os.listdir(data.parent)) == ["_data"]


def test_links_of_the_image_never_lead_out_of_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    os.symlink("/real", root / "absolute")
    os.symlink("../../../real", root / "relative")
    os.symlink("/loop", root / "loop")
    os.symlink("../../etc", root / "real" / "out")
    assert _copyup.inside(str(root), "/absolute/x") == f"{root}/real/x"
    assert _copyup.inside(str(root), "/relative") == f"{root}/real"
    assert _copyup.inside(str(root), "/absolute/out/passwd") == f"{root}/etc/passwd"
    assert _copyup.inside(str(root), "/../..") == str(root)
    assert _copyup.inside(str(root), "/loop").startswith(str(root))


def test_anonymous_volumes_are_marked_and_undone_and_named_ones_stay(host: StorageHost) -> None:
    anonymous = DATA.replace(source="", volume_name="f" * 64, is_anonymous=True)
    assert volume.plan_mount(anonymous).undo_token == "f" * 64
    volume.process_mounts(anonymous, host)
    assert host.volumes.labels["f" * 64] == {"nerdctl/anonymous-volumes": ""}
    volume.cleanup("f" * 64, host)
    assert not os.path.exists(os.path.join(host.data_store, "volumes", "f" * 64))
    assert volume.plan_mount(DATA).undo_token == ""


def test_labels_of_mount_reach_the_volume(host: StorageHost) -> None:
    volume.process_mounts(DATA.replace(options=("volume-label=k=v=w", "Z")), host)
    assert host.volumes.labels["data"] == {"k": "v=w"}


def test_a_read_only_volume_is_filled_all_the_same(host: StorageHost) -> None:
    image(host)
    outcome = volume.process_mounts(DATA.replace(read_only=True), host)
    assert outcome.mount.options == ("rbind", "rprivate", "ro") and not outcome.read_write
    assert "file" in os.listdir(outcome.source)
