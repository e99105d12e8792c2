"""``pyctl restart``."""

from __future__ import annotations

from pyctl.cli.commands.stop import StopOptions
from pyctl.cli.sessions import echo_batch, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


def restart(settings: Settings, options: StopOptions, containers: tuple[str, ...]) -> int:
    """Restart one or more containers."""
    from pyctl.ops import containers as ops

    with session_for(settings) as session:
        return echo_batch(ops.restart(session, containers, timeout_s=options.time, signal=options.signal))
