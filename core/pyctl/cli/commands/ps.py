"""``pyctl ps``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo, session_for

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
    import time

    from pyctl.cli.filters import filter_pairs
    from pyctl.ops import listing as ops

    with session_for(settings) as session:
        found = ops.ls(
            session,
            every=options.all,
            last=1 if options.latest else options.last,
            filters=filter_pairs(options.filter),
            sizes=options.size or options.format == "wide" or ".Size" in options.format,
            brief=options.quiet and not options.format,
        )
        truncate = not options.no_trunc
        if options.quiet and not options.format:
            for one in found:
                echo(one.container_id[:12] if truncate else one.container_id)
            return
        from pyctl.cli.output import rows_containers as rows
        from pyctl.cli.output.formats import list_text

        layout = options.format.strip()
        columns: tuple[str, ...] = rows.COLUMNS
        if layout == "wide":
            layout, columns = "", rows.WIDE_COLUMNS
        elif options.size:
            columns = (*columns, "Size")
        wanted = columns if layout in ("", "table") else rows.FIELDS
        now_s = time.time()
        lines = [rows.ContainerFields(one, now_s=now_s, truncate=truncate).row(wanted) for one in found]
        sys.stdout.write(list_text(lines, layout, columns, rows.HEADERS, type_name="ContainerContext"))
