"""``network ls``: Docker's columns and fields."""

from __future__ import annotations

from pyctl.cli.output.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.networks import NetworkRow

HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
    "File": "FILE",
}
COLUMNS = ("ID", "Name", "Driver", "Scope")
WIDE_COLUMNS = (*COLUMNS, "File")


def network_row(network: NetworkRow, *, truncate: bool) -> Row:
    """The fields of one network; every value is a text, as in Docker's rows."""
    labels = dict(network.labels)
    row = Row(
        ID=network.network_id[:12] if truncate else network.network_id,
        Name=network.name,
        Driver=network.driver,
        Scope=network.scope,
        IPv4=str(network.is_ipv4).lower(),
        IPv6=str(network.is_ipv6).lower(),
        Internal=str(network.is_internal).lower(),
        Labels=",".join(f"{key}={value}" for key, value in labels.items()),
        CreatedAt=network.created,
        File=network.path,
    )
    row["Label"] = lambda name: labels.get(name, "")
    return row
