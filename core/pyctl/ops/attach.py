"""``attach``: be the user's end of a container that runs already."""

from __future__ import annotations

import os

from pyctl_hookspecs.errors import ConflictError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.containerd.records import Container
    from pyctl.ops.session import Session
    from pyctl.ops.streams import Ends


def attach(session: Session, name: str, *, stdin: bool = True, sig_proxy: bool = True, detach_keys: str = "") -> int:
    """Show what the container writes from now on and send it what the user types; its exit code.

    The keeper passes on what it logs. A container that another command is in front of is followed through its log.

    Raises:
        ConflictError: it does not run, or is paused; Docker's words.
        DetachedError: the user left it with the detach keys.
    """
    from pyctl.ops.foreground import Attachment, DetachedError, Foreground
    from pyctl.ops.lookup import find_container
    from pyctl.ops.starting import TaskStreams
    from pyctl.ops.tasks import find_task

    container = find_container(session.client, name)
    status = find_task(session.client, container.container_id)
    if status is None or status.status not in ("running", "paused"):
        raise ConflictError("You cannot attach to a stopped container, start it first")
    if status.status == "paused":
        raise ConflictError("You cannot attach to a paused container, unpause it first")
    has_stdin = stdin and bool(status.stdin)
    attachment = Attachment(stdin=has_stdin, tty=status.terminal, sig_proxy=sig_proxy, detach_keys=detach_keys)
    foreground = Foreground(session, container.container_id, TaskStreams(), attachment)
    try:
        foreground.before_start()
        foreground.use(_ends(session, container, status.stdin if has_stdin else "", is_terminal=status.terminal))
        if has_stdin:
            foreground.ask_to_redraw()
        code = foreground.stay(lambda: None)
        foreground.join()
    finally:
        foreground.close()
    foreground.die_if_told()
    if code is None:
        raise DetachedError
    _remove_if_temporary(session, container.container_id)
    return code


def _remove_if_temporary(session: Session, container_id: str) -> None:
    """Do not end before a ``--rm`` container is gone; one that is being stopped, perhaps to start again, is not ours."""
    from pyctl.ops.ending import remove_if_temporary
    from pyctl.ops.policies import STOPPED_LABEL

    try:
        container = session.client.containers.get(container_id)
    except NotFoundError:
        return
    if container.labels.get(STOPPED_LABEL) != "true":
        remove_if_temporary(session, container)


def _ends(session: Session, container: Container, stdin: str, *, is_terminal: bool) -> Ends:
    """Pipes the keeper writes to, and the container's standard input."""
    from pyctl.ops.streams import Ends

    streams = ("stdout",) if is_terminal else ("stdout", "stderr")
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in streams]
    try:
        is_listening = _listen(session, container.container_id, [writer for _, writer in pipes])
    except BaseException:
        for pipe in pipes:
            os.close(pipe[0])
            os.close(pipe[1])
        raise
    if is_listening:
        for _, writer in pipes:
            os.close(writer)
    else:
        _follow_log(session, container, dict(zip(streams, (writer for _, writer in pipes), strict=True)))
    outputs = tuple((reader, stream) for (reader, _), stream in zip(pipes, streams, strict=True))
    descriptor = os.open(stdin, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC) if stdin else -1
    return Ends(stdin=descriptor, outputs=outputs)


def _listen(session: Session, container_id: str, writers: list[int]) -> bool:
    """Ask the keeper to copy the container's output to these pipes; False if it does not log this container."""
    from pyctl.keeper import client as keeper

    paths = session.paths
    payload = {"container": container_id, "namespace": session.namespace}
    try:
        keeper.request(paths.data_store, paths.runtime_dir, "attach", payload, writers, data_root=paths.data_root)
    except NotFoundError:
        return False
    return True


def _follow_log(session: Session, container: Container, writers: dict[str, int]) -> None:
    """Copy new log entries to the pipes in a thread, until the log is complete or nobody reads."""
    import threading

    from pyctl.ops.logs import logs
    from pyctl_hookspecs.logging import LogQuery

    def copy() -> None:
        try:
            for entry in logs(session, container.container_id, LogQuery(tail=0, follow=True)):
                target = writers.get(entry.stream, writers["stdout"])
                os.write(target, entry.log.encode())
        except BrokenPipeError:
            pass  # the user has detached
        finally:
            for writer in writers.values():
                os.close(writer)

    threading.Thread(target=copy, name="follow", daemon=True).start()
