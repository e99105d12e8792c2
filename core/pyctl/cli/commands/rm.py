"""``pyctl rm``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo_batch, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class RmOptions(Options):
    force: bool = flag("-f", "--force", help="Force the removal of a running container (uses SIGKILL)")
    link: bool = flag("-l", "--link", help="Remove the specified link", is_supported=False)
    volumes: bool = flag("-v", "--volumes", help="Remove anonymous volumes associated with the container")


def rm(settings: Settings, options: RmOptions, containers: tuple[str, ...]) -> int:
    """Remove one or more containers."""
    from pyctl.ops import containers as ops

    with session_for(settings) as session:
        return echo_batch(ops.rm(session, containers, force=options.force, volumes=options.volumes))
