"""``system restore``: what a boot owes the containers, at once and with a word about each.

Without it the next command that needs the keeper (``run -d``, ``start``, ``stop``, ``rm``, ``system reconcile``) wakes it,
and it does the same for those that ran when the machine went down.
"""

from __future__ import annotations

import os

from pyctl_hookspecs.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl.containerd.records import Container
    from pyctl.ops.session import Session


def restore(session: Session) -> Iterator[str | BaseException]:
    """Bring back, in every namespace of this data store, each container whose policy wants it to run; the others' runs end.

    Yields a line for each container that was started or removed, and what failed. Running it again, or while the keeper
    does its part, is safe: a container that runs is left alone.
    """
    from pyctl.ops.session import Session as NewSession

    base = f"{session.paths.data_store}/containers"
    for namespace in sorted(os.listdir(base)) if os.path.isdir(base) else ():
        one = NewSession(session.settings.replace(namespace=namespace))
        try:
            yield from _restore_namespace(one)
            session.notices += one.notices
        finally:
            one.close()


def _restore_namespace(session: Session) -> Iterator[str | BaseException]:
    from pyctl.ops.lookup import container_name
    from pyctl.ops.network_repair import repair
    from pyctl.ops.networks import ACTIVE
    from pyctl.ops.reconciling import reconcile

    active = {task.container_id for task in session.client.tasks.list() if task.status in ACTIVE}
    containers = [container for container in session.client.containers.list() if container.container_id not in active]
    for container in sorted(containers, key=_rank):
        name = container_name(container) or container.container_id[:12]
        try:
            done = _bring_back(session, container)
        except Exception as error:  # the next container is not to blame
            yield error
            continue
        if done:
            yield f"{done} {name}"
    try:
        yield from reconcile(session)
    except BaseExceptionGroup as error:
        yield error
    lines, errors = repair(session)
    yield from lines
    yield from errors


def _bring_back(session: Session, container: Container) -> str:
    """Returns what was done, by us or by the keeper in the meantime; empty for one that stays as it is."""
    from pyctl.ops.networks import ACTIVE
    from pyctl.ops.tasks import find_task

    try:
        done = _carry_on(session, session.client.containers.get(container.container_id))
    except NotFoundError:
        return "removed"
    if not done:
        status = find_task(session.client, container.container_id)
        return "started" if status is not None and status.status in ACTIVE else ""
    return done


def _carry_on(session: Session, container: Container) -> str:
    from pyctl.ops.containers import mark_stopped
    from pyctl.ops.ending import exited, state_of
    from pyctl.ops.policies import COUNT_LABEL, POLICY_LABEL, STOPPED_LABEL, parse_policy, wants_boot
    from pyctl.ops.run import start

    state = state_of(session, container.container_id)
    is_auto_removed = container.labels.get("nerdctl/auto-remove") == "true"
    if os.path.exists(state.start_journal) or (is_auto_removed and state.started_at()):
        exited(session, container.container_id)
        if is_auto_removed:
            return "removed"
    ended, labels = state.exit(), container.labels
    if ended is None or not state.started_at():
        return ""  # it never ran
    if not wants_boot(
        parse_policy(labels.get(POLICY_LABEL, "no")),
        ended.exit_code,
        int(labels.get(COUNT_LABEL) or 0),
        explicitly_stopped=labels.get(STOPPED_LABEL) == "true",
    ):
        return ""
    if labels.get(STOPPED_LABEL) == "true":
        mark_stopped(session, container, is_stopped=False)
    start(session, session.client.containers.get(container.container_id))
    return "started"


def _rank(container: Container) -> int:
    """Those that use another container's network come after it."""
    return int('"container:' in container.labels.get("nerdctl/networks", ""))
