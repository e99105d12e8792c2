"""What a containerd shim starts for each task: hands the pipes to the keeper, then becomes a tiny shell that holds them.

The shell waits on the connection to the keeper. When the keeper is gone it starts this again, which starts a
keeper. So the pipes always have a reader, and the keeper may be killed or replaced at any time. Nobody but the
keeper ends the shell, once the pipes are at their end.
"""

from __future__ import annotations

import os
import select
import sys
import time

from .wire import MAGIC, KeeperGoneError, connect, exchange, recorded_runtime_dir, run_dir, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

READY_LIMIT_S = 2.0  # the shim waits for us without a limit of its own, and `run` with it
_PREPARE_LIMIT_S = 10.0  # twice what who deals with the last exit may wait for a shim that waits for us
_QUICK_FREE = 8
_OUT, _ERR, _READY, _CONNECTION = 3, 4, 5, 6
_HOLD = 'read -r line <&6; exec "$0" "$@"'


def main(arguments: list[str]) -> None:
    """``PROGRAM DATAROOT PYTHON _NERDCTL_INTERNAL_LOGGING DATASTORE [again|again-terminal HANDED_OVER_AT QUICK]``."""
    program, data_root, python, magic, data_store, *rest = arguments
    code_dir = sys.path[0]
    if magic != MAGIC or not os.path.isabs(data_store):
        sys.exit(f"usage: {program} {MAGIC} DATASTORE")
    is_again = bool(rest)
    has_terminal = rest[0] == "again-terminal" if is_again else _has_terminal()
    quick = _count_quick(rest) if is_again else 0
    if quick > _QUICK_FREE:
        time.sleep(min(0.1 * 2 ** (quick - _QUICK_FREE), 5.0))
    is_ready = is_again
    deadline = time.monotonic() + READY_LIMIT_S
    pause_s = 0.05
    while True:
        try:
            connection = _hand_over(code_dir, python, data_root, data_store, is_again, has_terminal, deadline)
            break
        except OSError:
            if not is_ready and time.monotonic() >= deadline - pause_s:
                _say_ready()
                is_ready = True
            if is_ready:
                deadline = time.monotonic() + READY_LIMIT_S
                if _is_over(has_terminal):
                    return
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0 if is_ready else 0.2)
    if not is_ready:
        _say_ready()
    os.dup2(connection.fileno(), _CONNECTION)
    os.set_inheritable(_CONNECTION, True)  # it may have been that number already
    for name in os.listdir("/proc/self/fd"):
        if int(name) > _CONNECTION:
            try:
                os.close(int(name))
            except OSError:
                continue  # the one that listed the directory
    os.chdir("/")
    state = ["again-terminal" if has_terminal else "again", str(int(time.monotonic())), str(quick)]
    os.execv("/bin/sh", ["sh", "-c", _HOLD, program, MAGIC, data_store, *state])


def _count_quick(state: list[str]) -> int:
    """How many keepers in a row were gone within seconds: one that always crashes must not be started in a tight loop."""
    lasted_s = time.monotonic() - float(state[1])
    return int(state[2]) + 1 if lasted_s < 3 else 0


def _hand_over(
    code_dir: str, python: str, data_root: str, data_store: str, is_again: bool, has_terminal: bool, deadline: float
) -> _socket.socket:
    """A connection to a keeper that has taken the pipes.

    Raises:
        OSError: none could be reached or started before the deadline.
    """
    runtime_dir = recorded_runtime_dir(data_store)
    path = f"{run_dir(data_store, runtime_dir)}/keeper.sock"
    container, namespace = os.environ["CONTAINER_ID"], os.environ["CONTAINER_NAMESPACE"]  # containerd allows [\w.-] only
    request = (
        f'{{"command":"log_pipes","container":"{container}","namespace":"{namespace}","holder":true,'
        f'"again":{"true" if is_again else "false"},"terminal":{"true" if has_terminal else "false"}}}\n'
    ).encode()
    try:
        sock = connect(path)
    except KeeperGoneError:
        start(code_dir, python, data_root, data_store, runtime_dir)
        sock = connect(path)
    try:
        reply = exchange(sock, request, (_OUT, _ERR), max(0.1, deadline - time.monotonic()))
    except OSError:
        sock.close()
        raise
    if not reply.startswith(b'{"ok": true'):
        sock.close()
        raise OSError(os.fsdecode(reply))
    if b'"wait": true' in reply and reply.count(b"\n") == 1:
        _await_word(sock)
    sock.setblocking(True)
    return sock


def _await_word(sock: _socket.socket) -> None:
    """Another tool starts the container, and the keeper prepares what it lacks. If no word comes, the runtime complains."""
    sock.settimeout(_PREPARE_LIMIT_S)
    try:
        while sock.recv(4096)[-1:] not in (b"\n", b""):
            pass
    except OSError:
        return


def _say_ready() -> None:
    try:
        os.write(_READY, b"\1")
        os.close(_READY)
    except OSError:
        return  # the shim has given up on us or never asked


def _has_terminal() -> bool:
    """From the bundle we are started in; with a terminal, stderr is never at its end."""
    try:
        with open("config.json", "rb") as file:
            return b'"terminal":true' in file.read()  # inside a JSON string the quotes would be escaped
    except OSError:
        return False


def _is_over(has_terminal: bool) -> bool:
    """Are the pipes empty and without a writer?"""
    poll = select.poll()
    pipes = (_OUT,) if has_terminal else (_OUT, _ERR)
    for fd in pipes:
        poll.register(fd, select.POLLIN)
    events = dict(poll.poll(0))
    ended = (select.POLLHUP, select.POLLNVAL)
    return all(events.get(fd, 0) & (select.POLLIN | select.POLLHUP | select.POLLNVAL) in ended for fd in pipes)
