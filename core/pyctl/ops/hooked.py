"""Containers that hooks in their OCI spec connect: nerdctl's. Network, ports, peers and name are the hooks' business.

``createRuntime`` runs while the runtime creates the task, ``poststop`` when the task is deleted. The latter gives up the
container's name as well, so whoever deletes the task of a container that stays takes the name again.
"""

from __future__ import annotations

import os

from pyctl.lifecycle.steps import Step
from pyctl_hookspecs.errors import ConflictError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyctl.containerd.records import Container, TaskStatus
    from pyctl.ops.session import Session
    from pyctl.ops.starting import StartFacts

_HOOK_ARGUMENT = "oci-hook"  # nerdctl's internal command, whatever its program is called
_FIFOS = "/run/containerd/fifo"  # where containerd's library makes a directory for each task
_STATUS_LABEL = "containerd.io/restart.status"


def is_hooked(spec: Mapping[str, Any]) -> bool:
    """Do nerdctl's hooks connect this container?"""
    entries = (spec.get("hooks") or {}).get("createRuntime") or ()
    return any(_HOOK_ARGUMENT in (entry.get("args") or ()) for entry in entries)


def name_step(session: Session, facts: StartFacts) -> Step:
    """Have the name before the task exists, and have it again once the task is deleted."""
    token = f"{facts.container_name}/{facts.container_id}"
    return Step(
        name="name",
        says=f"keep the name {facts.container_name}",
        provider="core/kept-name",
        undo_token=token,
        do=lambda _: session.names.acquire(facts.container_name, facts.container_id) if facts.container_name else None,
    )


def keep_name(session: Session, container_name: str, container_id: str) -> None:
    """Take the name of a container that stays. Somebody who took it in the meantime keeps it: a notice says so."""
    if not container_name:
        return
    try:
        session.names.acquire(container_name, container_id)
        session.client.containers.get(container_id)  # asked last: who removes it deletes it first, and then gives the name up
    except NotFoundError:
        session.names.release(container_name, container_id)
    except ConflictError as error:
        session.notices.append(f"WARNING: {error}")


def release_foreign_run(session: Session, task: TaskStatus) -> None:
    """Delete a stopped task that none of our plans made; hooks, if it has them, release what it used.

    Whoever made it and waits for it finds it gone, and leaves the FIFOs it made: they go, too.
    """
    from pyctl.ops.lookup import container_name
    from pyctl.ops.streams import remove_fifos
    from pyctl.ops.tasks import delete_task

    container_id = task.container_id
    delete_task(session.client, container_id)
    for path in (task.stdin, task.stdout, task.stderr):
        directory = os.path.dirname(path)
        if os.path.dirname(directory) == _FIFOS:
            remove_fifos(directory)
    try:
        container = session.client.containers.get(container_id)
    except NotFoundError:
        return
    keep_name(session, container_name(container), container_id)


def take_over_policy(session: Session, container: Container) -> Container:
    """From now on the keeper restarts it. Without this label containerd's monitor, which nerdctl relies on, passes it over."""
    if _STATUS_LABEL not in container.labels:
        return container
    labels = {key: value for key, value in container.labels.items() if key != _STATUS_LABEL}
    changed = container.replace(labels=labels)
    session.client.containers.update(changed, [f"labels.{_STATUS_LABEL}"])
    return changed
