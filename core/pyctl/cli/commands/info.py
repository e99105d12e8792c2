"""``pyctl info``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class InfoOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')
    mode: str = flag("--mode", default="dockercompat", choices=("dockercompat", "native"), help="Shape of the output")


def info(settings: Settings, options: InfoOptions) -> int:
    """Display system-wide information."""
    from pyctl.cli.output.system_texts import info_text, object_text
    from pyctl.ops import system_info as ops

    if options.mode == "native":
        sys.stdout.write(object_text(ops.info_native(settings), options.format or "json"))
        return 0
    found = ops.info(settings)
    sys.stdout.write(object_text(found, options.format) if options.format else info_text(found))
    for warning in found.get("Warnings") or ():
        sys.stderr.write(f"{warning}\n")
    return 1 if found.get("ServerErrors") else 0
