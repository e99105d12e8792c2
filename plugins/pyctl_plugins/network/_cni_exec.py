"""One call of one CNI plug-in: a process, JSON in, JSON out, within a deadline."""

from __future__ import annotations

import os

from pyctl_hookspecs import PyctlError, UnavailableError
from pyctl_hookspecs.errors import CancelledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from subprocess import Popen
    from typing import Any

DEADLINE_S = 30.0
_LOOK_S = 0.1  # how often a slow plug-in is interrupted by a look at the user's wish to stop
_GRACE_S = 1.0
_TOOLS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # plug-ins run iptables, and a keeper's PATH may be short


class PluginFailedError(PyctlError):
    """A plug-in refused; ``cni_code`` is its number for the reason (0 when it gave none)."""

    code = "plugin_failed"

    def __init__(self, message: str, *, cni_code: int = 0) -> None:
        super().__init__(message)
        self.cni_code = cni_code


class PluginOutput(Exception):
    """What a plug-in wrote on its standard error, for the chain that ``--debug`` prints."""


def never() -> bool:
    """For what is not to be interrupted."""
    return False


def run(
    path: str,
    command: str,
    config: Mapping[str, Any],
    variables: Mapping[str, str],
    *,
    is_cancelled: Callable[[], bool] = never,
    deadline_s: float | None = None,
    inherited: Collection[int] = (),
) -> dict[str, Any]:
    """Run a plug-in and return its answer, empty when it gave none.

    The process has a session of its own: Ctrl-C at the terminal reaches pyctl only, which ends it when
    ``is_cancelled`` says so. ``inherited`` are file descriptors that it shall have too.

    Raises:
        PluginFailedError: it refused, in its own words.
        UnavailableError: no answer within ``deadline_s``; it was ended.
        CancelledError: it was ended.
    """
    import json
    import subprocess

    kind = os.path.basename(path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CNI_")}
    environment["PATH"] = ":".join([environment.get("PATH", "/usr/local/bin:/usr/bin:/bin"), *_TOOLS])
    environment |= {"CNI_COMMAND": command, **variables}
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            [path], stdin=pipe, stdout=pipe, stderr=pipe, cwd="/", env=environment, start_new_session=True, pass_fds=inherited
        )
    except OSError as error:
        raise PluginFailedError(f"plug-in {kind}: cannot run {path}: {error.strerror}") from error
    try:
        wait_s = DEADLINE_S if deadline_s is None else deadline_s
        out, err = _talk(process, kind, command, json.dumps(config).encode(), is_cancelled, wait_s)
    finally:
        if process.returncode is None:
            _end(process)
    if process.returncode == 0:
        return _answer(kind, out)
    raise _failure(kind, process.returncode, out, err) from PluginOutput(f"{path}: {err.decode(errors='replace').strip()}")


def _talk(
    process: Popen[bytes],
    kind: str,
    command: str,
    text: bytes,
    is_cancelled: Callable[[], bool],
    deadline_s: float,
) -> tuple[bytes, bytes]:
    from subprocess import TimeoutExpired
    from time import monotonic

    give_up = monotonic() + deadline_s
    to_send: bytes | None = text
    while True:
        try:
            return process.communicate(to_send, timeout=min(_LOOK_S, max(0.0, give_up - monotonic())))
        except TimeoutExpired:
            to_send = None  # it is remembered
        if is_cancelled():
            raise CancelledError("interrupted", exit_code=130)
        if monotonic() >= give_up:
            raise UnavailableError(f"plug-in {kind}: no answer to {command} within {deadline_s:g} s")


def _end(process: Popen[bytes]) -> None:
    """End a plug-in with all that it started."""
    from signal import SIGKILL, SIGTERM
    from subprocess import TimeoutExpired

    for signal in (SIGTERM, SIGKILL):
        try:
            os.killpg(process.pid, signal)
        except ProcessLookupError:
            pass
        try:
            process.wait(_GRACE_S)
        except TimeoutExpired:
            continue
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _answer(kind: str, out: bytes) -> dict[str, Any]:
    import json

    if not out.strip():
        return {}
    try:
        answer = json.loads(out)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise PluginFailedError(f"plug-in {kind}: its answer is not JSON: {out.decode(errors='replace').strip()[:200]}")
    return answer


def _failure(kind: str, status: int, out: bytes, err: bytes) -> PluginFailedError:
    import json

    try:
        told = json.loads(out)
        message, details, number = told["msg"], told.get("details"), int(told.get("code") or 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        said = [line.strip() for line in (err or out).decode(errors="replace").splitlines() if line.strip()]
        end = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        return PluginFailedError(f"plug-in {kind}: {end}" + (f" ({said[-1][:300]})" if said else ""))
    lines = " ".join(f"{message} ({details})".split() if details else str(message).split())
    return PluginFailedError(f"plug-in {kind}: {lines}", cni_code=number)
