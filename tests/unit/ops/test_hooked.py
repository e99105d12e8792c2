"""The name of a container whose hooks give it up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyctl.ops.hooked import is_hooked, keep_name
from pyctl.state.names import NameStore
from pyctl_hookspecs import NotFoundError


@pytest.fixture
def session(tmp_path: Path) -> Any:
    """Knows one container, ``c1``."""

    def get(container_id: str) -> None:
        if container_id != "c1":
            raise NotFoundError("container", container_id)

    client = SimpleNamespace(containers=SimpleNamespace(get=get))
    return SimpleNamespace(client=client, names=NameStore(str(tmp_path)), notices=[])


def test_a_container_that_stays_keeps_its_name(session: Any) -> None:
    keep_name(session, "web", "c1")
    assert session.names.all() == {"web": "c1"} and session.notices == []


def test_the_name_of_one_that_was_removed_meanwhile_is_free(session: Any) -> None:
    keep_name(session, "web", "c2")
    assert session.names.all() == {}


def test_who_took_the_name_meanwhile_has_it(session: Any) -> None:
    session.names.acquire("web", "c3")
    keep_name(session, "web", "c1")
    assert session.names.all() == {"web": "c3"} and "already in use" in session.notices[0]


def test_nerdctls_hooks_are_recognised_whatever_its_program_is_called() -> None:
    hook = {"path": "/x", "args": ["/opt/n", "--debug=true", "internal", "oci-hook", "createRuntime"]}
    assert is_hooked({"hooks": {"createRuntime": [hook]}})
    assert not is_hooked({"hooks": {"createRuntime": [{"path": "/x"}]}}) and not is_hooked({"hooks": None}) and not is_hooked({})
