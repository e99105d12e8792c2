"""The volume store."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from tests.unit.state import full_disk

from pyctl.state.locks import Lock
from pyctl.state.volumes import ANONYMOUS_LABEL, VolumeStore
from pyctl_hookspecs import InvalidArgumentError, NotFoundError


@pytest.fixture
def store(tmp_path: Path) -> VolumeStore:
    return VolumeStore(str(tmp_path), "ns")


def test_a_volume_is_a_directory_and_a_json_file(store: VolumeStore, tmp_path: Path) -> None:
    path = store.ensure("data", {"b": "2", "a": "é"})
    assert path == str(tmp_path / "volumes" / "ns" / "data" / "_data") and os.path.isdir(path)
    file = tmp_path / "volumes" / "ns" / "data" / "volume.json"
    assert file.read_text() == '{\n    "labels": {\n        "a": "é",\n        "b": "2"\n    }\n}'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.ensure("plain", {})
    assert json.loads((tmp_path / "volumes" / "ns" / "plain" / "volume.json").read_text()) == {"labels": None}


def test_an_existing_volume_keeps_its_labels(store: VolumeStore) -> None:
    store.ensure("data", {"a": "1"})
    found, is_new = store.create("data", {"a": "2"})
    assert not is_new and found.labels == (("a", "1"),)


def test_volumes_are_listed_by_name_without_what_is_no_volume(store: VolumeStore, tmp_path: Path) -> None:
    assert store.list() == ()
    store.ensure("bb", {})
    store.ensure("aa", {})
    (tmp_path / "volumes" / "ns" / ".tmp-removed-x").mkdir()
    (tmp_path / "volumes" / "ns" / "foreign").mkdir()
    (tmp_path / "volumes" / "ns" / "file").write_text("")
    assert [volume.name for volume in store.list()] == ["aa", "bb"]


def test_a_missing_volume_is_named_in_docker_s_words(store: VolumeStore) -> None:
    for name in ("gone", "../etc", ""):
        with pytest.raises(NotFoundError, match=f"^get {name}: no such volume$"):
            store.get(name)


def test_removing_takes_the_data_and_removing_again_succeeds(store: VolumeStore, tmp_path: Path) -> None:
    path = store.ensure("data", {})
    (Path(path) / "file").write_text("x")
    store.remove("data")
    store.remove("data")
    store.remove("../volumes")
    assert os.listdir(tmp_path / "volumes" / "ns") == []


def test_removing_finishes_what_a_killed_removal_left(store: VolumeStore, tmp_path: Path) -> None:
    left = tmp_path / "volumes" / "ns" / ".tmp-removed-old"
    left.mkdir(parents=True)
    (left / "file").write_text("x")
    store.ensure("data", {})
    store.remove("data")
    assert not left.exists()


def test_many_removals_at_once_do_not_disturb_each_other(store: VolumeStore, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    names = [f"vol{number}" for number in range(12)]
    for name in names:
        path = store.ensure(name, {})
        for number in range(20):
            (Path(path) / f"file{number}").write_text("x")
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(store.remove, names)) == [None] * 12
    assert os.listdir(tmp_path / "volumes" / "ns") == []


def test_a_volume_in_use_stays(store: VolumeStore) -> None:
    store.ensure("data", {})
    assert not store.remove_unless("data", lambda name: True)
    assert store.get("data").name == "data"
    assert not store.remove_unless("gone", lambda name: False)


def test_prune_takes_unused_anonymous_volumes_or_all(store: VolumeStore) -> None:
    for name, labels in (("named", {}), ("used", {ANONYMOUS_LABEL: ""}), ("anonymous", {ANONYMOUS_LABEL: ""})):
        store.ensure(name, labels)
    assert [volume.name for volume in store.prune(lambda: ("used",))] == ["anonymous"]
    assert [volume.name for volume in store.prune(lambda: ("used",), every=True)] == ["named"]
    assert [volume.name for volume in store.list()] == ["used"]


@pytest.mark.parametrize("name", ["", "a/b", "-x", ".hidden", "x", "ä1", "../x"])
def test_names_that_no_volume_can_have_are_refused(store: VolumeStore, name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        store.create(name, {})


def test_a_torn_json_file_does_not_hide_the_data(store: VolumeStore, tmp_path: Path) -> None:
    store.ensure("data", {"a": "1"})
    (tmp_path / "volumes" / "ns" / "data" / "volume.json").write_text("{")
    assert store.get("data").labels == ()


def test_changes_wait_for_nerdctl_s_lock(store: VolumeStore, tmp_path: Path) -> None:
    import threading

    store.ensure("first", {})
    done = threading.Event()
    with Lock(str(tmp_path / "volumes" / "ns")):
        thread = threading.Thread(target=lambda: (store.ensure("second", {}), done.set()))
        thread.start()
        assert not done.wait(0.05)
        assert [volume.name for volume in store.list()] == ["first"]
    thread.join(10)
    assert done.is_set()


def test_a_full_disk_leaves_no_half_volume(store: VolumeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", full_disk.writer(room=2))
    with pytest.raises(OSError, match="No space left"):
        store.create("data", {})
    monkeypatch.undo()
    assert os.listdir(tmp_path / "volumes" / "ns") == []


def test_removal_waits_for_a_container_that_is_being_created_and_then_asks(tmp_path: Path, store: VolumeStore) -> None:
    from threading import Event, Thread

    claims: list[Lock] = []
    VolumeStore(str(tmp_path), "ns", claims).ensure("data", {})
    users: list[str] = []
    is_over = Event()

    def remove() -> None:
        assert not store.remove_unless("data", users.__contains__)
        is_over.set()

    remover = Thread(target=remove)
    remover.start()
    VolumeStore(str(tmp_path), "ns", claims).ensure("other", {})  # the creation can go on: nobody holds the store meanwhile
    assert not is_over.is_set()
    users.append("data")  # the container is there
    while claims:
        claims.pop().release()
    remover.join(10)
    assert is_over.is_set()
    assert [volume.name for volume in store.list()] == ["data", "other"]


def test_prune_leaves_what_a_container_that_is_being_created_will_use(tmp_path: Path, store: VolumeStore) -> None:
    claims: list[Lock] = []
    VolumeStore(str(tmp_path), "ns", claims).ensure("data", {ANONYMOUS_LABEL: ""})
    assert store.prune(tuple) == ()
    claims.pop().release()
    answers = iter([(), ("data",)])  # one was created after the first look
    assert store.prune(lambda: next(answers)) == ()
    assert [volume.name for volume in store.prune(tuple)] == ["data"]


def test_a_creation_that_is_undone_removes_what_it_made(tmp_path: Path, store: VolumeStore) -> None:
    claims: list[Lock] = []
    VolumeStore(str(tmp_path), "ns", claims).ensure("data", {})
    store.remove("data")
    assert store.list() == ()
    claims.pop().release()
