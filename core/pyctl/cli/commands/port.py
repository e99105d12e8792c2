"""``pyctl port``."""

from __future__ import annotations

from pyctl.cli.sessions import echo, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


def port(settings: Settings, container: str, private_port: str = "") -> None:
    """List port mappings or a specific mapping for the container."""
    from pyctl.ops import listing as ops

    with session_for(settings) as session:
        for line in ops.port(session, container, private_port):
            echo(line)
