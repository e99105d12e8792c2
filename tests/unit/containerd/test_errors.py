"""Status codes become our errors."""

from __future__ import annotations

import pytest

from pyctl.containerd.errors import AlreadyExistsError, error_for
from pyctl_hookspecs import errors


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1, errors.CancelledError),
        (2, errors.PyctlError),
        (3, errors.InvalidArgumentError),
        (4, errors.UnavailableError),
        (5, errors.NotFoundError),
        (6, AlreadyExistsError),
        (9, errors.ConflictError),
        (12, errors.UnsupportedError),
        (13, errors.PyctlError),
        (14, errors.UnavailableError),
        (99, errors.PyctlError),
    ],
)
def test_the_code_alone_chooses_the_class(code: int, expected: type[errors.PyctlError]) -> None:
    error = error_for(code, "not found: unavailable: already exists")

    assert type(error) is expected
    assert str(error) == "not found: unavailable: already exists"


def test_existing_is_a_conflict() -> None:
    assert issubclass(AlreadyExistsError, errors.ConflictError)


def test_not_found_carries_what_was_asked_for() -> None:
    error = error_for(5, 'container "x": not found', kind="container", ref="x")

    assert isinstance(error, errors.NotFoundError)
    assert (error.kind, error.ref) == ("container", "x")


def test_silence_is_not_an_empty_message() -> None:
    assert "status 13" in str(error_for(13, ""))
