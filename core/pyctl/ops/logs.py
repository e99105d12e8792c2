"""``logs``: what a container wrote, through the plug-in of its log driver."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl.ops.session import Session
    from pyctl_hookspecs.logging import LogEntry, LogQuery


def logs(session: Session, name: str, query: LogQuery) -> Iterator[LogEntry]:
    """Entries, oldest first; with ``follow`` until the container has ended and its log is complete.

    Raises:
        NotFoundError: no such container.
        UnsupportedError: its driver cannot be read.
    """
    from pyctl.ops.lookup import find_container
    from pyctl.ops.restoring import log_choice
    from pyctl_hookspecs.logging import LogRequest

    container = find_container(session.client, name)
    driver, options, _ = log_choice(container)
    request = LogRequest(
        container_id=container.container_id,
        state_dir=session.paths.state_dir(container.container_id),
        driver=driver,
        options=options,
    )
    return session.hooks.read_logs(request, query, session.host)
