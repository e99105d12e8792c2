"""The contracts between pyctl and its plug-ins: what a plug-in author reads and imports.

Names load on first use, so that a record costs no pluggy and ``pyctl ps`` pays for neither.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.cleanup import CleanupSpecs as CleanupSpecs
    from pyctl_hookspecs.create_task import TaskHandle as TaskHandle
    from pyctl_hookspecs.create_task import TaskRequest as TaskRequest
    from pyctl_hookspecs.create_task import TaskSpecs as TaskSpecs
    from pyctl_hookspecs.errors import ConflictError as ConflictError
    from pyctl_hookspecs.errors import InvalidArgumentError as InvalidArgumentError
    from pyctl_hookspecs.errors import NotFoundError as NotFoundError
    from pyctl_hookspecs.errors import PyctlError as PyctlError
    from pyctl_hookspecs.errors import UnavailableError as UnavailableError
    from pyctl_hookspecs.errors import UnsupportedError as UnsupportedError
    from pyctl_hookspecs.host import Host as Host
    from pyctl_hookspecs.intents import Intent as Intent
    from pyctl_hookspecs.logging import LogRequest as LogRequest
    from pyctl_hookspecs.logging import LogRoute as LogRoute
    from pyctl_hookspecs.logging import LogSpecs as LogSpecs
    from pyctl_hookspecs.markers import hookimpl as hookimpl
    from pyctl_hookspecs.markers import hookspec as hookspec
    from pyctl_hookspecs.observers import ObserverSpecs as ObserverSpecs
    from pyctl_hookspecs.privilege import Layout as Layout
    from pyctl_hookspecs.privilege import PrivilegeSpecs as PrivilegeSpecs
    from pyctl_hookspecs.process_mounts import MountOutcome as MountOutcome
    from pyctl_hookspecs.process_mounts import MountRequest as MountRequest
    from pyctl_hookspecs.process_mounts import MountSpecs as MountSpecs
    from pyctl_hookspecs.process_mounts import OciMount as OciMount
    from pyctl_hookspecs.records import Record as Record
    from pyctl_hookspecs.resolve_image import Descriptor as Descriptor
    from pyctl_hookspecs.resolve_image import ImageRequest as ImageRequest
    from pyctl_hookspecs.resolve_image import ImageSpecs as ImageSpecs
    from pyctl_hookspecs.resolve_image import PullProgress as PullProgress
    from pyctl_hookspecs.resolve_image import ResolvedImage as ResolvedImage
    from pyctl_hookspecs.setup_network import ConnectedNetwork as ConnectedNetwork
    from pyctl_hookspecs.setup_network import NetworkAttachment as NetworkAttachment
    from pyctl_hookspecs.setup_network import NetworkDefinition as NetworkDefinition
    from pyctl_hookspecs.setup_network import NetworkIntent as NetworkIntent
    from pyctl_hookspecs.setup_network import NetworkRequest as NetworkRequest
    from pyctl_hookspecs.setup_network import NetworkSpecs as NetworkSpecs
    from pyctl_hookspecs.setup_network import NetworkSubnet as NetworkSubnet
    from pyctl_hookspecs.setup_network import PortMapping as PortMapping
    from pyctl_hookspecs.snapshotter import SnapshotRequest as SnapshotRequest
    from pyctl_hookspecs.snapshotter import SnapshotSpecs as SnapshotSpecs

_HOMES = {
    "CleanupSpecs": "cleanup",
    "ConflictError": "errors",
    "ConnectedNetwork": "setup_network",
    "Descriptor": "resolve_image",
    "Host": "host",
    "ImageRequest": "resolve_image",
    "ImageSpecs": "resolve_image",
    "Intent": "intents",
    "InvalidArgumentError": "errors",
    "Layout": "privilege",
    "LogRequest": "logging",
    "LogRoute": "logging",
    "LogSpecs": "logging",
    "MountOutcome": "process_mounts",
    "MountRequest": "process_mounts",
    "MountSpecs": "process_mounts",
    "NetworkAttachment": "setup_network",
    "NetworkDefinition": "setup_network",
    "NetworkIntent": "setup_network",
    "NetworkRequest": "setup_network",
    "NetworkSpecs": "setup_network",
    "NetworkSubnet": "setup_network",
    "NotFoundError": "errors",
    "ObserverSpecs": "observers",
    "OciMount": "process_mounts",
    "PortMapping": "setup_network",
    "PrivilegeSpecs": "privilege",
    "PullProgress": "resolve_image",
    "PyctlError": "errors",
    "Record": "records",
    "ResolvedImage": "resolve_image",
    "SnapshotRequest": "snapshotter",
    "SnapshotSpecs": "snapshotter",
    "TaskHandle": "create_task",
    "TaskRequest": "create_task",
    "TaskSpecs": "create_task",
    "UnavailableError": "errors",
    "UnsupportedError": "errors",
    "hookimpl": "markers",
    "hookspec": "markers",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605 - the literal table above is the list


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
