"""Talking to the keeper from a command: one request, and a keeper is started when there is none."""

from __future__ import annotations

import os
import time

from pyctl_hookspecs.errors import ConflictError, InvalidArgumentError, NotFoundError, PyctlError, UnavailableError

from .wire import KeeperGoneError, connect, exchange, keeper_dir, launcher, remember_runtime_dir, run_dir, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

_PATIENCE_S = 10.0
_ERRORS: dict[str, type[PyctlError]] = {
    "conflict": ConflictError,
    "invalid_argument": InvalidArgumentError,
    "unavailable": UnavailableError,
}


def request(
    data_store: str,
    runtime_dir: str,
    command: str,
    payload: Mapping[str, object],
    fds: Sequence[int] = (),
    *,
    data_root: str,
    timeout_s: float = _PATIENCE_S,
) -> dict[str, Any]:
    """Send one request and return its reply; ``wire`` lists the commands.

    Raises:
        ConflictError: a port is taken, for example.
        InvalidArgumentError: the keeper does not understand this.
        UnavailableError: no keeper could be reached or started; safe to try again.
    """
    sock, replies = _converse(data_store, runtime_dir, command, [payload], fds, data_root, timeout_s, may_start=True)
    sock.close()
    return replies[0]


def request_if_running(
    data_store: str,
    runtime_dir: str,
    command: str,
    payload: Mapping[str, object],
    *,
    data_root: str,
    timeout_s: float = _PATIENCE_S,
) -> dict[str, Any] | None:
    """As ``request``, but None when no keeper runs: for status, stop, and whatever only undoes.

    One that was killed and left something to do is replaced first, so that ``unwatch`` reaches what it left.

    Raises:
        ConflictError, InvalidArgumentError, UnavailableError: as ``request``.
    """
    conversation = _converse_if_running(data_store, runtime_dir, command, [payload], data_root, timeout_s)
    if conversation is None:
        return None
    sock, replies = conversation
    sock.close()
    return replies[0]


class Deputy:
    """Sees to the exits of containers in the keeper's place: for as long as it is open, and then of those that are ``done``.

    ``pids`` are the processes of those that the keeper watched and whose process had not ended. Where the caller dies, or
    closes it before it is done, the keeper goes on.
    """

    def __init__(
        self,
        data_store: str,
        runtime_dir: str,
        namespace: str,
        container_ids: Sequence[str],
        *,
        data_root: str,
        holds_notes: bool,
    ) -> None:
        """As ``request_if_running``, for all of them over one connection. ``holds_notes``: as in ``unwatch``.

        Raises:
            UnavailableError: as ``request``; they are watched on.
        """
        self._place, self._data_root, self._namespace = (data_store, runtime_dir), data_root, namespace
        self._sock: socket | None = None
        self.pids: dict[str, int] = {}
        how = {"while_connected": True, "holds_note": holds_notes}
        payloads = [{**payload, **how} for payload in self._payloads(container_ids)]
        conversation = _converse_if_running(*self._place, "unwatch", payloads, data_root, _PATIENCE_S)
        if conversation is not None:
            self._sock, replies = conversation
            self.pids = {reply["container"]: int(reply["pid"]) for reply in replies if "pid" in reply}

    def _payloads(self, container_ids: Iterable[str]) -> list[dict[str, object]]:
        return [{"container": container_id, "namespace": self._namespace} for container_id in container_ids]

    def done(self, container_ids: Iterable[str]) -> None:
        """These need the keeper no more. One that cannot be told will find them ended."""
        payloads = self._payloads(container_ids)
        if self._sock is None or not payloads:
            return
        try:
            try:
                _read(exchange(self._sock, _lines(self._place[0], "unwatch", payloads), (), _PATIENCE_S), payloads)
            except KeeperGoneError:  # the one that comes after it watches them
                for payload in payloads:
                    request_if_running(*self._place, "unwatch", payload, data_root=self._data_root)
        except UnavailableError:
            return

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def wake(data_store: str, runtime_dir: str, *, data_root: str) -> bool:
    """Start a keeper if a killed one (or a reboot) left watches, ports or names and none runs; False when there is no need.

    Raises:
        UnavailableError: it could not be started; safe to try again.
    """
    if not _has_duties(data_store):
        return False
    request(data_store, runtime_dir, "ping", {}, data_root=data_root)
    return True


def renew(data_store: str, runtime_dir: str, *, data_root: str) -> None:
    """Have a running keeper's duties taken over by one of the installed build."""
    try:
        if stop(data_store, runtime_dir, data_root=data_root):
            wake(data_store, runtime_dir, data_root=data_root)
    except UnavailableError:
        return  # the old one goes on: it speaks the same protocol


def _has_duties(data_store: str) -> bool:
    for name in ("watch", "ports", "names"):
        try:
            if any(entry.endswith(".json") for entry in os.listdir(f"{keeper_dir(data_store)}/{name}")):
                return True
        except FileNotFoundError:
            continue
    return False


def stop(data_store: str, runtime_dir: str, *, data_root: str, timeout_s: float = _PATIENCE_S) -> bool:
    """End the keeper and wait until it is gone; False when none ran. Holders of log pipes start a new one at once.

    Raises:
        UnavailableError: it is still there after ``timeout_s``.
    """
    import select

    answer = request_if_running(data_store, runtime_dir, "ping", {}, data_root=data_root)
    if answer is None:
        return False
    try:
        pidfd = os.pidfd_open(int(answer["pid"]))
    except ProcessLookupError:
        return True
    try:
        request_if_running(data_store, runtime_dir, "stop", {}, data_root=data_root)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(timeout_s * 1000):
            raise UnavailableError(f"the keeper of {data_store} does not end")
    finally:
        os.close(pidfd)
    return True


def watch(
    data_store: str,
    runtime_dir: str,
    *,
    data_root: str,
    namespace: str,
    container: str,
    pid: int,
    address: str,
    stdin: str = "",
    args: Sequence[str] = (),
) -> None:
    """Have the exit of a started task dealt with by ``pyctl internal exited``, whatever becomes of this process.

    ``stdin`` is a FIFO that must not come to its end before the process does, empty for none. ``args`` are the global
    flags that process gets before ``--namespace``; empty for data root and address.

    Raises:
        UnavailableError: no keeper could be reached or started; safe to try again.
    """
    payload = {
        "namespace": namespace,
        "container": container,
        "pid": pid,
        "address": address,
        "stdin": stdin,
        **launcher(args),
    }
    request(data_store, runtime_dir, "watch", payload, data_root=data_root)


def lend(data_store: str, runtime_dir: str, command: str, payload: Mapping[str, str], *, data_root: str) -> dict[str, str]:
    """``request`` in the shape of ``Host.keeper``: texts in, texts out; what is no text is JSON (``ports``).

    Raises:
        ConflictError, InvalidArgumentError, UnavailableError: as ``request``.
    """
    import json

    reply = request(data_store, runtime_dir, command, payload, data_root=data_root)
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in reply.items()}


def _converse_if_running(
    data_store: str,
    runtime_dir: str,
    command: str,
    payloads: Sequence[Mapping[str, object]],
    data_root: str,
    timeout_s: float,
) -> tuple[socket, list[dict[str, Any]]] | None:
    """As ``_converse``, but None when no keeper runs, and a killed one left nothing to do that ``command`` is about."""
    try:
        return _converse(data_store, runtime_dir, command, payloads, (), data_root, timeout_s, may_start=False)
    except KeeperGoneError:
        if command in ("ping", "status", "stop", "is_let_in") or not _has_duties(data_store):
            return None
        return _converse(data_store, runtime_dir, command, payloads, (), data_root, timeout_s, may_start=True)


def _lines(data_store: str, command: str, payloads: Sequence[Mapping[str, object]]) -> bytes:
    import json

    asked = ({**payload, "command": command, "data_store": data_store} for payload in payloads)
    return b"".join(json.dumps(one).encode() + b"\n" for one in asked)


def _converse(
    data_store: str,
    runtime_dir: str,
    command: str,
    payloads: Sequence[Mapping[str, object]],
    fds: Sequence[int],
    data_root: str,
    timeout_s: float,
    *,
    may_start: bool,
) -> tuple[socket, list[dict[str, Any]]]:
    """One request for each payload; returns the connection, which goes on, and their replies."""
    lines = _lines(data_store, command, payloads)
    path = f"{run_dir(data_store, runtime_dir)}/keeper.sock"
    deadline = time.monotonic() + timeout_s
    pause_s = 0.005
    while True:
        try:
            sock = connect(path)
            try:
                return sock, _read(exchange(sock, lines, fds, max(0.1, deadline - time.monotonic())), payloads)
            except BaseException:
                sock.close()
                raise
        except KeeperGoneError as error:
            if not may_start:
                raise
            if time.monotonic() >= deadline:
                raise UnavailableError(f"the keeper of {data_store} does not answer: {error}") from error
            if not _start(data_root, data_store, runtime_dir):
                time.sleep(pause_s)  # another process is starting one, or an old one is just leaving
                pause_s = min(pause_s * 2, 0.1)
        except OSError as error:  # not ours to open, or a path too long for a socket
            raise UnavailableError(f"cannot reach the keeper at {path}: {error}") from error


def _read(raw: bytes, payloads: Sequence[Mapping[str, object]]) -> list[dict[str, Any]]:
    import json

    replies: list[dict[str, Any]] = [json.loads(line) for line in raw.splitlines()]
    for reply in replies:
        if "error" in reply:
            if reply.get("code") == "not_found":
                raise NotFoundError("container", str(payloads[0].get("container", "")), message=reply["error"])
            raise _ERRORS.get(reply.get("code", ""), PyctlError)(reply["error"])
    return replies


def _start(data_root: str, data_store: str, runtime_dir: str) -> bool:
    from .install import code_dir, interpreter

    try:
        remember_runtime_dir(data_store, runtime_dir)
        return start(code_dir(data_root), interpreter(), data_root, data_store, runtime_dir)
    except OSError as error:
        raise UnavailableError(f"cannot start the keeper of {data_store}: {error}") from error
