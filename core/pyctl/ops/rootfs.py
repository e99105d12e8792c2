"""Read a few files of a root file system from its snapshot mounts, without mounting it.

``--user`` and supplementary groups need ``/etc/passwd`` and ``/etc/group`` before there is a container. Mounting an
overlay for two small files costs more than looking through its layers, and would have to be undone after a crash.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctl_hookspecs.process_mounts import OciMount

_MAX_LINKS = 40  # the kernel's own limit
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


@contextmanager
def root_files(mounts: Sequence[OciMount], directory: str) -> Iterator[RootFiles]:
    """The files of any snapshot: looked up in its layers where that is possible, otherwise mounted at ``directory``.

    May only be used in a thread that ends soon (see ``mounted``).
    """
    if is_plain(mounts):
        yield RootFiles(mounts)
        return
    from pyctl.ops.mounting import mounted
    from pyctl_hookspecs.process_mounts import OciMount

    with mounted(mounts, directory) as path:
        yield RootFiles((OciMount(type="bind", source=path),))


def is_plain(mounts: Sequence[OciMount]) -> bool:
    """Is this what the overlayfs and native snapshotters hand out?"""
    return len(mounts) == 1 and mounts[0].type in ("overlay", "bind")


class RootFiles:
    """The files of a snapshot, topmost layer first; its mounts must be ``is_plain``."""

    def __init__(self, mounts: Sequence[OciMount]) -> None:
        mount = mounts[0]
        if mount.type == "bind":
            self._layers = [mount.source]
            return
        options = dict(option.partition("=")[::2] for option in mount.options)
        upper = [options["upperdir"]] if "upperdir" in options else []
        self._layers = upper + options.get("lowerdir", "").split(":")

    def read(self, path: str, *, limit_bytes: int = 16 << 20) -> bytes | None:
        """A regular file's content, or None if there is none. Symbolic links stay inside the root."""
        found = self._resolve(path)
        if found is None:
            return None
        descriptor = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        with open(descriptor, "rb") as file:
            return file.read(limit_bytes)

    def _resolve(self, path: str) -> str | None:
        """The host path of a file of the merged tree, following links one component at a time."""
        rest = [part for part in path.split("/") if part not in ("", ".")]
        done: list[str] = []
        links = 0
        where: str | None = None
        while rest:
            part = rest.pop(0)
            if part == "..":
                done = done[:-1]
                continue
            where = self._find([*done, part])
            if where is None:
                return None
            if os.path.islink(where):
                links += 1
                if links > _MAX_LINKS:
                    return None
                target = os.readlink(where)
                if target.startswith("/"):
                    done = []
                rest = [p for p in target.split("/") if p not in ("", ".")] + rest
            else:
                done.append(part)
        return self._find(done) if done else None

    def _find(self, parts: Sequence[str]) -> str | None:
        """The topmost layer's entry; a whiteout or an opaque directory above hides what is below."""
        for layer in self._layers:
            here = layer
            is_hidden = False
            for position, part in enumerate(parts):
                here = f"{here}/{part}"
                try:
                    found = os.lstat(here)
                except (FileNotFoundError, NotADirectoryError):
                    break
                if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
                    return None
                if position == len(parts) - 1:
                    return here
                if stat.S_ISDIR(found.st_mode):
                    is_hidden = is_hidden or _is_opaque(here)
                else:
                    return None  # a file where lower layers may have a directory
            if is_hidden:
                return None
        return None


def _is_opaque(directory: str) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(directory, name, follow_symlinks=False) == b"y":
                return True
        except OSError:
            continue
    return False
