"""``--mount key=value,...``"""

from __future__ import annotations

import os
import posixpath

from pyctl.spec.units import refuse, refuse_flag, size_bytes
from pyctl_hookspecs.process_mounts import MountRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_SYNONYMS = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rro": "readonly"}
_KEYS = frozenset(
    (
        *("type", "source", "target", "readonly", "consistency", "bind-propagation", "bind-nonrecursive", "bind-recursive"),
        *("volume-nocopy", "volume-label", "volume-driver", "volume-opt", "volume-subpath", "tmpfs-size", "tmpfs-mode"),
    )
)
_MAY_STAND_ALONE = frozenset(("readonly", "bind-nonrecursive", "volume-nocopy"))
_TRUE, _FALSE = ("", "1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
# How deep a bind goes, in the words of mount options for the plug-in.
_RECURSIVE = {"enabled": (), "disabled": ("bind",), "writable": ("ro-nonrecursive",), "readonly": ("ro-forcerecursive",)}


def parse_mount_flag(text: str, container_id: str) -> MountRequest:
    """Read one ``--mount``.

    Raises:
        InvalidArgumentError: names the argument.
        UnsupportedError: a type or option that is not done yet.
    """
    pairs, labels = _pairs(text)
    kind = pairs.get("type", "volume").lower()
    if kind not in ("bind", "volume", "tmpfs"):
        if kind in ("image", "npipe", "cluster"):
            _unsupported(f"--mount type={kind}")
        refuse(f'invalid mount config for type "{kind}": mount type unknown')
    for key in pairs:
        prefix = key.partition("-")[0]
        if "-" in key and prefix != kind:
            _bad(text, f"cannot mix '{prefix}-*' options with mount type '{kind}'")
    if not pairs.get("target"):
        _bad(text, "target is required")
    start = f'invalid mount config for type "{kind}": '
    target, source = pairs["target"], pairs.get("source", "")
    if not target.startswith("/"):
        refuse(f"{start}invalid mount path: '{target}' mount path must be absolute")
    target = posixpath.normpath("/" + target.lstrip("/"))
    if target == "/":
        refuse(f"{start}invalid specification: destination can't be '/'")
    if kind == "bind" and not source:
        refuse(f"{start}field Source must not be empty")
    if kind == "tmpfs" and source:
        refuse(f"{start}field Source must not be specified")
    anonymous = kind == "volume" and not source
    propagation = pairs.get("bind-propagation", "")
    if propagation and propagation not in _PROPAGATIONS:
        refuse(f"{start}invalid propagation mode: {propagation}")
    return MountRequest(
        container_id=container_id,
        argument=f"--mount {text}",
        type=kind,
        source=absolute(source) if kind == "bind" else source,
        target=target,
        options=_options(text, pairs, labels),
        read_only=_flag(pairs, "readonly"),
        propagation=propagation,
        volume_name=os.urandom(32).hex() if anonymous else volume_name(source) if kind == "volume" else "",
        is_anonymous=anonymous,
        copy_up=not _flag(pairs, "volume-nocopy"),
        size_bytes=_size(text, pairs),
        mode=_mode(text, pairs),
    )


def absolute(path: str) -> str:
    """A path of the user's, from where the command was typed."""
    return os.path.abspath(path)


def volume_name(name: str) -> str:
    """The name, if a volume may have it.

    Raises:
        InvalidArgumentError: Docker's words.
    """
    allowed = all(c.isascii() and (c.isalnum() or c in "_.-") for c in name)
    if not name or not allowed or not name[0].isalnum():
        refuse(
            f'create {name}: "{name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if len(name) < 2:
        refuse(f"create {name}: volume name is too short, names should be at least two alphanumeric characters")
    return name


def _pairs(text: str) -> tuple[dict[str, str], list[str]]:
    fields = text.split(",")
    if '"' in text:
        import csv  # only for quoted values

        fields = next(csv.reader([text]), [])
    pairs: dict[str, str] = {}
    labels: list[str] = []
    for field in fields:
        spelling, equals, value = field.partition("=")
        spelling = spelling.strip().lower()
        key = _SYNONYMS.get(spelling, spelling)
        if key not in _KEYS:
            _bad(text, f"unexpected key '{key}' in '{field}'" if equals else f"invalid field '{field}' must be a key=value pair")
        if not equals and key not in _MAY_STAND_ALONE:
            _bad(text, f"invalid field '{field}' must be a key=value pair")
        if key in _MAY_STAND_ALONE and equals and value not in (*_TRUE[1:], *_FALSE):
            _bad(text, f"invalid value for {spelling}: {value}")
        if key == "volume-label":
            labels.append(f"volume-label={value}")
        elif key == "volume-driver" and value not in ("", "local"):
            _unsupported(f"--mount volume-driver={value}")
        elif key in ("volume-opt", "volume-subpath"):
            _unsupported(f"--mount {key}")
        pairs[key] = value
    return pairs, labels


def _options(text: str, pairs: dict[str, str], labels: list[str]) -> tuple[str, ...]:
    words = tuple(labels)
    recursive = pairs.get("bind-recursive", "")
    if recursive:
        if recursive not in _RECURSIVE:
            _bad(text, f"invalid value for bind-recursive: {recursive} (must be enabled, disabled, writable or readonly)")
        if recursive == "readonly" and not _flag(pairs, "readonly"):
            _bad(text, "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
        if recursive == "readonly" and pairs.get("bind-propagation") != "rprivate":
            _bad(text, "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction")
        words += _RECURSIVE[recursive]
    if _flag(pairs, "bind-nonrecursive"):
        words += ("bind",)
    return words


def _flag(pairs: dict[str, str], key: str) -> bool:
    return pairs.get(key, "false") in _TRUE


def _size(text: str, pairs: dict[str, str]) -> int:
    value = pairs.get("tmpfs-size", "")
    try:
        return size_bytes(value) if value else 0
    except ValueError:
        _bad(text, f"invalid value for tmpfs-size: {value}")


def _mode(text: str, pairs: dict[str, str]) -> str:
    value = pairs.get("tmpfs-mode", "")
    if value and (value.strip("01234567") or int(value, 8) > 0o7777):
        _bad(text, f"invalid value for tmpfs-mode: {value}")
    return value


def _bad(text: str, why: str) -> NoReturn:
    refuse_flag(text, "--mount", why)


def _unsupported(what: str) -> NoReturn:
    from pyctl_hookspecs.errors import UnsupportedError

    raise UnsupportedError(f"{what} is not supported yet", exit_code=125)
