"""What the machine's mount table says about a path: may changes below it be shared?"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def why_not(source: str, propagation: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """Why ``propagation`` cannot work for a bind of ``source``, in Docker's words; empty if it can.

    shared needs a shared mount below the source, slave a shared or slave one.
    """
    if propagation.removeprefix("r") not in ("shared", "slave"):
        return ""
    path = os.path.realpath(source)
    mount_point, tags = "/", frozenset[str]()
    for point, found in _mounts(mountinfo):
        if is_below(path, point) and len(point) >= len(mount_point):
            mount_point, tags = point, found
    if "shared" in tags:
        return ""
    if propagation.endswith("shared"):
        return f"path {source} is mounted on {mount_point} but it is not a shared mount"
    return "" if "master" in tags else f"path {source} is mounted on {mount_point} but it is not a shared or slave mount"


def has_submounts(source: str, mountinfo: str = "/proc/self/mountinfo") -> bool:
    """Is anything mounted below the source, where a plain read-only bind would not reach?"""
    path = os.path.realpath(source)
    return any(point != path and is_below(point, path) for point, _ in _mounts(mountinfo))


def is_below(path: str, directory: str) -> bool:
    """Is ``path`` the directory or something in it?"""
    return directory == "/" or path == directory or path.startswith(directory + "/")


def _mounts(mountinfo: str) -> Iterator[tuple[str, frozenset[str]]]:
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            fields = line.split(" ")
            optional = fields[6 : fields.index("-", 6)]
            yield _unescape(fields[4]), frozenset(tag.partition(":")[0] for tag in optional)


def _unescape(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
