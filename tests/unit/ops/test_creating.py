"""Whose name may be taken."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.ops import creating, reconciling
from pyctl.state.names import NameStore
from pyctl_hookspecs.errors import ConflictError, NotFoundError

OWNER = "ab" * 32


def _session(tmp_path: Path, *, is_in_containerd: bool) -> Any:
    def get(container_id: str) -> object:
        if not is_in_containerd:
            raise NotFoundError("container", container_id)
        return object()

    (tmp_path / "names").mkdir()
    session = SimpleNamespace(
        names=NameStore(str(tmp_path / "names")),
        paths=SimpleNamespace(state_dir=lambda container_id: str(tmp_path / container_id)),
        client=SimpleNamespace(containers=SimpleNamespace(get=get)),
    )
    session.names.acquire("web", OWNER)
    return session


@pytest.mark.parametrize(("is_in_containerd", "has_directory"), [(True, True), (True, False), (False, True)])
def test_a_container_that_is_anywhere_keeps_its_name_whatever_was_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_in_containerd: bool, has_directory: bool
) -> None:
    monkeypatch.setattr(reconciling, "undo_container", lambda *_: ["undid the interrupted start"])
    session = _session(tmp_path, is_in_containerd=is_in_containerd)
    if has_directory:
        (tmp_path / OWNER).mkdir()
    with pytest.raises(ConflictError, match="already in use"):
        creating._take_name(session, "web", "new")
    assert session.names.all() == {"web": OWNER}


def test_the_name_of_a_container_that_is_nowhere_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "undo_container", lambda *_: [])
    session = _session(tmp_path, is_in_containerd=False)
    creating._take_name(session, "web", "new")
    assert session.names.all() == {"web": "new"}
