"""``pyctl stop``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo_batch, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class StopOptions(Options):
    signal: str = flag("-s", "--signal", default="", help="Signal to send to the container")
    time: int | None = flag(
        "-t", "--time", "--timeout", default=None, kind="int", help="Seconds to wait before killing the container"
    )


def stop(settings: Settings, options: StopOptions, containers: tuple[str, ...]) -> int:
    """Stop one or more running containers."""
    from pyctl.ops import containers as ops

    with session_for(settings) as session:
        return echo_batch(ops.stop(session, containers, timeout_s=options.time, signal=options.signal))
