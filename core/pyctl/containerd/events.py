"""The daemon's event stream. It has no memory: subscribe, then list and compare."""

from __future__ import annotations

from pyctl.containerd._api import events_pb2
from pyctl.containerd.records import Event
from pyctl.containerd.wire import time_text
from pyctl_hookspecs.errors import UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Self

    from pyctl.containerd.calls import Calls
    from pyctl.containerd.message import Message
    from pyctl.containerd.transport import Stream

_SERVICE = "/containerd.services.events.v1.Events/"
_IMAGES = "containerd.services.images.v1."


class Subscription:
    """An endless iterator of events. ``cancel`` (from any thread) or leaving the context ends it.

    Raises while iterating:
        UnavailableError: the daemon went away; subscribe again and look at what changed meanwhile.
    """

    def __init__(self, stream: Stream[events_pb2.Envelope]) -> None:
        self._stream = stream
        self._cancelled = False

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            envelope = next(self._stream)
        except StopIteration:
            if self._cancelled:
                raise
            raise UnavailableError("containerd ended the event stream") from None
        return decode(envelope)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        self._stream.cancel()


class Events:
    """Events of every namespace; filter with ``namespace==...``."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def subscribe(self, filters: Iterable[str] = ()) -> Subscription:
        """Events matching any of the filters (``topic~="^/tasks/",namespace==default``); all without
        one. A value with anything but letters, digits and ``._-`` in it needs the quotes.

        The daemon does not say when it has begun to listen; it is within the time of one call. Do not wait for
        ``/tasks/delete``: the shim of 2.x is often gone before it has sent it. ``/tasks/exit`` is reliable.
        """
        request = events_pb2.SubscribeRequest(filters=list(filters))
        return Subscription(self._calls.server_stream(_SERVICE + "Subscribe", request, events_pb2.Envelope, timeout_s=None))


def decode(envelope: events_pb2.Envelope) -> Event:
    """An unknown kind of event keeps its topic and type, and nothing else."""
    type_url = envelope.event.type_url
    facts: dict[str, Any] = {}
    name = type_url.rpartition(".")[2]
    kind = getattr(events_pb2, name, None)
    if kind is not None and type_url == (_IMAGES if name.startswith("Image") else "containerd.events.") + name:
        facts = _facts(kind.FromString(envelope.event.value))
    return Event(
        topic=envelope.topic,
        timestamp=time_text(envelope.timestamp),
        namespace=envelope.namespace,
        type_url=type_url,
        **facts,
    )


def _facts(message: Message) -> dict[str, Any]:
    """The fields an ``Event`` has room for, whichever of them this message carries."""
    fields = message.set_fields()
    is_task = any(name == "container_id" for name, _, _ in message.FIELDS.values())
    facts: dict[str, Any] = {}
    for name in ("pid", "exit_status", "image", "snapshotter", "exec_id"):
        if name in fields:
            facts[name] = fields[name]
    if "labels" in fields:
        facts["labels"] = dict(fields["labels"])
    if "exited_at" in fields:
        facts["exited_at"] = time_text(fields["exited_at"])
    if is_task:
        facts["object_id"] = fields.get("container_id", "")
        # Exit and delete call the process ``id``; for the init it is the container's own.
        if fields.get("id", facts["object_id"]) != facts["object_id"]:
            facts["exec_id"] = fields["id"]
    else:
        facts["object_id"] = next((fields[name] for name in ("id", "name", "digest", "key") if name in fields), "")
    if type(message).__name__ == "SnapshotCommit":
        facts["object_id"] = fields.get("name", "")
    return facts
