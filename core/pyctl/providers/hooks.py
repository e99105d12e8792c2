"""The typed front of every hook; the only module that calls through pluggy."""

from __future__ import annotations

from _thread import allocate_lock

from pyctl.providers.registry import Registry, load
from pyctl_hookspecs.errors import PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import pluggy

    from pyctl.providers.scan import Claim
    from pyctl_hookspecs.create_task import TaskHandle, TaskRequest
    from pyctl_hookspecs.host import Host
    from pyctl_hookspecs.intents import Intent
    from pyctl_hookspecs.logging import LogEntry, LogQuery, LogRequest, LogRoute
    from pyctl_hookspecs.observers import PlannedStep
    from pyctl_hookspecs.privilege import Layout
    from pyctl_hookspecs.process_mounts import MountOutcome, MountRequest, OciMount
    from pyctl_hookspecs.resolve_image import ImageRequest, ResolvedImage
    from pyctl_hookspecs.setup_network import (
        ConnectedNetwork,
        NetworkAttachment,
        NetworkDefinition,
        NetworkIntent,
        NetworkRequest,
    )
    from pyctl_hookspecs.snapshotter import Snapshot, SnapshotRequest

_SPECS = {
    "image": "resolve_image:ImageSpecs",
    "network": "setup_network:NetworkSpecs",
    "mount": "process_mounts:MountSpecs",
    "snapshotter": "snapshotter:SnapshotSpecs",
    "task": "create_task:TaskSpecs",
    "logging": "logging:LogSpecs",
    "privilege": "privilege:PrivilegeSpecs",
    "observers": "observers:ObserverSpecs",
    "commands": "commands:CommandSpecs",
}
KINDS = tuple(_SPECS)

PASSTHROUGH = "passthrough"  # the snapshotter plug-in for names that only the daemon knows


class Hooks:
    """Chooses a provider by kind and name, calls it, and checks what comes back."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._ready: dict[tuple[str, str], tuple[Claim, pluggy.PluginManager]] = {}
        self._lock = allocate_lock()  # the threads of a batch all come at once, and one loads for all

    # -- the five hooks of the pipeline and their twins

    def plan_image(self, name: str, request: ImageRequest) -> Intent:
        return self._intent("image", name, "plan_image", request=request)

    def resolve_image(self, name: str, request: ImageRequest, undo_token: str, host: Host) -> ResolvedImage:
        from pyctl_hookspecs.resolve_image import ResolvedImage

        result: ResolvedImage = self._call(
            "image", name, "resolve_image", ResolvedImage, request=request, undo_token=undo_token, host=host
        )
        return result

    def plan_network(self, name: str, request: NetworkRequest, host: Host) -> NetworkIntent:
        from pyctl_hookspecs.setup_network import NetworkIntent

        result: NetworkIntent = self._call("network", name, "plan_network", NetworkIntent, request=request, host=host)
        return result

    def setup_network(self, name: str, request: NetworkRequest, undo_token: str, host: Host) -> NetworkAttachment:
        from pyctl_hookspecs.setup_network import NetworkAttachment

        result: NetworkAttachment = self._call(
            "network", name, "setup_network", NetworkAttachment, request=request, undo_token=undo_token, host=host
        )
        return result

    def compose_network(self, name: str, definition: NetworkDefinition, host: Host) -> str | None:
        """The chain of a new network; None if this driver has no networks to create."""
        if not self.has_hook("network", name, "compose_network"):
            return None
        result: str = self._call("network", name, "compose_network", str, definition=definition, host=host)
        return result

    def remove_network(self, name: str, network: str, conflist: str, host: Host) -> None:
        if self.has_hook("network", name, "remove_network"):
            self._call("network", name, "remove_network", type(None), network=network, conflist=conflist, host=host)

    def detach_network(self, name: str, request: NetworkRequest, undo_token: str, host: Host) -> None:
        """
        Raises:
            UnsupportedError: this driver cannot disconnect a running container.
        """
        if not self.has_hook("network", name, "detach_network"):
            from pyctl_hookspecs.errors import UnsupportedError

            raise UnsupportedError(f"network driver {name} cannot disconnect a running container")
        self._call("network", name, "detach_network", type(None), request=request, undo_token=undo_token, host=host)

    def repair_networks(
        self, name: str, connected: tuple[ConnectedNetwork, ...], is_alive: Callable[[str], bool], host: Host
    ) -> tuple[str, ...]:
        if not self.has_hook("network", name, "repair_networks"):
            return ()
        result: tuple[str, ...] = self._call(
            "network", name, "repair_networks", tuple, connected=connected, is_alive=is_alive, host=host
        )
        return result

    def plan_mount(self, request: MountRequest) -> Intent:
        return self._intent("mount", request.type, "plan_mount", request=request)

    def process_mounts(self, request: MountRequest, undo_token: str, host: Host) -> MountOutcome:
        from pyctl_hookspecs.process_mounts import MountOutcome

        result: MountOutcome = self._call(
            "mount", request.type, "process_mounts", MountOutcome, request=request, undo_token=undo_token, host=host
        )
        return result

    def plan_task(self, name: str, request: TaskRequest) -> Intent:
        return self._intent("task", name, "plan_task", request=request)

    def create_task(
        self, name: str, request: TaskRequest, rootfs: tuple[OciMount, ...], undo_token: str, host: Host
    ) -> TaskHandle:
        from pyctl_hookspecs.create_task import TaskHandle

        result: TaskHandle = self._call(
            "task", name, "create_task", TaskHandle, request=request, rootfs=rootfs, undo_token=undo_token, host=host
        )
        return result

    def cleanup(self, kind: str, name: str, undo_token: str, host: Host) -> None:
        """Undo a step of ``kind`` done by provider ``name``."""
        self._call(kind, name, "cleanup", type(None), undo_token=undo_token, host=host)

    # -- the kinds around them

    def plan_snapshot(self, request: SnapshotRequest) -> Intent:
        return self._intent("snapshotter", self.snapshotter_provider(request.snapshotter), "plan_snapshot", request=request)

    def prepare_snapshot(self, request: SnapshotRequest, chain_id: str, undo_token: str, host: Host) -> Snapshot:
        from pyctl_hookspecs.snapshotter import Snapshot

        result: Snapshot = self._call(
            "snapshotter",
            self.snapshotter_provider(request.snapshotter),
            "prepare_snapshot",
            Snapshot,
            request=request,
            chain_id=chain_id,
            undo_token=undo_token,
            host=host,
        )
        return result

    def snapshotter_provider(self, snapshotter: str) -> str:
        """The plug-in that serves a snapshotter: its own, or the one that passes any name through."""
        return snapshotter if self.registry.has("snapshotter", snapshotter) else PASSTHROUGH

    def plan_logging(self, request: LogRequest) -> Intent:
        return self._intent("logging", request.driver, "plan_logging", request=request)

    def route_logs(self, request: LogRequest) -> LogRoute:
        from pyctl_hookspecs.logging import LogRoute

        result: LogRoute = self._call("logging", request.driver, "route_logs", LogRoute, request=request)
        return result

    def read_logs(self, request: LogRequest, query: LogQuery, host: Host) -> Iterator[LogEntry]:
        result: Iterator[LogEntry] = self._call(
            "logging", request.driver, "read_logs", object, request=request, query=query, host=host
        )
        return result

    def layout(self, name: str) -> Layout:
        from pyctl_hookspecs.privilege import Layout

        result: Layout = self._call("privilege", name, "layout", Layout)
        return result

    def check_plan(self, operation: str, steps: tuple[PlannedStep, ...]) -> None:
        """Show every observer the plan; the first that refuses ends the operation.

        Raises:
            PyctlError: refused.
        """
        for name in self.registry.names("observers"):
            self._call("observers", name, "check_plan", object, operation=operation, steps=steps)

    def before_step(self, operation: str, step: PlannedStep) -> None:
        for name in self.registry.names("observers"):
            self._call("observers", name, "before_step", object, operation=operation, step=step)

    def after_step(self, operation: str, step: PlannedStep, seconds: float) -> None:
        for name in self.registry.names("observers"):
            self._call("observers", name, "after_step", object, operation=operation, step=step, seconds=seconds)

    def has_hook(self, kind: str, name: str, hook: str) -> bool:
        """Does the chosen plug-in implement this hook?"""
        _, manager = self.provider(kind, name)
        return bool(getattr(manager.hook, hook).get_hookimpls())

    # -- the one way to call

    def _intent(self, kind: str, name: str, hook: str, **arguments: Any) -> Intent:
        from pyctl_hookspecs.intents import Intent

        result: Intent = self._call(kind, name, hook, Intent, **arguments)
        return result

    def _call(self, kind: str, name: str, hook: str, result_type: type, **arguments: Any) -> Any:
        claim, manager = self.provider(kind, name)
        try:
            results = getattr(manager.hook, hook)(**arguments)
        except PyctlError:
            raise
        except Exception as error:
            if claim.is_builtin:
                raise  # a bug of ours stays a bug
            raise PyctlError(f"{hook}: {claim.distribution} {claim.version} crashed: {error!r}") from error
        result = results[0] if results else None  # pluggy drops None
        if result_type is not object and not isinstance(result, result_type):
            raise PyctlError(
                f"{hook}: {claim.distribution} {claim.version} returned {type(result).__name__}, not {result_type.__name__}"
            )
        return result

    def provider(self, kind: str, name: str) -> tuple[Claim, pluggy.PluginManager]:
        """The chosen claim and a manager that holds its plug-in alone, validated.

        Raises:
            PyctlError: nobody or too many answer, it does not load, or it is no plug-in of this kind.
        """
        ready = self._ready.get((kind, name))
        if ready is None:
            with self._lock:
                ready = self._ready.get((kind, name))
                if ready is None:
                    claim = self.registry.select(kind, name)
                    ready = self._ready[kind, name] = claim, manager_for(claim)
        return ready


def manager_for(claim: Claim) -> pluggy.PluginManager:
    """Load one plug-in into a manager of its own.

    Raises:
        PyctlError: it does not load, a signature is wrong, or a hook is misspelt.
    """
    from importlib import import_module

    import pluggy

    class Manager(pluggy.PluginManager):
        """No hook has a dunder name: what every class and module carries need not be examined."""

        def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
            return None if name.startswith("__") else super().parse_hookspec_opts(module_or_class, name)

        def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
            return None if name.startswith("__") else super().parse_hookimpl_opts(plugin, name)

    module, _, attribute = _SPECS[claim.kind].partition(":")
    manager = Manager("pyctl")
    manager.add_hookspecs(getattr(import_module(f"pyctl_hookspecs.{module}"), attribute))
    try:
        manager.register(load(claim), claim.distribution)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PyctlError(f"{claim.distribution} {claim.version} is not a {claim.kind} plug-in: {error}") from error
    return manager
