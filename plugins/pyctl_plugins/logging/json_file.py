"""``--log-driver json-file``: Docker's log file in the container's state directory, written by the keeper."""

from __future__ import annotations

from pyctl_hookspecs import Intent, LogRequest, hookimpl
from pyctl_hookspecs.logging import LogRoute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl_hookspecs.host import Host
    from pyctl_hookspecs.logging import LogEntry, LogQuery

_OPTIONS = ("env", "labels", "log-path", "max-file", "max-size")


@hookimpl
def plan_logging(request: LogRequest) -> Intent:
    _route(request)
    return Intent(says=f"log to {_path(request)}")


@hookimpl
def route_logs(request: LogRequest) -> LogRoute:
    return _route(request)


@hookimpl
def read_logs(request: LogRequest, query: LogQuery, host: Host) -> Iterator[LogEntry]:
    from pyctl_plugins.logging import _json_reader  # only `logs` reads

    return _json_reader.read(_path(request), request, query, host)


def _path(request: LogRequest) -> str:
    """nerdctl writes to ``log-path`` and reads from the usual place; here both are the same."""
    return dict(request.options).get("log-path") or f"{request.state_dir}/{request.container_id}-json.log"


def _route(request: LogRequest) -> LogRoute:
    from pyctl_hookspecs.errors import InvalidArgumentError

    options = dict(request.options)
    for name in options:
        if name not in _OPTIONS:
            raise InvalidArgumentError(f"unknown log opt '{name}' for json-file log driver")
    path = _path(request)
    if not path.startswith("/"):
        raise InvalidArgumentError(f"log-path must be absolute: {path}")
    max_files = options.get("max-file", "1")
    if not max_files.isdecimal():
        raise InvalidArgumentError(f"invalid value for max-file: {max_files!r}")
    if int(max_files) < 1:
        raise InvalidArgumentError("max-file cannot be less than 1")
    return LogRoute(
        keeps=True, log_path=path, max_size_bytes=_size_bytes(options.get("max-size", "-1")), max_files=int(max_files)
    )


def _size_bytes(text: str) -> int:
    """Docker's decimal sizes (``10m``, ``1.5gb``); -1 is no limit."""
    from pyctl_hookspecs.errors import InvalidArgumentError

    if text == "-1":
        return 0
    number = text.strip().lower().removesuffix("b").removesuffix("i")
    unit = 1
    if number and number[-1] in "kmgtp":
        unit = 1000 ** ("kmgtp".index(number[-1]) + 1)
        number = number[:-1]
    if not number.replace(".", "", 1).isdecimal():
        raise InvalidArgumentError(f"invalid value for max-size: {text!r}")
    size = int(float(number) * unit)
    if size <= 0:
        raise InvalidArgumentError(f"max-size must be a positive number: {text!r}")
    return size
