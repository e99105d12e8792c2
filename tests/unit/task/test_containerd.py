"""The task plug-in hands everything to the daemon."""

from __future__ import annotations

from pyctl_hookspecs import OciMount, TaskHandle, TaskRequest, TaskSpecs
from pyctl_hookspecs.testing.calling import hooks_of
from pyctl_plugins.task import containerd

REQUEST = TaskRequest(container_id="c1", runtime="io.containerd.runc.v2", runtime_binary="/usr/bin/crun")
ROOTFS = (OciMount(type="bind", source="/r"),)


class Daemon:
    """Remembers the tasks it was told to make."""

    def __init__(self) -> None:
        self.tasks: dict[str, tuple[TaskRequest, tuple[OciMount, ...]]] = {}

    def create_task(self, request: TaskRequest, rootfs: tuple[OciMount, ...]) -> int:
        self.tasks[request.container_id] = request, rootfs
        return 42

    def delete_task(self, container_id: str) -> None:
        self.tasks.pop(container_id, None)


def test_planning_names_the_runtime_and_the_container() -> None:
    intent = hooks_of(containerd, TaskSpecs).plan_task(request=REQUEST)
    assert intent.undo_token == "c1" and "/usr/bin/crun" in intent.says


def test_a_task_is_created_and_undone_from_its_token_twice() -> None:
    hooks, daemon = hooks_of(containerd, TaskSpecs), Daemon()
    handle = hooks.create_task(request=REQUEST, rootfs=ROOTFS, undo_token="c1", host=daemon)
    assert handle == TaskHandle(container_id="c1", pid=42) and daemon.tasks == {"c1": (REQUEST, ROOTFS)}
    hooks.cleanup(undo_token="c1", host=daemon)
    hooks.cleanup(undo_token="c1", host=daemon)
    assert daemon.tasks == {}
