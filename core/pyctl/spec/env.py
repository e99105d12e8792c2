"""The environment: ``-e``, ``--env-file`` and the image's, put together in Docker's order."""

from __future__ import annotations

import os

from pyctl.spec.units import refuse_early, refuse_flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def user_env(env: Iterable[str], env_files: Iterable[str], *, host: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """What the user gave, files first, flags after them; ``NAME`` alone means: unset what the image sets.

    ``-e NAME`` takes the caller's value if there is one. A later value of a name replaces an earlier one.

    Raises:
        InvalidArgumentError: a malformed entry or an unreadable file.
    """
    host = os.environ if host is None else host
    entries: list[str] = []
    for path in env_files:
        entries += read_env_file(path, host=host)
    for entry in env:
        name, equals, _ = entry.partition("=")
        if not name:
            refuse_flag(entry, "-e, --env", f"invalid environment variable: {entry}")
        entries.append(entry if equals or name not in host else f"{name}={host[name]}")
    latest: dict[str, str] = {}
    for entry in entries:
        latest[entry.partition("=")[0]] = entry
    return tuple(latest.values())


def process_env(
    image_env: Iterable[str], given: Iterable[str], *, hostname: str = "", tty: bool = False, defaults: Iterable[str] = ()
) -> list[str]:
    """The environment of a container's process: PATH, HOSTNAME and TERM first, each replaced by whoever sets it."""
    merged: dict[str, str] = {"PATH": DEFAULT_PATH}
    if hostname:
        merged["HOSTNAME"] = f"HOSTNAME={hostname}"
    if tty:
        merged["TERM"] = "TERM=xterm"
    for entry in defaults:
        merged[entry.partition("=")[0]] = entry
    named = set()
    for entry in given:
        name, equals, _ = entry.partition("=")
        named.add(name)
        if equals:
            merged[name] = entry
        else:
            merged.pop(name, None)
    for entry in image_env:
        name = entry.partition("=")[0]
        if name not in named:
            merged[name] = entry
    return list(merged.values())


def read_env_file(path: str, *, host: Mapping[str, str]) -> list[str]:
    """The variables of an ``--env-file``; a bare name takes the caller's value and is dropped if there is none.

    Raises:
        InvalidArgumentError: unreadable, not UTF-8, or a malformed line; Docker's words.
    """
    found = []
    for name, value in read_pairs(path):
        if value is not None:
            found.append(f"{name}={value}")
        elif name in host:
            found.append(f"{name}={host[name]}")
    return found


def read_pairs(path: str, *, kind: str = "env") -> list[tuple[str, str | None]]:
    """``NAME=value`` lines of a file, values untouched, None where there is no ``=``; comments and empty lines left out.

    Raises:
        InvalidArgumentError: unreadable, not UTF-8, or a malformed line.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        refuse_early(f"open {path}: {(error.strerror or str(error)).lower()}")
    pairs: list[tuple[str, str | None]] = []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            refuse_early(f"invalid {kind} file ({path}): invalid utf8 bytes at line {number}: {raw!r}")
        line = line.lstrip(" \t\r\n\v\f")
        if not line or line[0] == "#":
            continue
        name, equals, value = line.partition("=")
        if not equals:
            name = name.rstrip(" \t")
        if not name:
            refuse_early(f"invalid {kind} file ({path}): no variable name on line '{line}'")
        if any(c in " \t" for c in name):
            refuse_early(f"invalid {kind} file ({path}): variable '{name}' contains whitespaces")
        pairs.append((name, value if equals else None))
    return pairs
