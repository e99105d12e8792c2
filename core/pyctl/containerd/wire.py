"""Small translations between messages and records that several services need."""

from __future__ import annotations

from pyctl.containerd._api import common_pb2
from pyctl_hookspecs.process_mounts import OciMount
from pyctl_hookspecs.resolve_image import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyctl.containerd.records import AnyValue

_GO_ZERO_TIME = -62135596800  # the year 1: Go's "never"


def time_text(stamp: common_pb2.Timestamp) -> str:
    """RFC 3339 with as many digits as there are, as Go prints it; empty for never."""
    if stamp.seconds == _GO_ZERO_TIME or (stamp.seconds == 0 and stamp.nanos == 0):
        return ""
    from time import gmtime

    moment = gmtime(stamp.seconds)
    fraction = f".{stamp.nanos:09}".rstrip("0") if stamp.nanos else ""
    return (
        f"{moment.tm_year:04}-{moment.tm_mon:02}-{moment.tm_mday:02}T"
        f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02}{fraction}Z"
    )


def any_message(value: AnyValue) -> common_pb2.Any:
    return common_pb2.Any(type_url=value.type_url, value=value.value)


def descriptor(message: common_pb2.Descriptor) -> Descriptor:
    return Descriptor(
        media_type=message.media_type,
        digest=message.digest,
        size_bytes=message.size,
        annotations=tuple(sorted(message.annotations.items())),
    )


def descriptor_message(record: Descriptor) -> common_pb2.Descriptor:
    return common_pb2.Descriptor(
        media_type=record.media_type,
        digest=record.digest,
        size=record.size_bytes,
        annotations=dict(record.annotations),
    )


def mounts(messages: Iterable[common_pb2.Mount]) -> tuple[OciMount, ...]:
    return tuple(OciMount(type=m.type, source=m.source, destination=m.target, options=tuple(m.options)) for m in messages)


def mount_messages(records: Iterable[OciMount]) -> list[common_pb2.Mount]:
    return [common_pb2.Mount(type=m.type, source=m.source, target=m.destination, options=m.options) for m in records]


def label_mask(labels: Mapping[str, str]) -> common_pb2.FieldMask:
    """A mask that touches these labels and leaves the others alone. A key whose value is empty is removed."""
    return common_pb2.FieldMask(paths=[f"labels.{key}" for key in labels])


def platform_message(text: str) -> common_pb2.Platform:
    """From ``os/arch[/variant]``."""
    os, _, rest = text.partition("/")
    architecture, _, variant = rest.partition("/")
    return common_pb2.Platform(os=os, architecture=architecture, variant=variant)


def platform_text(message: common_pb2.Platform) -> str:
    return "/".join(part for part in (message.os, message.architecture, message.variant) if part)
