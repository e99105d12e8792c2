"""``-v``, ``--mount``, ``--tmpfs``, ``--volumes-from`` and image volumes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pyctl.spec.mounts import MountPoint, parse_mounts, volumes_from
from pyctl.spec.options import ContainerOptions
from pyctl_hookspecs import InvalidArgumentError, MountRequest, PyctlError, UnsupportedError


def parse(*, image_volumes: tuple[str, ...] = (), donors: Any = None, **values: Any) -> tuple[MountRequest, ...]:
    options = ContainerOptions(image="x", **values)
    return parse_mounts(options, container_id="c", image_volumes=image_volumes, donors=donors)


def test_a_path_is_a_bind_that_makes_its_source() -> None:
    (mount,) = parse(volume=("/data:/srv//x/:ro,rslave",))
    assert (mount.type, mount.source, mount.target) == ("bind", "/data", "/srv/x")
    assert mount.read_only and mount.propagation == "rslave" and mount.create_source
    assert mount.argument == "-v /data:/srv//x/:ro,rslave"


def test_a_relative_path_starts_where_the_user_is() -> None:
    assert parse(volume=("./a:/b",))[0].source == os.path.join(os.getcwd(), "a")


def test_a_name_is_a_volume() -> None:
    (mount,) = parse(volume=("data:/srv:nocopy,Z",))
    assert (mount.type, mount.volume_name, mount.is_anonymous) == ("volume", "data", False)
    assert not mount.copy_up and mount.options == ("Z",)


@pytest.mark.parametrize("text", ["/srv", "//srv/", "srv", "./srv"])
def test_a_target_alone_is_a_volume_with_a_name_of_64_hex_digits(text: str) -> None:
    (mount,) = parse(volume=(text,))
    assert mount.target == "/srv"
    assert mount.is_anonymous and mount.type == "volume"
    assert len(mount.volume_name) == 64 and int(mount.volume_name, 16) >= 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "invalid empty volume spec"),
        ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"),
        ("/a::ro", "invalid spec: /a::ro: empty section between colons"),
        (":/b", "invalid spec: :/b: empty section between colons"),
        ("/a:ro", "invalid volume specification: '/a:ro'"),
        ("/a:/b:loud", "invalid mode: loud"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("data:/b:rshared", 'invalid mount config for type "volume": field BindOptions must not be specified'),
        ("/a:/b:nocopy", 'invalid mount config for type "bind": field VolumeOptions must not be specified'),
        ("/a:b", "invalid mount path: 'b' mount path must be absolute"),
        ("/a:/", "destination can't be '/'"),
        ("/a:/x/..", "destination can't be '/'"),
        ("a/b:/c", 'create a/b: "a/b" includes invalid characters for a local volume name'),
        ("x:/c", "volume name is too short"),
    ],
)
def test_a_malformed_volume_flag_is_refused_in_docker_s_words(text: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse(volume=(text,))
    assert why in str(raised.value)
    assert raised.value.exit_code == (125 if "empty section" in why else 1)  # of create; only one is the command line's


def test_mount_flags_are_read_with_all_their_synonyms() -> None:
    bind, volume, tmpfs = parse(
        mount=(
            "type=bind,src=/a,dst=/1,ro,bind-propagation=rshared,consistency=cached",
            "source=data,destination=/2,readonly=false,volume-nocopy=true,volume-label=k=v",
            "type=tmpfs,target=/3,tmpfs-size=1m,tmpfs-mode=1770",
        )
    )
    assert (bind.source, bind.read_only, bind.propagation, bind.create_source) == ("/a", True, "rshared", False)
    assert (volume.type, volume.volume_name, volume.read_only, volume.copy_up) == ("volume", "data", False, False)
    assert volume.options == ("volume-label=k=v",)
    assert (tmpfs.size_bytes, tmpfs.mode) == (1 << 20, "1770")


def test_a_quoted_field_may_hold_a_comma() -> None:
    assert parse(mount=('type=bind,"src=/a,b",dst=/c',))[0].source == "/a,b"


def test_a_mount_without_source_is_an_anonymous_volume() -> None:
    (mount,) = parse(mount=("type=volume,target=/x",))
    assert mount.is_anonymous and len(mount.volume_name) == 64


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("type=bind,src=/a", "target is required"),
        ("type=bind,src=/a,dst=/b,foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("bind", "invalid field 'bind' must be a key=value pair"),
        ("type=bind,src=/a,dst=/b,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        ("type=tmpfs,dst=/b,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ("type=tmpfs,dst=/b,tmpfs-size=x", "invalid value for tmpfs-size: x"),
        ("type=bind,src=/a,dst=/b,ro=perhaps", "invalid value for ro: perhaps"),
    ],
)
def test_a_malformed_mount_flag_names_the_argument(text: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse(mount=(text,))
    assert str(raised.value) == f'invalid argument "{text}" for "--mount" flag: {why}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("type=fish,dst=/b", 'invalid mount config for type "fish": mount type unknown'),
        ("type=bind,dst=/b", 'invalid mount config for type "bind": field Source must not be empty'),
        ("type=tmpfs,src=/a,dst=/b", 'invalid mount config for type "tmpfs": field Source must not be specified'),
        ("type=volume,src=data,dst=b", "invalid mount config for type \"volume\": invalid mount path: 'b'"),
        ("type=bind,src=/a,dst=/b,bind-propagation=loud", "invalid propagation mode: loud"),
    ],
)
def test_an_impossible_mount_is_refused_in_the_daemon_s_words(text: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        parse(mount=(text,))
    assert why in str(raised.value)


@pytest.mark.parametrize("text", ["type=image,src=x,dst=/x", "dst=/x,volume-driver=nfs", "dst=/x,volume-opt=a=b"])
def test_what_is_not_done_yet_says_so(text: str) -> None:
    with pytest.raises(UnsupportedError, match="is not supported yet"):
        parse(mount=(text,))


def test_two_mounts_at_one_place_are_refused() -> None:
    with pytest.raises(PyctlError, match="Duplicate mount point: /x"):
        parse(volume=("/a:/x",), tmpfs=("/x/",))


def test_parents_come_before_children() -> None:
    mounts = parse(volume=("/1:/a/b/c", "/2:/a"), tmpfs=("/a/b",), image_volumes=("/z",))
    assert [mount.target for mount in mounts] == ["/a", "/z", "/a/b", "/a/b/c"]


def test_the_user_wins_over_other_containers_and_they_over_the_image() -> None:
    donor = (
        MountPoint(type="volume", name="theirs", destination="/b", source="/var/x"),
        MountPoint(type="volume", name="lost", destination="/a"),
        MountPoint(type="bind", source="/host", destination="/c", read_write=False, propagation="rprivate"),
        MountPoint(type="tmpfs", destination="/t"),
    )
    mounts = parse(volume=("mine:/a",), volumes_from=("web:ro",), donors={"web": donor}, image_volumes=("/a", "/b/", "/d"))
    assert {mount.target: (mount.volume_name, mount.source, mount.read_only) for mount in mounts if mount.target != "/d"} == {
        "/a": ("mine", "mine", False),
        "/b": ("theirs", "theirs", True),
        "/c": ("", "/host", True),
    }
    assert [mount.is_anonymous for mount in mounts] == [False, False, False, True]


def test_volumes_from_takes_a_mode() -> None:
    assert volumes_from(("a", "b:ro")) == (("a", ""), ("b", "ro"))
    with pytest.raises(InvalidArgumentError, match="invalid mode: loud"):
        volumes_from(("a:loud",))


def test_tmpfs_options_are_left_to_the_plug_in() -> None:
    (mount,) = parse(tmpfs=("/t:size=1m,mode=700",))
    assert (mount.type, mount.options, mount.argument) == ("tmpfs", ("size=1m", "mode=700"), "--tmpfs /t:size=1m,mode=700")
    with pytest.raises(InvalidArgumentError, match="mount path must be absolute"):
        parse(tmpfs=("t",))
