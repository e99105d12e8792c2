"""Small things several operations do to a container's task."""

from __future__ import annotations

from contextlib import contextmanager

from pyctl_hookspecs.errors import ConflictError, NotFoundError, PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyctl.containerd.client import Client
    from pyctl.containerd.records import ExitStatus, TaskStatus
    from pyctl.containerd.tasks import WaitHandle

_KILL = 9
_THAWED_S = 3.0  # from a process that is thawed and killed to its end, on a machine that is busy


def now_text() -> str:
    """The time now: RFC 3339, UTC, nanoseconds, as Docker writes it."""
    import time

    return time_text(time.time_ns())


def time_text(nanoseconds: int) -> str:
    """A time since the epoch, as ``now_text`` writes it."""
    import time

    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 1_000_000_000))
    return f"{whole}.{nanoseconds % 1_000_000_000:09d}Z"


def began_at(pid: int) -> float:
    """When a process began, in seconds since the epoch, to the hundredth; 0 when it is gone."""
    import os
    import time

    from pyctl.keeper.watches import birth

    since_boot = birth(pid) / os.sysconf("SC_CLK_TCK")
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot) if since_boot else 0.0


def find_task(client: Client, container_id: str) -> TaskStatus | None:
    """The container's task, or None if it has none."""
    try:
        return client.tasks.get(container_id)
    except NotFoundError:
        return None


def delete_task(client: Client, container_id: str, *, has_ended: bool = False) -> ExitStatus | None:
    """Delete a task, killing it first if it runs; None when there was none. ``has_ended`` saves asking.

    One that was never started is killed too: containerd 2.1 would wait ten seconds for the end of its output.
    """
    from pyctl.ops.orphans import await_deletion

    status = None if has_ended else find_task(client, container_id)
    if status is None and not has_ended:
        await_deletion(client, container_id)
        return None
    if status is not None and status.status in ("created", "running", "paused", "pausing"):
        kill_and_wait(client, container_id, status)
    try:
        try:
            return client.tasks.delete(container_id)
        except ConflictError:
            if not has_ended:
                raise
            client.tasks.wait(container_id).result()  # the shim has not heard of it yet
            return client.tasks.delete(container_id)
    except NotFoundError:
        await_deletion(client, container_id)
        return None


def kill_to_delete(client: Client, container_id: str, known: TaskStatus) -> None:
    """SIGKILL, and wait for the end, with as little as ``delete_task`` needs next: how it ended nobody will ask."""
    if known.status != "running" or not _kill_init(known.pid, container_id, and_wait=True):
        kill_and_wait(client, container_id, known)


def kill_and_wait(client: Client, container_id: str, known: TaskStatus | None = None) -> TaskStatus | None:
    """SIGKILL, and wait until the process is gone; one that is gone already is a success.

    ``known`` is the task as the caller has just seen it: asking costs the daemon and the shim a millisecond. Returns
    how it ended, or None if somebody else was faster.
    """
    status = known or find_task(client, container_id)
    if status is None:
        return None
    waiting = client.tasks.wait(container_id)
    try:
        if status.status != "running" or not _kill_init(status.pid, container_id):
            client.tasks.kill(container_id, _KILL, all_processes=True)
        if status.status in ("paused", "pausing"):
            _thaw(client, container_id, waiting)
        ended = waiting.result()
    except NotFoundError:
        waiting.cancel()
        return None
    return status.replace(status="stopped", exit_status=ended.code, exited_at=ended.exited_at)


def _kill_init(pid: int, container_id: str, *, and_wait: bool = False) -> bool:
    """SIGKILL from here: the kernel then ends all of a process namespace with its first process.

    Through shim and runtime it is a program to start, a sixth of what removing a container costs. False, and nothing was
    done, unless it is certainly this container's.
    """
    import os
    import signal

    process = open_init(pid, container_id)
    if process < 0:
        return False
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        if and_wait:
            await_end({container_id: process})
    except OSError:
        return False
    finally:
        os.close(process)
    return True


def open_init(pid: int, container_id: str) -> int:
    """A pidfd of a container's first process, to end it with.

    -1 unless it certainly is that one: its cgroup has the ID, and it is the first of a process namespace. Nor of a frozen
    one, which a signal would not end.
    """
    import os

    from pyctl.spec.cgroups import is_frozen
    from pyctl.state.locks import read_whole

    try:
        process = os.pidfd_open(pid)
    except OSError:
        return -1
    try:
        groups, facts = read_whole(f"/proc/{pid}/cgroup") or b"", read_whole(f"/proc/{pid}/status") or b""
    except OSError:
        groups = facts = b""  # it ends in this moment
    numbers = facts.partition(b"\nNSpid:")[2].partition(b"\n")[0].split()  # outermost namespace first
    is_that_one = len(numbers) > 1 and numbers[-1] == b"1" and container_id.encode() in groups
    if is_that_one and not is_frozen(groups.decode(errors="surrogateescape")):
        return process
    os.close(process)
    return -1


def await_end(processes: Mapping[str, int], timeout_s: float | None = None) -> set[str]:
    """Wait until the processes of these pidfds have ended; returns the names of those that have."""
    import select
    import time

    poll = select.poll()
    names = {process: name for name, process in processes.items()}
    for process in names:
        poll.register(process, select.POLLIN)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    ended: set[str] = set()
    while len(ended) < len(names):
        ready = poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            break
        for process, _ in ready:
            poll.unregister(process)
            ended.add(names[process])
    return ended


def await_dying(dying: dict[str, int], container_id: str) -> bool:
    """Wait for a process that was killed, by its pidfd, which is closed; False if it is not among them."""
    import os

    process = dying.get(container_id, -1)
    if process < 0:
        return False
    await_end({container_id: process})
    del dying[container_id]
    os.close(process)
    return True


def _thaw(client: Client, container_id: str, waiting: WaitHandle) -> None:
    """A frozen process dies only once it is thawed. Some runtimes thaw to kill, and then refuse to: its end is under way."""
    try:
        client.tasks.resume(container_id)
    except NotFoundError:
        raise
    except PyctlError as error:
        try:
            waiting.result(_THAWED_S)
        except TimeoutError:
            raise error from None


# What runc and crun say when the command cannot be run; a runtime's failure has no status code of its own.
_NOT_FOUND = ("executable file not found", "no such file or directory", "not found in $PATH")
_ABOUT_COMMAND = ("exec:", "exec format", "executable", "chdir", "start container process", "starting container process")
_NOT_INVOKED = ("permission denied", "exec format error", "is a directory", "not a directory")


@contextmanager
def runtime_errors() -> Iterator[None]:
    """Give a runtime's refusal Docker's exit code: 127 not found, 126 cannot be invoked, 125 anything else."""
    try:
        yield
    except PyctlError as error:
        error.exit_code = exit_code_for(str(error))
        raise


def exit_code_for(message: str) -> int:
    """Docker's exit code for what a runtime said about the command."""
    if "mkdir " in message:
        return 125  # a working directory that cannot be one: Docker's engine would have made it
    if any(text in message for text in _ABOUT_COMMAND):
        if any(text in message for text in _NOT_INVOKED):
            return 126
        if any(text in message for text in _NOT_FOUND):
            return 127
    return 125
