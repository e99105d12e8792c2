"""No flag is silently ignored."""

from __future__ import annotations

from typing import Any

import pytest

from pyctl.spec.checks import check
from pyctl.spec.options import ContainerOptions
from pyctl.spec.unsupported import NOT_YET, ONLY, refuse_unsupported
from pyctl_hookspecs import InvalidArgumentError, UnsupportedError


@pytest.mark.parametrize("field", NOT_YET)
def test_a_flag_that_is_not_done_says_so_by_name(field: str) -> None:
    default = getattr(ContainerOptions, field)
    value: Any = ("x",) if default == () else not default if isinstance(default, bool) else 1 if default == 0 else "x"
    with pytest.raises(UnsupportedError) as raised:
        refuse_unsupported(ContainerOptions(image="x", **{field: value}))
    assert str(raised.value) == f"--{field.replace('_', '-')} is not supported yet"
    assert raised.value.exit_code == 125


@pytest.mark.parametrize("field", ONLY)
def test_words_that_change_nothing_are_accepted(field: str) -> None:
    for value in ONLY[field]:
        refuse_unsupported(ContainerOptions(image="x", **{field: value}))
    with pytest.raises(UnsupportedError):
        refuse_unsupported(ContainerOptions(image="x", **{field: "other"}))


def test_security_that_would_have_no_effect_is_refused() -> None:
    refuse_unsupported(ContainerOptions(image="x", security_opt=("apparmor=unconfined", "label=disable", "seccomp=unconfined")))
    for text in ("apparmor=mine", "label=type:x"):
        with pytest.raises(UnsupportedError):
            refuse_unsupported(ContainerOptions(image="x", security_opt=(text,)))


def test_a_good_request_passes_the_check() -> None:
    check(ContainerOptions(image="x", memory="64m", volume=("/a:/b",), env=("A=1",), cap_add=("CHOWN",)), {"Cmd": ["sh"]})


@pytest.mark.parametrize(
    "values",
    [
        {"memory": "x"},
        {"volume": ("a:b:c:d",)},
        {"env": ("=",)},
        {"cap_add": ("fly",)},
        {"device": ("x",)},
        {"ulimit": ("x",)},
        {"sysctl": ("x",)},
        {"label": ("=",)},
        {"annotation": ("=x",)},
        {"security_opt": ("x",)},
        {"shm_size": "x"},
        {"init_binary": "/no/such/init"},
        {"security_opt": ("seccomp=/no/such",)},
    ],
)
def test_a_bad_one_is_refused_before_anything_happens(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        check(ContainerOptions(image="x", **values))
