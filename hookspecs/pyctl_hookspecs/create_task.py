"""``create_task``: the running process of a container, created but not started."""

from __future__ import annotations

from pyctl_hookspecs.cleanup import CleanupSpecs
from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookspec
from pyctl_hookspecs.process_mounts import OciMount
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs.host import Host


class TaskRequest(Record):
    """A task to create. ``stdin``, ``stdout`` and ``stderr`` are FIFO paths or a ``binary://`` URI, empty for none.

    ``runtime`` is containerd's (``io.containerd.runc.v2``), ``runtime_binary`` the OCI runtime it runs, empty
    for the shim's default.
    """

    container_id: str
    runtime: str
    runtime_binary: str = ""
    terminal: bool = False
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""


class TaskHandle(Record):
    """A created task and the process ID of its init."""

    container_id: str
    pid: int


class TaskSpecs(CleanupSpecs):
    """Kind ``task``: the provider is chosen by ``--runtime``; ``containerd`` serves every shim."""

    @hookspec
    def plan_task(self, request: TaskRequest) -> Intent:
        """Say what ``create_task`` would do. Changes nothing."""

    @hookspec
    def create_task(self, request: TaskRequest, rootfs: tuple[OciMount, ...], undo_token: str, host: Host) -> TaskHandle:
        """Create the task; core starts it once everything is in place.

        Raises:
            PyctlError: exit code 126 or 127 when the command cannot be run; ``cleanup`` follows.
        """
