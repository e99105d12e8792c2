"""``--log-driver none``: output that nobody is attached to is thrown away."""

from __future__ import annotations

from pyctl_hookspecs import Intent, LogRequest, hookimpl
from pyctl_hookspecs.logging import LogRoute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl_hookspecs.logging import LogEntry


@hookimpl
def plan_logging(request: LogRequest) -> Intent:
    from pyctl_hookspecs.errors import InvalidArgumentError

    for name, _ in request.options:
        raise InvalidArgumentError(f"unknown log opt '{name}' for none log driver")
    return Intent(says="keep no log")


@hookimpl
def route_logs(request: LogRequest) -> LogRoute:
    return LogRoute(keeps=False)


@hookimpl
def read_logs(request: LogRequest) -> Iterator[LogEntry]:
    from pyctl_hookspecs.errors import UnsupportedError

    raise UnsupportedError("configured logging driver does not support reading")
