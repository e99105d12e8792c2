"""``pyctl kill``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo_batch, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class KillOptions(Options):
    signal: str = flag("-s", "--signal", default="KILL", help="Signal to send to the container")


def kill(settings: Settings, options: KillOptions, containers: tuple[str, ...]) -> int:
    """Kill one or more running containers."""
    from pyctl.ops import containers as ops

    with session_for(settings) as session:
        return echo_batch(ops.kill(session, containers, signal=options.signal))
