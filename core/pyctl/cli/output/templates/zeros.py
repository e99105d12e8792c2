"""What a template finds where Docker's JSON has ``null`` or nothing at all: Go's nil, by the kind of the field.

Docker renders its structs, not its JSON: ``{{.Config.Entrypoint}}`` of an image without one prints ``[]`` and
``{{if .State.Health}}`` is simply false, though JSON says null there, or leaves the field out.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class NilList(list):  # type: ignore[type-arg]
    """A nil slice: empty, but null in JSON."""

    is_nil = True


class NilMap(dict):  # type: ignore[type-arg]
    """A nil map: empty, but null in JSON."""

    is_nil = True


class NilPointer:
    """A nil pointer. It prints ``<nil>``, counts as false and has no fields."""

    is_nil = True

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "<nil>"


_LISTS = frozenset(
    (
        *("Aliases", "Binds", "CapAdd", "CapDrop", "Cmd", "DNSNames", "DeviceCgroupRules", "DeviceRequests", "Devices", "Dns"),
        *("DnsOptions", "DnsSearch", "Entrypoint", "Env", "ExecIDs", "ExtraHosts", "GroupAdd", "Links", "MaskedPaths", "Mounts"),
        *("OnBuild", "ReadonlyPaths", "RepoDigests", "RepoTags", "SecondaryIPAddresses", "SecondaryIPv6Addresses"),
        *("SecurityOpt", "Shell", "Ulimits", "VolumesFrom"),
    )
)
_MAPS = frozenset(
    (
        *("Annotations", "Data", "DriverOpts", "ExposedPorts", "Labels", "Options", "PortBindings", "StorageOpt", "Sysctls"),
        *("Tmpfs", "Volumes"),
    )
)
_POINTERS = frozenset(
    (
        *("Health", "Healthcheck", "IPAMConfig", "Init", "MemorySwappiness", "OomKillDisable", "PidsLimit", "SizeRootFs"),
        *("SizeRw", "StopTimeout", "UsageData"),
    )
)
# Fields that JSON leaves out when they are empty, each with a field that tells whose they are.
_OMITTED = {
    "Health": "OOMKilled",
    "SizeRw": "GraphDriver",
    "SizeRootFs": "GraphDriver",
    **dict.fromkeys(("ExposedPorts", "Healthcheck", "Shell", "StopSignal", "StopTimeout"), "OpenStdin"),
    **dict.fromkeys(("Annotations", "Init", "Mounts", "StorageOpt", "Sysctls", "Tmpfs"), "NetworkMode"),
}


def zero(name: str) -> Any:
    """The nil of a field; None (which prints ``<no value>``) for one nobody knows."""
    if name in _LISTS:
        return NilList()
    if name in _MAPS:
        return NilMap()
    return NilPointer(name) if name in _POINTERS else None


def is_omitted(struct: Mapping[str, Any], name: str) -> bool:
    """Is this a field that the object has in Go, and in JSON only when it says something?"""
    return _OMITTED.get(name, "") in struct
