"""One name, one container."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.state.names import NameStore
from pyctl_hookspecs import ConflictError


def test_a_name_has_one_owner_until_it_is_given_up(tmp_path: Path) -> None:
    store = NameStore(str(tmp_path / "names"))
    store.acquire("web", "c1")
    store.acquire("web", "c1")
    with pytest.raises(ConflictError, match="already in use"):
        store.acquire("web", "c2")
    store.release("web", "c2")
    assert store.all() == {"web": "c1"}
    store.release("web", "c1")
    store.release("web", "c1")
    store.acquire("web", "c2")
    assert store.all() == {"web": "c2"}


def test_what_was_renamed_gives_up_its_new_name(tmp_path: Path) -> None:
    store = NameStore(str(tmp_path))
    for name, owner in (("old", "c2"), ("new", "c1"), (".tmp-new", "c1")):
        (tmp_path / name).write_text(owner)
    store.release("old", "c1")
    assert store.all() == {"old": "c2"} and (tmp_path / ".tmp-new").exists()
