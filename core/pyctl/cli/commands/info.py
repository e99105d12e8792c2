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
    from pyctl.cli.inspecting import report_all
    from pyctl.cli.output.system_texts import info_text, object_text
    from pyctl.ops import system_info as ops
    from pyctl_hookspecs.errors import PyctlError

    if options.mode == "native":
        sys.stdout.write(object_text(ops.info_native(settings), options.format or "json"))
        return 0
    found = ops.info(settings)
    if options.format:
        sys.stdout.write(object_text(found, options.format))
        return 0
    sys.stdout.write(info_text(found))
    for warning in found.get("Warnings") or ():
        sys.stderr.write(f"{warning}\n")
    return report_all([PyctlError(text) for text in found.get("ServerErrors") or ()])
