"""``pyctl version``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings


class VersionOptions(Options):
    format: str = flag("-f", "--format", default="", help='Format output: "json" or a Go template')


def version(settings: Settings, options: VersionOptions) -> int:
    """Show the pyctl version information. The client's part is shown even when no server answers."""
    from pyctl.cli.inspecting import report_all
    from pyctl.cli.output.system_texts import object_text, version_text
    from pyctl.ops import system as ops

    found = ops.versions(settings)
    sys.stdout.write(object_text(found.docker(), options.format) if options.format else version_text(found.docker()))
    return report_all([found.error] if found.error is not None else [])
