"""Image names and what they stand for."""

from __future__ import annotations

from pyctl.containerd._api import common_pb2, images_pb2
from pyctl.containerd.records import Image
from pyctl.containerd.wire import descriptor, descriptor_message, time_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyctl.containerd.calls import Calls

_SERVICE = "/containerd.services.images.v1.Images/"


class Images:
    """Images of one namespace."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(self, name: str) -> Image:
        """By its full name (``docker.io/library/busybox:latest``).

        Raises:
            NotFoundError: no such image.
        """
        answer = self._calls.unary(_SERVICE + "Get", images_pb2.GetRequest(name=name), images_pb2.GetResponse, ("image", name))
        return _record(answer.image)

    def list(self, filters: Iterable[str] = ()) -> tuple[Image, ...]:
        """Images matching any of the filters (``name==...``, ``target.digest==sha256:...``); all without one."""
        answer = self._calls.unary(_SERVICE + "List", images_pb2.ListRequest(filters=list(filters)), images_pb2.ListResponse)
        return tuple(_record(image) for image in answer.images)

    def create(self, image: Image) -> Image:
        """Give a name to a target.

        Raises:
            AlreadyExistsError: the name is taken; ``update`` moves it.
        """
        request = images_pb2.CreateRequest(image=_message(image))
        return _record(self._calls.unary(_SERVICE + "Create", request, images_pb2.CreateResponse, ("image", image.name)).image)

    def update(self, image: Image, fields: Iterable[str] = ("target", "labels")) -> Image:
        """Store what ``fields`` name: ``target``, ``labels``, ``labels.<key>``."""
        request = images_pb2.UpdateRequest(image=_message(image), update_mask=common_pb2.FieldMask(paths=list(fields)))
        return _record(self._calls.unary(_SERVICE + "Update", request, images_pb2.UpdateResponse, ("image", image.name)).image)

    def delete(self, name: str, *, sync: bool = False) -> None:
        """Take a name away. With ``sync``, returns after its garbage has been collected.

        Raises:
            NotFoundError: no such image.
        """
        self._calls.unary(_SERVICE + "Delete", images_pb2.DeleteRequest(name=name, sync=sync), common_pb2.Empty, ("image", name))


def _message(record: Image) -> images_pb2.Image:
    return images_pb2.Image(name=record.name, labels=record.labels, target=descriptor_message(record.target))


def _record(message: images_pb2.Image) -> Image:
    return Image(
        name=message.name,
        labels=dict(message.labels),
        target=descriptor(message.target),
        created_at=time_text(message.created_at),
        updated_at=time_text(message.updated_at),
    )
