"""Users and groups of the image: Docker's rules for ``--user`` and ``--group-add``."""

from __future__ import annotations

from pyctl.spec.units import refuse
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MAX_ID = (1 << 31) - 1


class ExecUser(Record):
    """Who the process runs as. ``additional_gids`` starts with ``gid``, as a login would have it."""

    uid: int
    gid: int
    additional_gids: tuple[int, ...]
    home: str = "/"


def resolve_user(spec: str, group_add: Iterable[str], read: Callable[[str], bytes | None]) -> ExecUser:
    """Look up ``USER|UID[:GROUP|GID]`` (empty: root) in the image's own passwd and group files.

    ``read(path)`` gives a file of the image, None if there is none.

    Raises:
        InvalidArgumentError: no such user or group, or a number out of range.
    """
    user, _, group = spec.partition(":")
    uid, gid, home, name = 0, 0, "/", ""
    wanted = user or "0"
    for entry in _passwd(read):
        if entry[0] == wanted or (wanted.isdecimal() and entry[1] == int(wanted)):
            name, uid, gid, home = entry
            break
    else:
        if user:
            if not user.isdecimal():
                refuse(f"unable to find user {user}: no matching entries in passwd file")
            uid = _in_range(user)
    additional: list[int] = []
    if group:
        for group_name, group_id, _ in _groups(read):
            if group_name == group or (group.isdecimal() and group_id == int(group)):
                gid = group_id
                break
        else:
            if not group.isdecimal():
                refuse(f"unable to find group {group}: no matching entries in group file")
            gid = _in_range(group)
    elif name:
        additional += [group_id for _, group_id, members in _groups(read) if name in members]
    additional += _group_ids(group_add, read)
    return ExecUser(uid=uid, gid=gid, additional_gids=tuple(dict.fromkeys((gid, *additional))), home=home or "/")


def _group_ids(wanted: Iterable[str], read: Callable[[str], bytes | None]) -> Iterator[int]:
    wanted = tuple(wanted)
    known = list(_groups(read)) if wanted else []
    for text in wanted:
        for name, gid, _ in known:
            if name == text or (text.isdecimal() and gid == int(text)):
                yield gid
                break
        else:
            if not text.isdecimal():
                refuse(f"Unable to find group {text}: no matching entries in group file")
            yield _in_range(text)


def _in_range(text: str) -> int:
    if int(text) > _MAX_ID:
        refuse("uids and gids must be in range 0-2147483647")
    return int(text)


def _passwd(read: Callable[[str], bytes | None]) -> Iterator[tuple[str, int, int, str]]:
    for fields in _lines(read("/etc/passwd")):
        if len(fields) >= 4 and fields[2].isdecimal() and fields[3].isdecimal():
            yield fields[0], int(fields[2]), int(fields[3]), fields[5] if len(fields) > 5 else "/"


def _groups(read: Callable[[str], bytes | None]) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    for fields in _lines(read("/etc/group")):
        if len(fields) >= 3 and fields[2].isdecimal():
            yield fields[0], int(fields[2]), tuple(fields[3].split(",")) if len(fields) > 3 and fields[3] else ()


def _lines(content: bytes | None) -> Iterator[list[str]]:
    for line in (content or b"").decode(errors="surrogateescape").splitlines():
        if line and line[0] not in "#":
            yield line.strip().split(":")
