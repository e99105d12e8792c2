"""Fill an empty volume with what the image has at its place."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def is_empty(directory: str) -> bool:
    """Does the directory hold nothing?"""
    with os.scandir(directory) as entries:
        return next(entries, None) is None


def fill(volume: str, root: str, target: str) -> bool:
    """Copy the image's directory ``target`` into an empty volume, and its owner and mode onto it; True if anything was done.

    Owners, modes, times, extended attributes, symbolic links, hard links and device nodes are kept. The copy is made
    beside the data and moved in entry by entry, under a lock on the volume: a second container waits, and a kill in
    the middle leaves the volume empty. A file, or nothing at all, at ``target`` leaves it alone.
    """
    source = inside(root, target)
    if not os.path.isdir(source) or os.path.islink(source):
        return False
    import fcntl
    import shutil

    home = os.path.dirname(volume)
    lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_empty(volume):
            return False
        for name in os.listdir(home):
            if name.startswith(".tmp-copy-"):  # of someone who was killed
                shutil.rmtree(os.path.join(home, name))
        copy = os.path.join(home, f".tmp-copy-{os.urandom(6).hex()}")
        os.mkdir(copy, 0o700)
        try:
            _copy_tree(source, copy)
            for name in sorted(os.listdir(copy)):
                os.rename(os.path.join(copy, name), os.path.join(volume, name))
            _copy_facts(source, volume, os.stat(source))
        finally:
            shutil.rmtree(copy, ignore_errors=True)
    finally:
        os.close(lock)
    return True


def inside(root: str, path: str) -> str:
    """Where ``path`` is for somebody whose root is ``root``: links of the image never lead out of it."""
    resolved = ""
    waiting = [part for part in path.split("/") if part][::-1]
    links = 0
    while waiting:
        part = waiting.pop()
        if part in (".", ""):
            continue
        if part == "..":
            resolved = resolved.rpartition("/")[0]
            continue
        candidate = f"{resolved}/{part}"
        try:
            link = os.readlink(root + candidate)
        except OSError:
            resolved = candidate
            continue
        links += 1
        if links > 40:
            return root + candidate
        if link.startswith("/"):
            resolved = ""
        waiting += [piece for piece in link.split("/") if piece][::-1]
    return root + resolved


def _copy_tree(source: str, copy: str) -> None:
    import stat

    made: dict[tuple[int, int], str] = {}
    late: list[Callable[[], None]] = []
    pending = [(source, copy)]
    while pending:
        here, there = pending.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                facts = entry.stat(follow_symlinks=False)
                target = os.path.join(there, entry.name)
                key = (facts.st_dev, facts.st_ino)
                if stat.S_ISDIR(facts.st_mode):
                    os.mkdir(target, 0o700)
                    pending.append((entry.path, target))
                    late.append(_later(entry.path, target, facts))
                    continue
                if facts.st_nlink > 1 and key in made:
                    os.link(made[key], target, follow_symlinks=False)
                    continue
                made[key] = target
                if stat.S_ISLNK(facts.st_mode):
                    os.symlink(os.readlink(entry.path), target)
                elif stat.S_ISREG(facts.st_mode):
                    _copy_file(entry.path, target)
                else:  # devices, FIFOs and sockets
                    os.mknod(target, facts.st_mode, facts.st_rdev)
                _copy_facts(entry.path, target, facts)
    for finish in reversed(late):  # children first: writing into a directory changes its time
        finish()


def _later(source: str, target: str, facts: os.stat_result) -> Callable[[], None]:
    return lambda: _copy_facts(source, target, facts)


def _copy_file(source: str, target: str) -> None:
    fd_in = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fd_out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while os.sendfile(fd_out, fd_in, None, 1 << 24):
                pass
        finally:
            os.close(fd_out)
    finally:
        os.close(fd_in)


def _copy_facts(source: str, target: str, facts: os.stat_result) -> None:
    """Owner before mode (chown clears set-uid), attributes before times."""
    import stat

    os.chown(target, facts.st_uid, facts.st_gid, follow_symlinks=False)
    is_link = stat.S_ISLNK(facts.st_mode)
    if not is_link:
        os.chmod(target, stat.S_IMODE(facts.st_mode))
    for name in _attributes(source):
        os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns), follow_symlinks=False)


def _attributes(path: str) -> list[str]:
    import errno

    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return []
        raise
    # trusted.overlay.* belongs to the snapshotter's layers, not to the files.
    return [name for name in names if not name.startswith("trusted.overlay.")]
