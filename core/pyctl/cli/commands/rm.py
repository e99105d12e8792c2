"""``pyctl rm``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo_batch, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctl.ops.settings import Settings


class RmOptions(Options):
    force: bool = flag("-f", "--force", help="Force the removal of a running container (uses SIGKILL)")
    link: bool = flag("-l", "--link", help="Remove the specified link", is_supported=False)
    volumes: bool = flag("-v", "--volumes", help="Remove anonymous volumes associated with the container")


def rm(settings: Settings, options: RmOptions, containers: tuple[str, ...]) -> int:
    """Remove one or more containers."""
    from pyctl.ops import containers as ops

    with session_for(settings) as session:
        results = ops.rm(session, containers, force=options.force, volumes=options.volumes)
        return echo_batch(_lenient(results) if options.force else results)


def _lenient(results: Iterator[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """With ``--force`` a missing container is worth a line and no failure, as in Docker."""
    from pyctl_hookspecs.errors import NotFoundError

    for name, result in results:
        if isinstance(result, NotFoundError):
            from pyctl.cli.errors import report

            report(result)
        else:
            yield name, result
