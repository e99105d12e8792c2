"""``plugin ls``."""

from __future__ import annotations

from pyctl.cli.output.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.providers.listing import PluginRow

HEADERS = {
    "Kind": "KIND",
    "Name": "NAME",
    "Distribution": "DISTRIBUTION",
    "Version": "VERSION",
    "State": "STATE",
    "Target": "TARGET",
}
COLUMNS = ("Kind", "Name", "Distribution", "Version", "State")


def plugin_row(plugin: PluginRow) -> Row:
    return Row(
        Kind=plugin.kind,
        Name=plugin.name,
        Distribution=plugin.distribution,
        Version=plugin.version,
        State=plugin.state,
        Target=plugin.target,
    )
