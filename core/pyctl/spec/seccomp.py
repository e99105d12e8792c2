"""seccomp: from a profile with conditions (ours or the user's) to the flat list the runtime wants."""

from __future__ import annotations

import os

from pyctl.spec.units import refuse_early

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

# uname's machine: the profile's word for it, and libseccomp's.
_ARCHES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "i686": ("x86", "SCMP_ARCH_X86"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
}
_PASSED_ON = ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")


def seccomp(profile: str, capabilities: Iterable[str], *, machine: str = "", kernel: str = "") -> dict[str, Any] | None:
    """``linux.seccomp`` of the runtime specification, None for ``unconfined``.

    ``profile`` is ``builtin``, ``unconfined`` or the path of a JSON file in Docker's format. ``machine`` and ``kernel``
    are uname's, this machine's if empty.

    Raises:
        InvalidArgumentError: the file cannot be read or is no profile.
    """
    if profile == "unconfined":
        return None
    import json

    built_in = os.path.join(os.path.dirname(__file__), "seccomp_default.json")
    path = built_in if profile == "builtin" else profile
    try:
        with open(path, "rb") as file:
            parsed = json.load(file)
    except OSError as error:
        refuse_early(f"opening seccomp profile ({path}) failed: open {path}: {(error.strerror or str(error)).lower()}")
    except ValueError as error:
        refuse_early(f"decoding seccomp profile ({path}) failed: {error}")
    if not isinstance(parsed, dict) or not isinstance(parsed.get("defaultAction"), str):
        refuse_early(f"decoding seccomp profile ({path}) failed: no defaultAction")
    uname = os.uname()
    return flatten(parsed, frozenset(capabilities), machine or uname.machine, kernel or uname.release)


def flatten(profile: Mapping[str, Any], capabilities: frozenset[str], machine: str, kernel: str) -> dict[str, Any]:
    """Resolve what depends on architecture, capabilities and kernel; the rest is passed on as it is."""
    word, native = _ARCHES.get(machine, (machine, ""))
    flat: dict[str, Any] = {"defaultAction": profile["defaultAction"]}
    flat |= {key: profile[key] for key in _PASSED_ON if key in profile}
    architectures = list(profile.get("architectures") or ())
    for entry in profile.get("archMap") or ():
        if entry.get("architecture") == native:
            architectures = [native, *(entry.get("subArchitectures") or ())]
    if architectures:
        flat["architectures"] = architectures
    flat["syscalls"] = [
        _plain(rule) for rule in profile.get("syscalls") or () if _applies(rule, capabilities, word, _version(kernel))
    ]
    return flat


def _applies(rule: Mapping[str, Any], capabilities: frozenset[str], word: str, kernel: tuple[int, ...]) -> bool:
    wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
    if any(cap not in capabilities for cap in wanted.get("caps") or ()):
        return False
    if any(cap in capabilities for cap in unwanted.get("caps") or ()):
        return False
    if wanted.get("arches") and word not in wanted["arches"]:
        return False
    if word in (unwanted.get("arches") or ()):
        return False
    if wanted.get("minKernel") and kernel < _version(wanted["minKernel"]):
        return False
    return not (unwanted.get("minKernel") and kernel >= _version(unwanted["minKernel"]))


def _plain(rule: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {"names": rule.get("names") or [rule["name"]], "action": rule["action"]}
    if rule.get("errnoRet") is not None:
        plain["errnoRet"] = rule["errnoRet"]
    if rule.get("args"):
        plain["args"] = rule["args"]
    return plain


def _version(text: str) -> tuple[int, ...]:
    numbers = []
    for part in text.split("-")[0].split("+")[0].split(".")[:2]:
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)
