"""``exec``: one more process in a running container."""

from __future__ import annotations

import os
from contextlib import contextmanager

from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, NotFoundError, PyctlError
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pyctl.containerd.records import Container
    from pyctl.ops.session import Session
    from pyctl.ops.starting import TaskStreams


_NOT_INVOKED = 126
_NO_PROGRAM = 127


class ExecRequest(Record):
    """``exec`` as the user wrote it."""

    container: str
    command: tuple[str, ...]
    detach: bool = False
    detach_keys: str = ""
    env: tuple[str, ...] = ()
    env_file: tuple[str, ...] = ()
    interactive: bool = False
    privileged: bool = False
    tty: bool = False
    user: str = ""
    workdir: str = ""


def exec_(session: Session, request: ExecRequest) -> int:
    """Run a command in a container; its exit code, or 0 at once when detached.

    Raises:
        ConflictError: the container does not run; Docker's words.
        DetachedError: the user left the command with the detach keys; it goes on.
        PyctlError: the command cannot be run: exit code 127 when there is no such program, else 126; detached 1.
    """
    from pyctl.ops.lookup import find_container
    from pyctl.ops.streams import check_terminal
    from pyctl.ops.tasks import find_task

    if not request.detach:
        check_terminal(tty=request.tty, interactive=request.interactive)
    container = find_container(session.client, request.container)
    status = find_task(session.client, container.container_id)
    if status is not None and status.status == "paused":
        raise ConflictError(f"container {request.container} is paused, unpause the container before exec")
    if status is None or status.status != "running":
        raise ConflictError(f"container {container.container_id} is not running")
    try:
        process = exec_process(container, request, status.pid)
    except PyctlError as error:
        if request.detach and error.exit_code == _NOT_INVOKED:
            error.exit_code = 1
        raise
    exec_id = f"exec-{os.urandom(32).hex()}"
    if request.detach:
        _start_detached(session, container.container_id, exec_id, process)
        return 0
    return _attached(session, container.container_id, exec_id, process, request)


def exec_process(container: Container, request: ExecRequest, pid: int) -> dict[str, Any]:
    """The container's own process with what the request changes; ``pid`` is its init's.

    Raises:
        InvalidArgumentError: a malformed environment, or a user the image does not know (exit code 126, as in Docker).
    """
    import json

    from pyctl.spec.capabilities import available, effective
    from pyctl.spec.env import process_env, read_pairs, user_env

    process: dict[str, Any] = json.loads(container.spec_json)["process"]
    process["args"] = list(request.command)
    process["terminal"] = request.tty
    process.pop("consoleSize", None)
    if request.tty:
        from pyctl.ops.terminal import user_terminal_size

        columns, rows = user_terminal_size()
        if columns:
            process["consoleSize"] = {"width": columns, "height": rows}
    for path in request.env_file:
        try:
            read_pairs(path)
        except InvalidArgumentError as error:
            error.exit_code = 1  # Docker's exec looks at its files later than its run
            raise
    process["env"] = process_env(process.get("env", ()), user_env(request.env, request.env_file), tty=request.tty)
    if request.workdir:
        process["cwd"] = request.workdir
    if request.user:
        from pyctl.ops.rootfs import RootFiles
        from pyctl.spec.users import resolve_user
        from pyctl_hookspecs.process_mounts import OciMount

        root = OciMount(type="bind", source=f"/proc/{pid}/root")  # as the running container sees it
        try:
            user = resolve_user(request.user, (), RootFiles((root,)).read)
        except InvalidArgumentError as error:
            error.exit_code = _NOT_INVOKED
            raise
        process["user"] = {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.additional_gids)}
    bounding = process.get("capabilities", {}).get("bounding", [])
    if request.privileged:
        bounding = effective((), (), privileged=True, known=available())
    held = bounding if process["user"]["uid"] == 0 or request.privileged else []
    process["capabilities"] = {"bounding": bounding, "effective": held, "permitted": held}
    return process


@contextmanager
def _refusals() -> Iterator[None]:
    """Docker's exit codes: a program that is not there is told from one, or a directory, that cannot be used."""
    from pyctl.ops.tasks import exit_code_for

    try:
        yield
    except PyctlError as error:
        is_absent = exit_code_for(str(error)) == _NO_PROGRAM and "chdir" not in str(error)
        error.exit_code = _NO_PROGRAM if is_absent else _NOT_INVOKED
        raise


def _add(session: Session, container_id: str, exec_id: str, process: dict[str, Any], streams: TaskStreams) -> None:
    import json

    session.client.tasks.exec(
        container_id,
        exec_id,
        json.dumps(process).encode(),
        stdin=streams.stdin,
        stdout=streams.stdout,
        stderr=streams.stderr,
        terminal=process["terminal"],
    )


def _start_detached(session: Session, container_id: str, exec_id: str, process: dict[str, Any]) -> None:
    from pyctl.ops.starting import TaskStreams

    _add(session, container_id, exec_id, process, TaskStreams())
    try:
        session.client.tasks.start(container_id, exec_id)
    except PyctlError:
        _forget(session, container_id, exec_id)
        raise


def _attached(session: Session, container_id: str, exec_id: str, process: dict[str, Any], request: ExecRequest) -> int:
    from pyctl.ops.exec_holder import ExecHolder
    from pyctl.ops.foreground import Attachment, DetachedError, Foreground
    from pyctl.ops.starting import TaskStreams
    from pyctl.ops.streams import fifo_paths, remove_fifos

    directory = f"{session.paths.runtime_dir}/fifo/{exec_id[:21]}"
    paths = fifo_paths(directory, stdin=request.interactive, stderr=not request.tty)
    streams = TaskStreams(stdin=paths.stdin, stdout=paths.stdout, stderr=paths.stderr, directory=directory)
    attachment = Attachment(stdin=request.interactive, tty=request.tty, detach_keys=request.detach_keys)
    foreground = Foreground(session, container_id, streams, attachment, exec_id=exec_id)
    holder: ExecHolder | None = None
    code: int | None = None
    is_started = False
    try:
        foreground.open()
        holder = ExecHolder(streams)
        _add(session, container_id, exec_id, process, streams)
        try:
            foreground.before_start()
            with _refusals():
                session.client.tasks.start(container_id, exec_id)
        except PyctlError:
            _forget(session, container_id, exec_id)
            raise
        holder.started()
        is_started = True
        code = foreground.stay(lambda: _forget(session, container_id, exec_id))
        foreground.join()
    finally:
        if holder is not None and is_started and code is None:
            holder.leave()
            foreground.close()
        else:
            foreground.close()
            remove_fifos(directory)
            if holder is not None:
                holder.release()
    foreground.die_if_told()
    if code is None:
        raise DetachedError
    return code


def _forget(session: Session, container_id: str, exec_id: str) -> None:
    """Delete an exec that has ended; when the container ended with it, there is nothing left to delete."""
    try:
        session.client.tasks.delete_process(container_id, exec_id)
    except NotFoundError:
        pass
