"""``pyctl ps``."""

from __future__ import annotations

from pyctl.cli.options import Options, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class PsOptions(Options):
    all: bool = flag("-a", "--all", help="Show all containers (default shows just running)")
    filter: tuple[str, ...] = flag(
        "-f", "--filter", default=(), metavar="filter", help="Filter output based on conditions provided"
    )
    format: str = flag("--format", default="", help='Format output: "table", "table TEMPLATE", "json", "wide" or a Go template')
    last: int = flag("-n", "--last", default=-1, help="Show n last created containers (includes all states)")
    latest: bool = flag("-l", "--latest", help="Show the latest created container (includes all states)")
    no_trunc: bool = flag("--no-trunc", help="Don't truncate output")
    quiet: bool = flag("-q", "--quiet", help="Only display container IDs")
    size: bool = flag("-s", "--size", help="Display total file sizes")


def ps(settings: Settings, options: PsOptions) -> None:
    """List containers."""
