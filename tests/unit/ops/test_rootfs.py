"""Files of a container that nobody has mounted."""

from __future__ import annotations

import os
from pathlib import Path

from pyctl.ops.rootfs import RootFiles
from pyctl_hookspecs import OciMount


def files_of(*layers: Path) -> RootFiles:
    lower = ":".join(str(layer) for layer in layers[1:])
    return RootFiles((OciMount(type="overlay", source="overlay", options=(f"upperdir={layers[0]}", f"lowerdir={lower}")),))


def test_the_topmost_file_counts_and_links_stay_inside(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for layer in (upper, lower):
        (layer / "etc").mkdir(parents=True)
    (lower / "etc/passwd").write_text("old")
    (upper / "etc/passwd").write_text("new")
    (upper / "etc/link").symlink_to("/../../etc/group")
    (lower / "etc/group").write_text("inside")
    files = files_of(upper, lower)
    assert files.read("/etc/passwd") == b"new"
    assert files.read("/etc/link") == b"inside"
    assert files.read("/etc/none") is None


def test_only_a_regular_file_has_content(tmp_path: Path) -> None:
    (tmp_path / "upper/etc/passwd").mkdir(parents=True)
    os.mkfifo(tmp_path / "upper/etc/group")
    files = files_of(tmp_path / "upper", tmp_path)
    assert files.read("/etc/passwd") is None and files.read("/etc/group") is None
