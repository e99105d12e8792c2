"""Volume commands."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyctl.ops import volumes
from pyctl.state.volumes import VolumeStore
from pyctl_hookspecs import ConflictError, InvalidArgumentError, NotFoundError, UnsupportedError


@pytest.fixture
def store(tmp_path: Path) -> VolumeStore:
    return VolumeStore(str(tmp_path), "ns")


def nobody() -> dict[str, tuple[str, ...]]:
    return {}


def test_creating_gives_the_name_or_chooses_one(store: VolumeStore) -> None:
    assert volumes.create(store, "data", labels=("a=1", "b")) == "data"
    assert store.get("data").labels == (("a", "1"), ("b", ""))
    assert volumes.create(store, "data", labels=("a=2",)) == "data"
    name = volumes.create(store)
    assert len(name) == 64 and store.get(name).is_anonymous


def test_what_is_not_done_yet_is_refused(store: VolumeStore) -> None:
    with pytest.raises(UnsupportedError, match="--driver nfs"):
        volumes.create(store, "data", driver="nfs")
    with pytest.raises(UnsupportedError, match="--opt"):
        volumes.create(store, "data", options=("type=nfs",))
    with pytest.raises(InvalidArgumentError, match="empty name"):
        volumes.create(store, "data", labels=("=1",))


def test_inspect_has_docker_s_shape_and_names_what_is_missing(store: VolumeStore) -> None:
    store.ensure("data", {"a": "1"})
    store.ensure("plain", {})
    found, errors = volumes.inspect(store, ("data", "gone", "plain"))
    assert [str(error) for error in errors] == ["get gone: no such volume"]
    shape = found[0].docker()
    assert shape == {
        "CreatedAt": shape["CreatedAt"],
        "Driver": "local",
        "Labels": {"a": "1"},
        "Mountpoint": store.get("data").mountpoint,
        "Name": "data",
        "Options": None,
        "Scope": "local",
    }
    assert shape["CreatedAt"][10] == "T"
    assert found[1].docker()["Labels"] is None


def test_filters_select(store: VolumeStore) -> None:
    for name, labels in (("web-data", {"tier": "web"}), ("db-data", {"tier": "db"}), ("cache", {})):
        store.ensure(name, labels)

    def names(*filters: str) -> list[str]:
        return [entry.name for entry in volumes.ls(store, filters=filters, users=lambda: {"cache": ("c",)})]

    assert names() == ["cache", "db-data", "web-data"]
    assert names("name=data") == ["db-data", "web-data"]
    assert names("name=^web") == ["web-data"]
    assert names("label=tier") == ["db-data", "web-data"]
    assert names("label=tier=db") == ["db-data"]
    assert names("dangling=true") == ["db-data", "web-data"]
    assert names("dangling=0") == ["cache"]
    assert names("driver=local", "name=cache") == ["cache"]
    for text in ("colour=red", "name", "dangling=perhaps"):
        with pytest.raises(InvalidArgumentError):
            names(text)


def test_a_volume_in_use_names_its_containers(store: VolumeStore) -> None:
    store.ensure("data", {})
    labels = {"nerdctl/mounts.0": json.dumps({"Type": "volume", "Name": "data", "Destination": "/d", "RW": True})}
    users = volumes.volume_users([("a" * 64, labels), ("b" * 64, {})])
    with pytest.raises(ConflictError) as raised:
        volumes.remove(store, "data", lambda: users)
    assert str(raised.value) == f"remove data: volume is in use - [{'a' * 64}]"
    volumes.remove(store, "data", nobody)
    with pytest.raises(NotFoundError, match="get data: no such volume"):
        volumes.remove(store, "data", nobody)
    volumes.remove(store, "data", nobody, force=True)


def test_prune_says_what_came_free(store: VolumeStore) -> None:
    anonymous = volumes.create(store)
    store.ensure("named", {"keep": "yes"})
    Path(store.get(anonymous).mountpoint, "file").write_bytes(b"x" * 1000)
    assert volumes.prune(store, nobody) == volumes.Pruned(names=(anonymous,), reclaimed_bytes=1000)
    assert volumes.prune(store, nobody, filters=("all=1", "label!=keep")).names == ()
    assert volumes.prune(store, lambda: {"named": ("c",)}, every=True).names == ()
    assert volumes.prune(store, nobody, every=True).names == ("named",)


def test_sizes_count_a_hard_link_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    os.link(tmp_path / "a", tmp_path / "b")
    os.symlink("/etc/passwd", tmp_path / "link")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c").write_bytes(b"y")
    assert volumes.size_bytes(str(tmp_path)) == 11
