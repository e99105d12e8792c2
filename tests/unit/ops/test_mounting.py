"""What a snapshot's mounts become when somebody only wants to read."""

from __future__ import annotations

from pyctl.ops.mounting import read_only


def test_readers_of_one_overlay_share_no_work_directory() -> None:
    """Two volumes of one container are filled at the same time, each from a mount of its own."""
    writable = ("index=off", "workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs", "userxattr")
    assert read_only(writable) == ["index=off", "userxattr", "lowerdir=/s/3/fs:/s/2/fs:/s/1/fs"]


def test_an_overlay_that_nobody_writes_to_stays_as_it_is() -> None:
    view = ("index=off", "lowerdir=/s/2/fs:/s/1/fs")
    assert read_only(view) == list(view)
