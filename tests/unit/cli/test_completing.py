"""What could come next on a command line."""

from __future__ import annotations

import pytest

from pyctl.cli.completing import FILES, candidates

NAMES = {
    "containers": ("web", "db"),
    "images": ("busybox:latest",),
    "networks": ("bridge", "host", "none"),
    "removable-networks": ("front",),
    "volumes": ("data",),
    "formats": ("json", "table"),
    "shells": ("bash", "zsh", "fish"),
}


def names(*words: str) -> list[str]:
    return [name for name, _ in candidates(words, lambda kind: NAMES.get(kind, ()))]


def test_commands_and_groups_come_first() -> None:
    assert names("vo") == ["volume"]
    assert {"run", "ps", "container"} <= set(names(""))
    assert "__complete" not in names("_")


def test_commands_of_a_group() -> None:
    assert names("volume", "") == ["create", "inspect", "ls", "prune", "rm"]
    assert names("-n", "k8s.io", "volume", "r") == ["rm"]


@pytest.mark.parametrize(
    "words", [("rm", ""), ("rm", "web", ""), ("rm", "-f", ""), ("container", "rm", ""), ("logs", "-n", "5", "")]
)
def test_containers_are_offered_where_containers_go(words: tuple[str, ...]) -> None:
    assert names(*words) == ["web", "db"]


def test_an_argument_too_many_gets_nothing() -> None:
    assert names("logs", "web", "") == []


def test_flags_are_offered_after_a_dash() -> None:
    assert names("run", "--net") == ["--network", "--network-alias"]
    assert names("--name") == ["--namespace"]


def test_values_of_flags_are_offered() -> None:
    assert names("run", "--pull", "") == ["always", "missing", "never"]
    assert names("run", "--pull=a") == ["--pull=always"]
    assert names("run", "-d", "--network", "b") == ["bridge"]
    assert names("run", "-it", "--network=h") == ["--network=host"]
    assert names("ps", "--format", "j") == ["json"]


def test_networks_that_nobody_can_remove_are_not_offered_for_it() -> None:
    assert names("network", "rm", "") == ["front"]
    assert names("network", "inspect", "b") == ["bridge"]


def test_files_are_offered_where_files_go() -> None:
    assert names("run", "--env-file", "") == [FILES]
    assert names("run", "busybox", "") == [FILES]


def test_images_are_offered_to_run() -> None:
    assert names("run", "-d", "--name", "x", "") == ["busybox:latest"]


def test_a_word_that_is_no_command_gets_nothing() -> None:
    assert names("nope", "") == []
