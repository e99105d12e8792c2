"""References: Docker's normal form, and everything the grammar refuses."""

from __future__ import annotations

import pytest

from pyctl_hookspecs import InvalidArgumentError
from pyctl_hookspecs.references import familiar, is_digest, is_identifier, normalise, parse

SHA = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("typed", "full", "short"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest"),
        ("a/b", "docker.io/a/b:latest", "a/b:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
        ("localhost:5000/a/b:t", "localhost:5000/a/b:t", "localhost:5000/a/b:t"),
        ("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest", "127.0.0.1:5000/x:latest"),
        ("[2001:db8::1]:5000/x:y", "[2001:db8::1]:5000/x:y", "[2001:db8::1]:5000/x:y"),
        ("[::1]/x", "[::1]/x:latest", "[::1]/x:latest"),
        ("HOST/x", "HOST/x:latest", "HOST/x:latest"),
        ("Foo.example/x", "Foo.example/x:latest", "Foo.example/x:latest"),
        ("a/b__c-d---e.f", "docker.io/a/b__c-d---e.f:latest", "a/b__c-d---e.f:latest"),
        ("x:Upper_Tag.1-2", "docker.io/library/x:Upper_Tag.1-2", "x:Upper_Tag.1-2"),
        (f"x@{SHA}", f"docker.io/library/x@{SHA}", f"x@{SHA}"),
        (f"x:tag@{SHA}", f"docker.io/library/x@{SHA}", f"x@{SHA}"),
        ("x@sha512:" + "b" * 128, "docker.io/library/x@sha512:" + "b" * 128, "x@sha512:" + "b" * 128),
    ],
)
def test_a_reference_has_a_full_and_a_familiar_form(typed: str, full: str, short: str) -> None:
    reference = normalise(typed)
    assert str(reference) == full
    assert reference.familiar == short
    assert str(normalise(full)) == full


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        ":tag",
        "x:",
        "x@",
        "x:-tag",
        "x:.tag",
        "x:" + "t" * 129,
        "x y",
        "/x",
        "x/",
        "a//b",
        "-x",
        "x-",
        "a___b",
        "a..b",
        "a._b",
        "a-_b",
        "-host.com/x",
        "host-.com/x",
        "ho_st.com/x",
        "host..com/x",
        "host:port/x",
        "host:/x",
        "[::1/x",
        "[]/x",
        "[fe80::1%eth0]/x",
        "2001:db8::1/x",
        "http://x/y",
        "x:a:b",
        "x@sha256:abc",
        f"x@{SHA}@{SHA}",
        "é",
    ],
)
def test_a_malformed_reference_is_refused(typed: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^invalid reference format$"):
        normalise(typed)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("BusyBox", "invalid reference format: repository name (library/BusyBox) must be lowercase"),
        ("a/B", "invalid reference format: repository name (a/B) must be lowercase"),
        ("c" * 256, "repository name must not be more than 255 characters"),
        ("d" * 64, f"invalid repository name ({'d' * 64}), cannot specify 64-byte hexadecimal strings"),
        ("x@md5:" + "0" * 32, "unsupported digest algorithm"),
        ("x@sha256:" + "0" * 63, "invalid checksum digest length"),
        ("x@sha256:" + "A" * 64, "invalid checksum digest format"),
    ],
)
def test_a_refusal_says_why_in_dockers_words(typed: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        normalise(typed)
    assert str(caught.value) == words


def test_the_longest_path_and_tag_are_accepted() -> None:
    assert parse("a/" + "c" * 253 + ":" + "t" * 128).path == "a/" + "c" * 253


def test_a_missing_tag_is_filled_in_only_when_normalising() -> None:
    assert parse("x").tag == ""
    assert parse(f"x:t@{SHA}").tag == "t"


def test_a_stored_name_that_is_no_reference_stays_as_it_is() -> None:
    assert familiar("import-2024-01-01@weird") == "import-2024-01-01@weird"
    assert familiar("docker.io/library/x:1") == "x:1"


def test_identifiers_and_digests_are_recognised() -> None:
    assert is_identifier("a" * 64)
    assert not is_identifier("A" * 64)
    assert is_digest(SHA)
    assert not is_digest("sha256:short")
