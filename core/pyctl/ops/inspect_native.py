"""``inspect --mode native``: a container as containerd has it, with its specification and its task."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctl.containerd.records import Container
    from pyctl.ops.session import Session


def native_container(session: Session, container: Container, *, sizes: bool = False) -> dict[str, Any]:
    """containerd's container, the decoded specification, and the task if there is one."""
    import json

    from pyctl.containerd.tasks import runc_options_in
    from pyctl.ops.tasks import find_task

    options = container.runtime_options
    task = find_task(session.client, container.container_id)
    found: dict[str, Any] = {
        "ID": container.container_id,
        "Labels": dict(container.labels),
        "Image": container.image,
        "Runtime": {
            "Name": container.runtime_name,
            "Options": {"type_url": options.type_url, **runc_options_in(options)} if options else None,
        },
        "SnapshotKey": container.snapshot_key,
        "Snapshotter": container.snapshotter,
        "CreatedAt": container.created_at,
        "UpdatedAt": container.updated_at,
        "Extensions": {name: {"type_url": value.type_url} for name, value in container.extensions.items()},
        "Spec": json.loads(container.spec_json) if container.spec_json else None,
        "Process": None,
    }
    if task is not None:
        found["Process"] = {
            "Pid": task.pid,
            "Status": {"Status": task.status, "ExitStatus": task.exit_status, "ExitTime": task.exited_at},
            "Stdin": task.stdin,
            "Stdout": task.stdout,
            "Stderr": task.stderr,
            "Terminal": task.terminal,
        }
    if sizes:
        from pyctl.ops.listing import container_sizes

        writable, whole = container_sizes(session, container)
        found |= {"SizeRw": writable, "SizeRootFs": whole}
    return found
