"""``pyctl logs``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import expect_long_life, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyctl.ops.settings import Settings
    from pyctl_hookspecs.logging import LogEntry


class LogsOptions(Options):
    details: bool = flag("--details", help="Show extra details provided to logs", is_supported=False)
    follow: bool = flag("-f", "--follow", help="Follow log output")
    since: str = flag(
        "--since",
        default="",
        help='Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    )
    tail: str = flag("-n", "--tail", default="all", help="Number of lines to show from the end of the logs")
    timestamps: bool = flag("-t", "--timestamps", help="Show timestamps")
    until: str = flag(
        "--until",
        default="",
        help='Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
    )


def logs(settings: Settings, options: LogsOptions, container: str) -> None:
    """Fetch the logs of a container."""
    import time

    from pyctl.cli.times import parse_moment
    from pyctl.ops import logs as ops
    from pyctl_hookspecs.logging import LogQuery

    now_s = time.time()
    query = LogQuery(
        tail=int(options.tail) if options.tail.isdecimal() else -1,  # Docker reads whatever is no number as "all"
        since=parse_moment("since", options.since, now_s),
        until=parse_moment("until", options.until, now_s),
        follow=options.follow,
    )
    if options.follow:
        expect_long_life()
    with session_for(settings) as session:
        _print(ops.logs(session, container, query), options)


def _print(entries: Iterable[LogEntry], options: LogsOptions) -> None:
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    line_is_open = dict.fromkeys(streams, False)
    for entry in entries:
        stream = streams[entry.stream]
        if options.timestamps and not line_is_open[entry.stream]:
            stream.write(f"{entry.time} ")
        stream.write(entry.log)
        line_is_open[entry.stream] = not entry.log.endswith("\n")
        if options.follow:
            stream.flush()
