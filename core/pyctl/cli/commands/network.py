"""``pyctl network ls`` and ``pyctl network inspect``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class LsOptions(Options):
    filter: tuple[str, ...] = flag(
        "-f", "--filter", default=(), metavar="filter", help='Provide filter values (such as "driver=bridge")'
    )
    format: str = flag("--format", default="", help='Format output: "table", "table TEMPLATE", "json", "wide" or a Go template')
    no_trunc: bool = flag("--no-trunc", help="Do not truncate the output")
    quiet: bool = flag("-q", "--quiet", help="Only display network IDs")


class InspectOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')
    mode: str = flag("--mode", default="dockercompat", choices=("dockercompat", "native"), help="Shape of the output")
    verbose: bool = flag("-v", "--verbose", help="Verbose output for diagnostics")


def ls(settings: Settings, options: LsOptions) -> None:
    """List networks."""
    from pyctl.cli.filters import filter_pairs
    from pyctl.cli.output import rows_networks
    from pyctl.cli.output.formats import list_text
    from pyctl.ops import networks as ops

    with session_for(settings) as session:
        found = ops.ls(session, filter_pairs(options.filter))
    rows = [rows_networks.network_row(network, truncate=not options.no_trunc) for network in found]
    if options.quiet:
        for row in rows:
            echo(row["ID"])
        return
    is_wide = options.format == "wide"
    columns = rows_networks.WIDE_COLUMNS if is_wide else rows_networks.COLUMNS
    layout = "" if is_wide else options.format
    sys.stdout.write(list_text(rows, layout, columns, rows_networks.HEADERS, type_name="networkContext"))


def inspect(settings: Settings, options: InspectOptions, networks: tuple[str, ...]) -> int:
    """Display detailed information on one or more networks."""
    from pyctl.cli.inspecting import print_objects
    from pyctl.ops import networks as ops

    look = ops.inspect_native if options.mode == "native" else ops.inspect
    with session_for(settings) as session:
        return print_objects(networks, lambda name: look(session, name), options.format)
