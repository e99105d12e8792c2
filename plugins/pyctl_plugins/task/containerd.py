"""The task of a container, by any shim containerd can start."""

from __future__ import annotations

from pyctl_hookspecs.create_task import TaskHandle, TaskRequest
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookimpl
from pyctl_hookspecs.process_mounts import OciMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.host import Host


@hookimpl
def plan_task(request: TaskRequest) -> Intent:
    runtime = request.runtime_binary or request.runtime
    return Intent(says=f"create the process with {runtime}", undo_token=request.container_id, late=("process ID",))


@hookimpl
def create_task(request: TaskRequest, rootfs: tuple[OciMount, ...], host: Host) -> TaskHandle:
    return TaskHandle(container_id=request.container_id, pid=host.create_task(request, rootfs))


@hookimpl
def cleanup(undo_token: str, host: Host) -> None:
    if undo_token:
        host.delete_task(undo_token)
