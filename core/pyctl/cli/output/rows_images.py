"""``images``: Docker's columns and fields."""

from __future__ import annotations

from pyctl.cli.output.templates.values import Row
from pyctl.cli.output.units import human_duration, human_size, local_time
from pyctl.cli.times import utc_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl.ops.image_listing import ImageRow

HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
    "Platform": "PLATFORM",
    "BlobSize": "BLOB SIZE",
    "Name": "NAME",
}


def columns(*, names: bool = False, digests: bool = False, wide: bool = False) -> tuple[str, ...]:
    """What the table shows: Docker's columns, and nerdctl's for ``--names`` and for ``--format wide``."""
    shown = ["Name"] if names else ["Repository", "Tag"]
    shown += ["Digest"] if digests or wide else []
    shown += ["ID", "CreatedSince"]
    shown += ["Platform", "Size", "BlobSize"] if names or wide else ["Size"]
    return tuple(shown)


def image_row(image: ImageRow, *, now_s: float, truncate: bool) -> Row:
    """The fields of one image; every value is a text, as in Docker's rows. What is ours stays out of the JSON."""
    created_s = utc_seconds(image.created_at) if image.created_at else 0.0
    size = human_size(image.size_bytes)
    return Row(
        Containers="N/A",
        CreatedAt=local_time(created_s),
        CreatedSince=f"{human_duration(now_s - created_s)} ago" if image.created_at else "N/A",
        Digest=image.digest or "<none>",
        ID=image_id(image, truncate=truncate),
        Repository=image.repository,
        SharedSize="N/A",
        Size=size,
        Tag=image.tag,
        UniqueSize="N/A",
        VirtualSize=size,
        Name=lambda: image.name,
        Platform=lambda: image.platform,
        BlobSize=lambda: human_size(image.blob_size_bytes),
        Label=lambda name: image.labels.get(name, ""),
    )


def image_id(image: ImageRow, *, truncate: bool) -> str:
    return image.image_id.partition(":")[2][:12] if truncate else image.image_id
