"""A CNI configuration list, read for what a runtime has to know; all else goes to the plug-ins as it stands."""

from __future__ import annotations

import os

from pyctl_hookspecs import InvalidArgumentError, NotFoundError, Record, UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")  # oldest first
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class Chain(Record):
    """A list of plug-ins. ``versions`` are those it may be carried out in, the best first; ``text`` is its JSON."""

    name: str
    versions: tuple[str, ...]
    plugins: tuple[Mapping[str, Any], ...]
    may_check: bool
    may_collect: bool
    text: str

    @property
    def version(self) -> str:
        """The version it is carried out in."""
        return self.versions[0]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The plug-ins' names, in order."""
        return tuple(plugin["type"] for plugin in self.plugins)

    def declares(self, capability: str) -> bool:
        """Does a plug-in of the chain take this capability argument?"""
        return any((plugin.get("capabilities") or {}).get(capability) is True for plugin in self.plugins)

    def is_at_least(self, version: str) -> bool:
        return VERSIONS.index(self.version) >= VERSIONS.index(version)

    def settled(self, version: str) -> Chain:
        """The same list in one version only, so that it is undone in the version in which it was done."""
        import json

        config = json.loads(self.text)
        config.pop("cniVersions", None)
        text = json.dumps({**config, "cniVersion": version}, separators=(",", ":"))
        return self.replace(versions=(version,), text=text)


def read(text: str) -> Chain:
    """Read a configuration list (not a single plug-in's).

    Raises:
        InvalidArgumentError: malformed; the network and the field are named.
        UnsupportedError: of no version that we know.
    """
    import json

    try:
        config = json.loads(text)
        name = config["name"]
        plugins = tuple(config["plugins"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidArgumentError(f"malformed network configuration: {error}") from error
    if not isinstance(name, str) or not name[:1].isalnum() or not _NAME_LETTERS.issuperset(name):
        raise InvalidArgumentError(f"malformed network configuration: invalid name {name!r}")
    if not plugins:
        raise InvalidArgumentError(f"network {name} has no plug-ins")
    for plugin in plugins:
        kind = plugin.get("type") if isinstance(plugin, dict) else None
        if not isinstance(kind, str) or not kind or "/" in kind or kind.startswith("."):
            raise InvalidArgumentError(f"network {name}: invalid plug-in type {kind!r}")
    return Chain(
        name=name,
        versions=_versions(name, config),
        plugins=plugins,
        may_check=not _is_true(name, config, "disableCheck"),
        may_collect=not _is_true(name, config, "disableGC"),
        text=text,
    )


def find_binaries(chain: Chain, directories: Sequence[str]) -> dict[str, str]:
    """The path of every plug-in of the chain, by name.

    Raises:
        NotFoundError: one is missing, or the address plug-in of one; it is named with where it was searched.
    """
    found = {}
    for plugin in chain.plugins:
        for part in (plugin, plugin.get("ipam")):
            kind = part.get("type") if isinstance(part, dict) else None
            if kind and kind not in found:
                found[kind] = find_binary(chain.name, kind, directories)
    return found


def find_binary(network: str, kind: str, directories: Sequence[str]) -> str:
    """The path of one plug-in.

    Raises:
        NotFoundError: it is in none of the directories.
    """
    for directory in directories:
        path = os.path.join(directory, kind)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    where = ", ".join(directories) or "no directory"
    raise NotFoundError(
        "CNI plug-in",
        kind,
        message=f'network {network} needs the CNI plug-in "{kind}", which is not in {where}',
        hint="install the package containernetworking-plugins, or name its directory with --cni-path",
    )


def _versions(name: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    wanted = config.get("cniVersions") or []
    single = config.get("cniVersion") or ("" if wanted else VERSIONS[0])
    if not isinstance(wanted, list) or not isinstance(single, str):
        raise InvalidArgumentError(f"network {name}: malformed cniVersion")
    named = [*wanted, *([single] if single else [])]
    known = tuple(version for version in reversed(VERSIONS) if version in named)
    if not known:
        raise UnsupportedError(
            f"network {name} is written for version {', '.join(map(str, named))} of CNI; "
            f"versions {VERSIONS[0]} to {VERSIONS[-1]} are supported"
        )
    return known


def _is_true(name: str, config: Mapping[str, Any], key: str) -> bool:
    """libcni takes the words as well as the values."""
    value = config.get(key, False)
    text = value.lower() if isinstance(value, str) else value
    if text not in (True, False, "true", "false"):
        raise InvalidArgumentError(f"network {name}: invalid value {value!r} for {key}")
    return text in (True, "true")
