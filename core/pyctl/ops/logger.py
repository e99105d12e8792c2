"""Who reads a container's output when its streams are FIFOs and no command stays with it.

A detached container with an open standard input and no terminal: containerd's shim gives it ``/dev/null`` for input when
its output goes to a log binary. So its three streams are FIFOs, and we start the log binary ourselves, the way the shim
would. And a foreground container whose user leaves: the keeper takes over.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.session import Session
    from pyctl.ops.streams import FifoPaths

_STDOUT, _STDERR, _READY = 3, 4, 5  # the descriptors a shim's log binary finds its pipes and its answer at
_READY_S = 10.0


def start_logger(session: Session, container_id: str, paths: FifoPaths) -> None:
    """Hand the reading ends of the output FIFOs to the log binary; returns when it has them.

    It ends by itself once nobody can write to them any more.

    Raises:
        UnavailableError: it did not start.
    """
    import select

    from pyctl.keeper.install import install
    from pyctl_hookspecs.errors import UnavailableError

    program, _ = install(session.paths.data_root)
    outputs = [_output(path) for path in (paths.stdout, paths.stderr)]
    ready, answer = os.pipe2(os.O_CLOEXEC)
    # Moved out of the way first: one of ours may have the number another one has to get.
    high = [os.dup2(descriptor, 100 + index, inheritable=False) for index, descriptor in enumerate((*outputs, answer))]
    try:
        actions = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in zip(high, (_STDOUT, _STDERR, _READY), strict=True)]
        environment = {"CONTAINER_ID": container_id, "CONTAINER_NAMESPACE": session.namespace}
        argv = [program, "_NERDCTL_INTERNAL_LOGGING", session.paths.data_store]
        os.posix_spawn(program, argv, environment, file_actions=[*_null_standard_streams(), *actions], setsid=True)
    finally:
        for descriptor in (*outputs, answer, *high):
            os.close(descriptor)
    try:
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        if not poll.poll(_READY_S * 1000):
            raise UnavailableError(f"the log binary {program} did not start within {_READY_S:.0f} seconds")
    finally:
        os.close(ready)


def take_over(session: Session, container_id: str) -> None:
    """Let the keeper read the outputs of a container whose command leaves, hold its input, and deal with its exit.

    The caller still has its own ends open. Nothing to do if the container has ended meanwhile.

    Raises:
        UnavailableError: no keeper could be started.
    """
    from pyctl.ops.streams import FifoPaths
    from pyctl.ops.tasks import find_task
    from pyctl.ops.watching import watch_exit

    status = find_task(session.client, container_id)
    if status is None:
        return
    watch_exit(session, container_id)
    try:
        start_logger(session, container_id, FifoPaths(stdout=status.stdout, stderr="" if status.terminal else status.stderr))
    except FileNotFoundError:
        pass  # it ended just now, and its FIFOs are gone with it


def _output(path: str) -> int:
    """Our end of an output; a terminal has no second one, so that is at its end from the beginning."""
    if path:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.close(writer)
    return reader


def _null_standard_streams() -> list[tuple[int, int, str, int, int]]:
    return [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
