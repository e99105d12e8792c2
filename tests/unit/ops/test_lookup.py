"""From names to containers, one or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pyctl.containerd.records import Container
from pyctl.ops.lookup import NAME_LABEL, Finder
from pyctl_hookspecs.errors import ConflictError, NotFoundError


class Client:
    """Has containers and counts the questions."""

    def __init__(self, **names: str) -> None:
        self.found = {one: Container(container_id=one, labels={NAME_LABEL: name}) for one, name in names.items()}
        self.asked: list[Sequence[str]] = []
        self.containers: Any = self

    def find(self, *texts: str) -> tuple[Container, ...]:
        self.asked.append(texts)
        return tuple(
            one
            for one in self.found.values()
            if any(one.container_id.startswith(t) or one.labels[NAME_LABEL] == t for t in texts)
        )


def _finder(client: Any, *texts: str) -> Finder:
    return Finder(client, texts)


def test_many_names_are_one_question() -> None:
    client = Client(a1="web", b2="db", c3="a1b")
    find = _finder(client, "web", "/db", "c")
    assert [find(text).container_id for text in ("web", "/db", "c")] == ["a1", "b2", "c3"]
    assert client.asked == [("web", "db", "c")]


def test_an_id_goes_before_a_name_and_a_name_before_a_beginning() -> None:
    client = Client(aa="b", b="x", bc="aa")
    assert [_finder(client, "aa", "b")(text).container_id for text in ("aa", "b")] == ["aa", "b"]


def test_what_is_not_clear_is_said_in_its_turn() -> None:
    find = _finder(Client(ab1="x", ab2="y"), "x", "ab", "nobody")
    assert find("x").container_id == "ab1"
    with pytest.raises(ConflictError, match="Multiple IDs found with provided prefix: ab"):
        find("ab")
    with pytest.raises(NotFoundError, match="No such container: nobody"):
        find("nobody")


def test_one_that_is_named_twice_is_looked_up_anew() -> None:
    client = Client(a1="web", b2="db")
    find = _finder(client, "web", "a1", "web")
    assert list(find.known) == ["web"]
    assert find("web").container_id == "a1"
    del client.found["a1"]
    for text in ("a1", "web"):
        with pytest.raises(NotFoundError):
            find(text)


def test_one_name_is_asked_for_when_it_is_wanted() -> None:
    client = Client(a1="web")
    find = _finder(client, "web")
    assert not client.asked
    assert find("web").container_id == "a1"
