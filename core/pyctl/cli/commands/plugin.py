"""``pyctl plugin ls`` and ``pyctl plugin check``."""

from __future__ import annotations

import sys

from pyctl.cli.options import Options, flag
from pyctl.cli.sessions import echo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.settings import Settings
    from pyctl.providers.registry import Registry


class LsOptions(Options):
    format: str = flag("--format", default="", help='Format output: "table", "table TEMPLATE", "json" or a Go template')
    quiet: bool = flag("-q", "--quiet", help="Only display kind and name")


def ls(settings: Settings, options: LsOptions) -> None:
    """List plug-ins."""
    from pyctl.cli.output import rows_plugins
    from pyctl.cli.output.formats import list_text
    from pyctl.providers import listing

    found = listing.rows(_registry(settings))
    if options.quiet:
        for plugin in found:
            echo(f"{plugin.kind}.{plugin.name}")
        return
    rows = [rows_plugins.plugin_row(plugin) for plugin in found]
    sys.stdout.write(list_text(rows, options.format, rows_plugins.COLUMNS, rows_plugins.HEADERS, type_name="pluginContext"))


def check(settings: Settings) -> int:
    """Load and examine every installed plug-in."""
    from pyctl.providers import listing

    registry = _registry(settings)
    faults, count = listing.faults(registry), len(registry.all())
    for fault in faults:
        echo(f"{fault.kind}.{fault.name} ({fault.distribution}): {fault.problem}")
    echo(f"{count} plug-ins examined, {len(faults)} with faults")
    return 1 if faults else 0


def _registry(settings: Settings) -> Registry:
    """Of this configuration, without asking whether a daemon is there."""
    from pyctl.ops.session import Session

    return Session(settings).hooks.registry
