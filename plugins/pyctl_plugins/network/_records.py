"""Small files below the runtime directory: what the table should hold, for when somebody flushed the rules.

One directory has a file for each connection with ports (its tag, and the map elements it owns), one has a file for
each bridge (its name, and its elements of sets). A reboot, which loses the rules too, empties them.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctl_hookspecs import Host


_TORN = ".tmp"  # at the end of a name: somebody is writing, or was killed


class Lock:
    """Holds a directory against others who repair the rules, while the context is open."""

    __slots__ = ("_fd", "_path")

    def __init__(self, directory: str) -> None:
        self._path, self._fd = directory, -1

    def __enter__(self) -> None:
        os.makedirs(self._path, mode=0o700, exist_ok=True)
        self._fd = os.open(os.path.join(self._path, ".lock"), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def tag(undo_token: str, host: Host) -> str:
    """What marks a connection in the kernel: another data store may know a container of the same name."""
    return f"{undo_token}@{store(host)}"


def store(host: Host) -> str:
    """The last part of the data store's path, which tells the stores of one machine apart."""
    return host.data_store.rpartition("/")[2]


def is_own(owner: str, host: Host) -> bool:
    """Is this ``<namespace>-<full ID>`` of our namespace, and not of one that begins like it? An ID has 64 hex digits."""
    container_id = owner.removeprefix(f"{host.namespace}-")
    return owner != container_id and len(container_id) == 64 and all(c in "0123456789abcdef" for c in container_id)


def write(directory: str, tag: str, lines: Sequence[str]) -> None:
    """Remember the elements of a tag, replacing what was remembered. One process at a time writes a tag."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, _file_name(tag))
    temporary = path + _TORN
    with open(temporary, "w") as file:
        file.write("".join(f"{line}\n" for line in (tag, *lines)))
    os.rename(temporary, path)


def remove(directory: str, tag: str) -> None:
    """Forget a tag, and what a kill in the middle of writing it left; an unknown one counts as forgotten."""
    path = os.path.join(directory, _file_name(tag))
    for one in (path, path + _TORN):
        try:
            os.unlink(one)
        except FileNotFoundError:
            pass


def exists(directory: str, tag: str) -> bool:
    """Is there a record of this tag?"""
    return os.path.exists(os.path.join(directory, _file_name(tag)))


def read(directory: str, tag: str) -> list[str]:
    """The elements of a tag; none if there is no record of it."""
    try:
        with open(os.path.join(directory, _file_name(tag))) as file:
            return file.read().splitlines()[1:]
    except FileNotFoundError:
        return []


def read_all(directory: str) -> Iterator[tuple[str, list[str]]]:
    """Every tag with its elements."""
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    for name in names:
        if name.endswith(_TORN) or name.startswith("."):
            continue
        try:
            with open(os.path.join(directory, name)) as file:
                tag, *lines = file.read().splitlines()
        except (FileNotFoundError, ValueError):
            continue
        yield tag, lines


def _file_name(tag: str) -> str:
    return tag.replace("%", "%25").replace("/", "%2F")[-240:]
