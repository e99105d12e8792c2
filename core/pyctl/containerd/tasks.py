"""Tasks: the running side of a container, and the processes executed in it."""

from __future__ import annotations

from pyctl.containerd._api import common_pb2, tasks_pb2
from pyctl.containerd.calls import TIMEOUT_S
from pyctl.containerd.records import (
    EMPTY,
    PROCESS_TYPE,
    RESOURCES_TYPE,
    RUNC_OPTIONS_TYPE,
    AnyValue,
    ExitStatus,
    ProcessInfo,
    TaskStatus,
)
from pyctl.containerd.wire import any_message, mount_messages, time_text
from pyctl_hookspecs.errors import ConflictError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeVar

    from pyctl.containerd.calls import Calls
    from pyctl.containerd.message import Message
    from pyctl.containerd.records import TaskMetrics
    from pyctl.containerd.transport import Pending
    from pyctl_hookspecs.process_mounts import OciMount

    R = TypeVar("R", bound=Message)

_SERVICE = "/containerd.services.tasks.v1.Tasks/"
_STILL_RUNNING = "cannot delete a running process"
_RUNTIME_S = 300.0  # starting a shim and a runtime on a machine under load


class WaitHandle:
    """One Wait call under way. Cancel it, or wait for it: an abandoned one holds a stream open."""

    def __init__(self, pending: Pending[tasks_pb2.WaitResponse]) -> None:
        self._pending = pending

    def result(self, timeout_s: float | None = None) -> ExitStatus:
        """How the process ended; waits for it.

        Raises:
            TimeoutError: still running after ``timeout_s``; ask again.
            CancelledError: ``cancel`` was called.
            NotFoundError: no such task.
        """
        answer = self._pending.result(timeout_s)
        return ExitStatus(code=answer.exit_status, exited_at=time_text(answer.exited_at))

    def done(self) -> bool:
        return self._pending.done()

    def on_done(self, callback: Callable[[], None]) -> None:
        """Call back, from another thread, once there is an answer."""
        self._pending.on_done(callback)

    def cancel(self) -> None:
        self._pending.cancel()


class Tasks:
    """Tasks of one namespace. An empty ``exec_id`` means the container's init."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        container_id: str,
        *,
        rootfs: Iterable[OciMount] = (),
        stdin: str = "",
        stdout: str = "",
        stderr: str = "",
        terminal: bool = False,
        options: AnyValue | None = None,
        runtime_path: str = "",
    ) -> int:
        """Make the task (not started) and return the process ID of its init.

        Without ``options``, those of the container apply. FIFOs must exist and have somebody at the other end,
        or this waits for them; with ``stdin`` alone the shim hangs: name ``stdout`` too (a FIFO or a file).

        Raises:
            NotFoundError: no such container.
            AlreadyExistsError: it has a task.
            PyctlError: the runtime refused; the message is its own.
        """
        request = tasks_pb2.CreateRequest(
            container_id=container_id,
            rootfs=mount_messages(rootfs),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            terminal=terminal,
            options=any_message(options) if options else None,
            runtime_path=runtime_path,
        )
        return self._ask("Create", request, tasks_pb2.CreateResponse, container_id, _RUNTIME_S).pid

    def start(self, container_id: str, exec_id: str = "") -> int:
        """Let it run; return its process ID.

        Raises:
            PyctlError: the runtime could not execute the command; the message is its own.
        """
        request = tasks_pb2.StartRequest(container_id=container_id, exec_id=exec_id)
        return self._ask("Start", request, tasks_pb2.StartResponse, container_id, _RUNTIME_S).pid

    def get(self, container_id: str, exec_id: str = "") -> TaskStatus:
        request = tasks_pb2.GetRequest(container_id=container_id, exec_id=exec_id)
        # The daemon's answer about an exec does not say which container it is in.
        status = _status(self._ask("Get", request, tasks_pb2.GetResponse, container_id).process)
        return status.replace(container_id=container_id, exec_id=exec_id)

    def list(self) -> tuple[TaskStatus, ...]:
        """Every container's init; execs are not listed. A shim that does not answer makes its task ``unknown``."""
        answer = self._calls.unary(_SERVICE + "List", tasks_pb2.ListRequest(), tasks_pb2.ListResponse)
        return tuple(_status(process) for process in answer.tasks)

    def delete(self, container_id: str) -> ExitStatus:
        """Remove a stopped task (or one never started) with its shim; returns how it ended.

        Raises:
            NotFoundError: no such task.
            ConflictError: it is still running.
        """
        request = tasks_pb2.DeleteRequest(container_id=container_id)
        try:
            return _exit(self._ask("Delete", request, tasks_pb2.DeleteResponse, container_id, _RUNTIME_S))
        except PyctlError as error:
            if _STILL_RUNNING in str(error):  # the shim says so in words only
                raise ConflictError(str(error)) from error
            raise

    def exec(
        self,
        container_id: str,
        exec_id: str,
        process_json: bytes,
        *,
        stdin: str = "",
        stdout: str = "",
        stderr: str = "",
        terminal: bool = False,
    ) -> None:
        """Add a process; ``start`` runs it. ``process_json`` is the spec's ``process`` as JSON."""
        request = tasks_pb2.ExecRequest(
            container_id=container_id,
            exec_id=exec_id,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            terminal=terminal,
            spec=common_pb2.Any(type_url=PROCESS_TYPE, value=process_json),
        )
        self._ask("Exec", request, common_pb2.Empty, container_id, _RUNTIME_S)

    def delete_process(self, container_id: str, exec_id: str) -> ExitStatus:
        """Remove an exec that has ended (or never started)."""
        request = tasks_pb2.DeleteProcessRequest(container_id=container_id, exec_id=exec_id)
        return _exit(self._ask("DeleteProcess", request, tasks_pb2.DeleteResponse, container_id))

    def kill(self, container_id: str, signal: int, *, exec_id: str = "", all_processes: bool = False) -> None:
        """Send a signal.

        Raises:
            NotFoundError: no such task, or its process has ended.
        """
        request = tasks_pb2.KillRequest(container_id=container_id, exec_id=exec_id, signal=signal, all=all_processes)
        self._ask("Kill", request, common_pb2.Empty, container_id)

    def resize(self, container_id: str, width: int, height: int, exec_id: str = "") -> None:
        """Tell a terminal its size in characters."""
        request = tasks_pb2.ResizePtyRequest(container_id=container_id, exec_id=exec_id, width=width, height=height)
        self._ask("ResizePty", request, common_pb2.Empty, container_id)

    def close_io(self, container_id: str, exec_id: str = "") -> None:
        """Close the end of the stdin FIFO that the shim holds open: the process reads end of file once every
        other writer has closed it too, so close yours first."""
        request = tasks_pb2.CloseIORequest(container_id=container_id, exec_id=exec_id, stdin=True)
        self._ask("CloseIO", request, common_pb2.Empty, container_id)

    def wait(self, container_id: str, exec_id: str = "") -> WaitHandle:
        """Begin to wait; do it before ``start`` and no exit is missed."""
        request = tasks_pb2.WaitRequest(container_id=container_id, exec_id=exec_id)
        return WaitHandle(self._calls.start_unary(_SERVICE + "Wait", request, tasks_pb2.WaitResponse, ("task", container_id)))

    def pids(self, container_id: str) -> tuple[ProcessInfo, ...]:
        """The processes inside, by host process ID."""
        request = tasks_pb2.ListPidsRequest(container_id=container_id)
        answer = self._ask("ListPids", request, tasks_pb2.ListPidsResponse, container_id)
        return tuple(
            ProcessInfo(pid=process.pid, exec_id=tasks_pb2.RuncProcessDetails.FromString(process.info.value).exec_id)
            for process in answer.processes
        )

    def metrics(self, container_ids: Iterable[str] = ()) -> tuple[TaskMetrics, ...]:
        """What tasks used so far; of all without IDs. Tasks that are gone are left out."""
        from pyctl.containerd.metrics import decode

        request = tasks_pb2.MetricsRequest(filters=[f'id=="{container_id}"' for container_id in container_ids])
        answer = self._calls.unary(_SERVICE + "Metrics", request, tasks_pb2.MetricsResponse)
        return tuple(decode(metric) for metric in answer.metrics)

    def update(self, container_id: str, resources_json: bytes, annotations: Mapping[str, str] = EMPTY) -> None:
        """Change limits; ``resources_json`` is the spec's ``linux.resources`` as JSON."""
        request = tasks_pb2.UpdateRequest(
            container_id=container_id,
            resources=common_pb2.Any(type_url=RESOURCES_TYPE, value=resources_json),
            annotations=annotations,
        )
        self._ask("Update", request, common_pb2.Empty, container_id)

    def pause(self, container_id: str) -> None:
        self._ask("Pause", tasks_pb2.PauseRequest(container_id=container_id), common_pb2.Empty, container_id)

    def resume(self, container_id: str) -> None:
        self._ask("Resume", tasks_pb2.ResumeRequest(container_id=container_id), common_pb2.Empty, container_id)

    def _ask(self, verb: str, request: Message, reply: type[R], container_id: str, timeout_s: float = TIMEOUT_S) -> R:
        return self._calls.unary(_SERVICE + verb, request, reply, ("task", container_id), timeout_s)


def runc_options(
    *,
    binary_name: str = "",
    root: str = "",
    systemd_cgroup: bool = False,
    no_pivot_root: bool = False,
    no_new_keyring: bool = False,
    shim_cgroup: str = "",
    io_uid: int = 0,
    io_gid: int = 0,
) -> AnyValue:
    """Options of ``io.containerd.runc.v2``. ``binary_name`` is the OCI runtime (empty: runc), ``root`` its state."""
    message = tasks_pb2.RuncOptions(
        binary_name=binary_name,
        root=root,
        systemd_cgroup=systemd_cgroup,
        no_pivot_root=no_pivot_root,
        no_new_keyring=no_new_keyring,
        shim_cgroup=shim_cgroup,
        io_uid=io_uid,
        io_gid=io_gid,
    )
    return AnyValue(type_url=RUNC_OPTIONS_TYPE, value=message.SerializeToString())


def runc_options_in(options: AnyValue | None) -> Mapping[str, str | int | bool]:
    """The options that are set, by their wire names (``binary_name``, ``root`` ...); empty for another runtime's."""
    if options is None or options.type_url != RUNC_OPTIONS_TYPE:
        return {}
    message = tasks_pb2.RuncOptions.FromString(options.value)
    return dict(message.set_fields())


def _status(process: tasks_pb2.Process) -> TaskStatus:
    return TaskStatus(
        container_id=process.id,
        exec_id="",
        pid=process.pid,
        status=tasks_pb2.TaskStatus.Name(process.status).lower(),
        exit_status=process.exit_status,
        exited_at=time_text(process.exited_at),
        stdin=process.stdin,
        stdout=process.stdout,
        stderr=process.stderr,
        terminal=process.terminal,
    )


def _exit(answer: tasks_pb2.DeleteResponse) -> ExitStatus:
    return ExitStatus(code=answer.exit_status, exited_at=time_text(answer.exited_at), pid=answer.pid)
