"""``--security-opt``: what may be said, and what it means."""

from __future__ import annotations

from pyctl.spec.units import refuse, refuse_early
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

_BARE = ("no-new-privileges", "privileged-without-host-devices")
_TRUE = ("", "1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class SecurityOptions(Record):
    """``seccomp`` is ``builtin``, ``unconfined`` or the path of a profile; empty: builtin unless privileged."""

    seccomp: str = ""
    no_new_privileges: bool = False
    systempaths_unconfined: bool = False
    writable_cgroups: bool = False
    privileged_without_host_devices: bool = False


def split(text: str) -> tuple[str, str]:
    """Key and value of one option; ``key:value`` is Docker's old spelling.

    Raises:
        InvalidArgumentError: neither a pair nor a word that stands alone, or an unknown key.
    """
    at = min((i for i in (text.find("="), text.find(":")) if i >= 0), default=-1)
    key, value = (text, "") if at < 0 else (text[:at], text[at + 1 :])
    if at < 0 and key not in _BARE:
        refuse_early(f'Invalid --security-opt: "{text}"')
    if key not in (*_BARE, "seccomp", "apparmor", "label", "systempaths", "writable-cgroups"):
        _refuse(text)
    return key, value


def parse_security(options: Iterable[str]) -> SecurityOptions:
    """Read all ``--security-opt``; the last of a key counts.

    Raises:
        InvalidArgumentError: names the option.
    """
    found: dict[str, str | bool] = {}
    for text in options:
        key, value = split(text)
        if key == "seccomp":
            found["seccomp"] = value or _refuse(text)
        elif key == "systempaths":
            if value != "unconfined":
                _refuse(text)
            found["systempaths_unconfined"] = True
        elif key not in ("apparmor", "label"):
            if value not in _TRUE + _FALSE:
                _refuse(text)
            found[key.replace("-", "_")] = value in _TRUE
    return SecurityOptions(**found)  # type: ignore[arg-type]


def _refuse(text: str) -> NoReturn:
    refuse(f'invalid --security-opt 2: "{text}"')
