"""``volume ls``: Docker's columns and fields."""

from __future__ import annotations

from pyctl.cli.output.templates.values import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.volumes import VolumeEntry

HEADERS = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Scope": "SCOPE",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Size": "SIZE",
    "Availability": "AVAILABILITY",
    "Group": "GROUP",
    "Status": "STATUS",
}
COLUMNS = ("Driver", "Name")


def volume_row(volume: VolumeEntry) -> Row:
    """The fields of one volume; every value is a text, as in Docker's rows."""
    from pyctl.cli.output.units import human_size

    labels = dict(volume.labels)
    row = Row(
        Driver=volume.driver,
        Name=volume.name,
        Scope=volume.scope,
        Mountpoint=volume.mountpoint,
        Labels=",".join(f"{key}={value}" for key, value in labels.items()),
        Links="N/A",
        Size="N/A" if volume.size_bytes < 0 else human_size(volume.size_bytes),
        Availability="N/A",
        Group="N/A",
        Status="N/A",
    )
    row["Label"] = lambda name: labels.get(name, "")
    return row
