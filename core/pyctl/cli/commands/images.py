"""``pyctl images``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo, session_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class ImagesOptions(Options):
    all: bool = flag("-a", "--all", default=True, help="Show all images; always on")
    digests: bool = flag("--digests", help="Show digests")
    filter: tuple[str, ...] = flag(
        "-f", "--filter", default=(), metavar="filter", help="Filter output based on conditions provided"
    )
    format: str = flag("--format", default="", help='Format output: "table", "table TEMPLATE", "json", "wide" or a Go template')
    names: bool = flag("--names", help="Show image names as containerd has them")
    no_trunc: bool = flag("--no-trunc", help="Don't truncate output")
    quiet: bool = flag("-q", "--quiet", help="Only show image IDs")
    tree: bool = flag("--tree", help="List multi-platform images as a tree", is_supported=False)


def images(settings: Settings, options: ImagesOptions, repository: str = "") -> None:
    """List images."""
    import time

    from pyctl.cli.filters import filter_pairs
    from pyctl.cli.output import rows_images as rows
    from pyctl.cli.output.formats import list_text
    from pyctl.ops import image_listing as ops

    filters = filter_pairs(options.filter) + ((("reference", repository),) if repository else ())
    with session_for(settings) as session:
        found = ops.list_images(session, filters)
    truncate = not options.no_trunc
    if options.quiet and not options.format:
        for image in found:
            echo(rows.image_id(image, truncate=truncate))
        return
    layout = options.format.strip()
    is_wide = layout == "wide"
    columns = rows.columns(names=options.names, digests=options.digests, wide=is_wide)
    now_s = time.time()
    lines = [rows.image_row(image, now_s=now_s, truncate=truncate) for image in found]
    sys.stdout.write(list_text(lines, "" if is_wide else layout, columns, rows.HEADERS, type_name="imageContext"))
