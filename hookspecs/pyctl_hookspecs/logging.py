"""Kind ``logging``: where a container's output goes, and how it is read back."""

from __future__ import annotations

from pyctl_hookspecs.intents import Intent
from pyctl_hookspecs.markers import hookspec
from pyctl_hookspecs.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl_hookspecs.host import Host


class LogRequest(Record):
    """A container's log driver with its ``--log-opt`` pairs. ``state_dir`` is the container's state directory."""

    container_id: str
    state_dir: str
    driver: str
    options: tuple[tuple[str, str], ...] = ()


class LogRoute(Record):
    """``keeps`` says whether the keeper writes a log file. ``log_path`` is that file."""

    keeps: bool
    log_path: str = ""
    max_size_bytes: int = 0  # 0: never rotated
    max_files: int = 1


class LogQuery(Record):
    """What ``logs`` asks. Times are seconds since the epoch, None for no limit; ``tail`` is -1 for all."""

    tail: int = -1
    since: float | None = None
    until: float | None = None
    follow: bool = False


class LogEntry(Record):
    """One line or part of a line. ``time`` is RFC 3339 with nanoseconds, UTC; ``stream`` is stdout or stderr."""

    time: str
    stream: str
    log: str


class LogSpecs:
    """The provider is chosen by ``--log-driver``."""

    @hookspec
    def plan_logging(self, request: LogRequest) -> Intent:
        """Check driver options and say where the output goes. Changes nothing.

        Raises:
            InvalidArgumentError: an option this driver does not know, or a malformed value.
        """

    @hookspec
    def route_logs(self, request: LogRequest) -> LogRoute:
        """Where the keeper writes. Called when a task is created."""

    @hookspec
    def read_logs(self, request: LogRequest, query: LogQuery, host: Host) -> Iterator[LogEntry]:
        """The log, oldest first.

        Raises:
            UnsupportedError: this driver cannot read its logs back.
        """
