"""Bind mounts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyctl_hookspecs import InvalidArgumentError, MountRequest
from pyctl_plugins.mount import _propagation, bind

MOUNTINFO = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /private rw - tmpfs tmpfs rw
23 21 0:21 / /slave rw master:5 - tmpfs tmpfs rw
24 22 0:22 / /private/with\\040space rw - tmpfs tmpfs rw
25 21 0:23 / /both rw shared:7 master:5 - tmpfs tmpfs rw
"""


@pytest.fixture
def mountinfo(tmp_path: Path) -> str:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTINFO)
    return str(path)


def request(source: str, **values: Any) -> MountRequest:
    return MountRequest(container_id="c", argument=f"-v {source}:/x", type="bind", source=source, target="/x", **values)


def test_v_makes_a_missing_directory_and_mount_refuses_it(tmp_path: Path) -> None:
    missing = str(tmp_path / "a" / "b")
    with pytest.raises(InvalidArgumentError, match=f"bind source path does not exist: {missing}"):
        bind.plan_mount(request(missing))
    bind.plan_mount(request(missing, create_source=True))
    assert not (tmp_path / "a").exists()
    bind.process_mounts(request(missing, create_source=True))
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_can_be_bound(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    outcome = bind.process_mounts(request(str(file), read_only=True))
    assert outcome.mount.options == ("rbind", "rprivate", "ro")
    assert (outcome.mode, outcome.read_write, outcome.propagation) == ("ro", False, "rprivate")


def test_a_source_that_cannot_be_made_names_the_argument(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    bad = request(str(tmp_path / "file" / "below"), create_source=True)
    with pytest.raises(InvalidArgumentError) as raised:
        bind.process_mounts(bad)
    assert bad.argument in str(raised.value) and "error while creating mount source path" in str(raised.value)


def test_a_mount_that_does_not_recurse_says_bind(tmp_path: Path) -> None:
    assert bind.process_mounts(request(str(tmp_path), options=("bind",))).mount.options == ("bind", "rprivate")


@pytest.mark.parametrize(
    ("source", "propagation", "why"),
    [
        ("/anywhere", "rshared", ""),
        ("/private/x", "private", ""),
        ("/private/x", "rshared", "path /private/x is mounted on /private but it is not a shared mount"),
        ("/private/x", "slave", "path /private/x is mounted on /private but it is not a shared or slave mount"),
        ("/slave", "rslave", ""),
        ("/slave", "shared", "path /slave is mounted on /slave but it is not a shared mount"),
        ("/both/x", "rslave", ""),
        ("/privately", "rshared", ""),
    ],
)
def test_propagation_needs_a_mount_that_allows_it(mountinfo: str, source: str, propagation: str, why: str) -> None:
    assert _propagation.why_not(source, propagation, mountinfo) == why


def test_mounts_below_a_source_are_seen(mountinfo: str) -> None:
    assert _propagation.has_submounts("/private", mountinfo)
    assert not _propagation.has_submounts("/private/with space", mountinfo)
    assert not _propagation.has_submounts("/slave", mountinfo)
    assert _propagation.has_submounts("/", mountinfo)


def test_read_only_reaches_what_is_mounted_below() -> None:
    # /proc has no mounts of its own everywhere, / always has some.
    assert bind.process_mounts(request("/", read_only=True)).mount.options[-1] == "rro"
    assert bind.process_mounts(request("/", read_only=True, options=("ro-nonrecursive",))).mount.options[-1] == "ro"
