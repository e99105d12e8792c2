"""Users and groups, looked up in the image's own files."""

from __future__ import annotations

import pytest

from pyctl.spec.users import ExecUser, resolve_user
from pyctl_hookspecs import InvalidArgumentError

_FILES = {
    "/etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/www:/bin/false\n# comment\n+nis\nodd:x:\n",
    "/etc/group": b"root:x:0:\nweb:x:34:\naudio:x:63:web,other\nbin:x:1:root,web\n",
}


def resolve(spec: str, *groups: str) -> ExecUser:
    return resolve_user(spec, groups, _FILES.get)


@pytest.mark.parametrize(
    ("spec", "uid", "gid", "additional", "home"),
    [
        ("", 0, 0, (0, 1), "/root"),
        ("web", 33, 34, (34, 63, 1), "/var/www"),
        ("33", 33, 34, (34, 63, 1), "/var/www"),
        ("web:audio", 33, 63, (63,), "/var/www"),
        ("web:5000", 33, 5000, (5000,), "/var/www"),
        ("1234", 1234, 0, (0,), "/"),
        ("1234:web", 1234, 34, (34,), "/"),
    ],
)
def test_users_follow_docker_s_rules(spec: str, uid: int, gid: int, additional: tuple[int, ...], home: str) -> None:
    assert resolve(spec) == ExecUser(uid=uid, gid=gid, additional_gids=additional, home=home)


def test_added_groups_come_after_the_user_s_own() -> None:
    assert resolve("1234", "audio", "77", "audio").additional_gids == (0, 63, 77)


def test_an_image_without_the_files_has_root_and_numbers() -> None:
    assert resolve_user("", (), lambda path: None).uid == 0
    assert resolve_user("7:8", ("9",), lambda path: None) == ExecUser(uid=7, gid=8, additional_gids=(8, 9))


@pytest.mark.parametrize(
    ("spec", "groups", "why"),
    [
        ("nobody", (), "unable to find user nobody: no matching entries in passwd file"),
        ("web:gone", (), "unable to find group gone: no matching entries in group file"),
        ("web", ("gone",), "Unable to find group gone: no matching entries in group file"),
        ("4294967296", (), "uids and gids must be in range 0-2147483647"),
    ],
)
def test_an_unknown_user_or_group_is_named(spec: str, groups: tuple[str, ...], why: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        resolve(spec, *groups)
    assert str(raised.value) == why
