"""What was done to a container, in libcni's place and format, so that every user of CNI on this host sees it.

A file is written before the first plug-in runs, without a result, and again with every result that says more: from then on
anybody knows what there is to undo.
"""

from __future__ import annotations

import os

from pyctl_hookspecs import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

DIRECTORY = "/var/lib/cni/results"
_KIND = "cniCacheV1"


class Cached(Record):
    """One attachment. ``owner`` is CNI's container ID (``<namespace>-<id>``); ``config`` the list's JSON text.

    ``result`` is that of the last plug-in that has run, in the list's version. ``refused`` is the position of the plug-in
    that refused to connect, -1 when none did: it and those after it have nothing to undo. ``directories`` are where the
    binaries were.
    """

    network: str
    owner: str
    interface: str
    config: str
    netns: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    capabilities: Mapping[str, Any]
    result: Mapping[str, Any]
    refused: int = -1
    directories: tuple[str, ...] = ()


def write(cached: Cached) -> None:
    """Write or replace an attachment's file, atomically; on disk when this returns."""
    import json
    from base64 import b64encode

    content: dict[str, Any] = {
        "kind": _KIND,
        "containerId": cached.owner,
        "config": b64encode(cached.config.encode()).decode(),
        "ifName": cached.interface,
        "networkName": cached.network,
        "netns": cached.netns,
        "cniArgs": [list(pair) for pair in cached.arguments],
        "capabilityArgs": dict(cached.capabilities),
        "result": dict(cached.result),
        "pyctl.refused": cached.refused + 1,  # libcni passes over what it does not know
        "pyctl.directories": list(cached.directories),
    }
    needed = ("kind", "containerId", "config", "ifName", "networkName")  # libcni leaves the rest out when it is empty
    text = json.dumps({key: value for key, value in content.items() if value or key in needed})
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
    path = _path(cached.network, cached.owner, cached.interface)
    temporary = _torn(path)
    try:
        with open(temporary, "w", opener=_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        _unlink(temporary)
        raise


def read(network: str, owner: str, interface: str) -> Cached | None:
    """An attachment's file, or None when there is none that says what was done."""
    return _read(_path(network, owner, interface))


def remove(network: str, owner: str, interface: str) -> None:
    """Remove an attachment's file, and what a kill in the middle of writing it left; none counts as removed."""
    path = _path(network, owner, interface)
    _unlink(path)
    _unlink(_torn(path))


def everything() -> Iterator[Cached]:
    """Every attachment on this host, whoever made it, by file name."""
    try:
        names = sorted(os.listdir(DIRECTORY))
    except FileNotFoundError:
        return
    for name in names:
        cached = None if name.startswith(".") else _read(os.path.join(DIRECTORY, name))
        if cached is not None:
            yield cached


def _torn(path: str) -> str:
    """Beside the file while somebody, and only one process at a time does, writes it."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".tmp-{name}")


def _read(path: str) -> Cached | None:
    import json
    from base64 import b64decode

    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
        if content.get("kind") != _KIND:
            return None
        return Cached(
            network=content["networkName"],
            owner=content["containerId"],
            interface=content["ifName"],
            config=b64decode(content["config"]).decode(),
            netns=content.get("netns") or "",
            arguments=tuple((key, value) for key, value in content.get("cniArgs") or ()),
            capabilities=content.get("capabilityArgs") or {},
            result=content.get("result") or {},
            refused=int(content.get("pyctl.refused") or 0) - 1,
            directories=tuple(content.get("pyctl.directories") or ()),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # an older libcni wrote results only


def _path(network: str, owner: str, interface: str) -> str:
    return os.path.join(DIRECTORY, f"{network}-{owner}-{interface}")


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
