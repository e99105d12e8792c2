"""Platforms: spelling and fallbacks."""

from __future__ import annotations

import pytest

from pyctl_hookspecs import InvalidArgumentError, platforms


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/6", "linux/arm/v6"),
        ("i686", "linux/386"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_a_platform_has_one_spelling(typed: str, normal: str) -> None:
    assert platforms.normalise(typed) == normal


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", '"" is an invalid component of ""'),
        ("linux/", '"" is an invalid component of "linux/"'),
        ("linux amd64", '"linux amd64" is an invalid component of "linux amd64": platform specifier component must match'),
        ("linux/*", '"*" is an invalid component of "linux/*"'),
        ("a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'),
        ("nonsense", '"nonsense": unknown operating system or architecture: invalid argument'),
    ],
)
def test_what_is_no_platform_is_refused_in_dockers_words(typed: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        platforms.normalise(typed)
    assert str(caught.value).startswith(words)


def test_what_nobody_has_heard_of_may_still_be_an_images_platform() -> None:
    assert platforms.normalise("linux/mine") == "linux/mine"


def test_a_system_alone_means_this_machines_architecture() -> None:
    assert platforms.normalise("linux") == platforms.host_platform()


@pytest.mark.parametrize(
    ("wanted", "best_first"),
    [
        ("linux/amd64", ["linux/amd64", "linux/386"]),
        ("linux/amd64/v3", ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"]),
        ("linux/arm64", ["linux/arm64/v8", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]),
        ("linux/arm/v6", ["linux/arm/v6", "linux/arm/v5"]),
        ("linux/s390x", ["linux/s390x"]),
    ],
)
def test_lower_variants_and_relatives_are_accepted_in_order(wanted: str, best_first: list[str]) -> None:
    ranks = [platforms.rank(offered, wanted) for offered in best_first]
    assert ranks == sorted(ranks)
    assert -1 not in ranks


def test_a_higher_variant_or_another_system_is_not_accepted() -> None:
    assert platforms.rank("linux/amd64/v3", "linux/amd64") == -1
    assert platforms.rank("linux/arm/v7", "linux/arm/v6") == -1
    assert platforms.rank("windows/amd64", "linux/amd64") == -1
    assert platforms.rank("unknown/unknown", "linux/amd64") == -1
