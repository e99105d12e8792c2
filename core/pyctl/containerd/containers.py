"""Containers as containerd stores them: what would run, not what runs."""

from __future__ import annotations

from pyctl.containerd._api import common_pb2, containers_pb2
from pyctl.containerd.records import SPEC_TYPE, AnyValue, Container
from pyctl.containerd.wire import any_message, time_text
from pyctl.spec.own_labels import packed, unpacked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyctl.containerd.calls import Calls

_SERVICE = "/containerd.services.containers.v1.Containers/"
_NAME_LABEL = "nerdctl/name"
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class Containers:
    """Containers of one namespace."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(self, container_id: str) -> Container:
        request = containers_pb2.GetRequest(id=container_id)
        answer = self._calls.unary(_SERVICE + "Get", request, containers_pb2.GetResponse, ("container", container_id))
        return _record(answer.container)

    def list(self, filters: Iterable[str] = ()) -> tuple[Container, ...]:
        """Containers matching any of the filters (``labels."k"==v``, ``id~=^abc``); all without one."""
        request = containers_pb2.ListRequest(filters=list(filters))
        with self._calls.server_stream(_SERVICE + "ListStream", request, containers_pb2.ListMessage) as stream:
            return tuple(_record(message.container) for message in stream)

    def find(self, *texts: str) -> tuple[Container, ...]:
        """Containers whose name is one of the ``texts`` or whose ID begins with one; the daemon does the looking."""
        filters = []
        for text in texts:
            if text and _NAME_CHARACTERS.issuperset(text):
                pattern = text.replace(".", "[.]")
                filters += [f'labels."{_NAME_LABEL}"=="{text}"', f'id~="^{pattern}"']
        return self.list(filters) if filters else ()

    def create(self, container: Container) -> Container:
        """Store a new container; what comes back has its times filled in.

        Raises:
            AlreadyExistsError: there is one of that ID.
        """
        request = containers_pb2.CreateRequest(container=_message(container))
        answer = self._calls.unary(
            _SERVICE + "Create", request, containers_pb2.CreateResponse, ("container", container.container_id)
        )
        return _record(answer.container)

    def update(self, container: Container, fields: Iterable[str] = ()) -> Container:
        """Store what ``fields`` name and leave the rest: ``labels.<key>``, ``labels``, ``spec``, ``image``,
        ``extensions``... Without any, everything that may change is replaced.

        A label named in ``fields`` but absent from the record is removed.
        """
        mask = common_pb2.FieldMask(paths=list(fields))
        request = containers_pb2.UpdateRequest(container=_message(container), update_mask=mask)
        answer = self._calls.unary(
            _SERVICE + "Update", request, containers_pb2.UpdateResponse, ("container", container.container_id)
        )
        return _record(answer.container)

    def delete(self, container_id: str) -> None:
        """Forget a container; its snapshot becomes garbage unless something else holds it.

        Raises:
            NotFoundError: no such container.
        """
        request = containers_pb2.DeleteRequest(id=container_id)
        self._calls.unary(_SERVICE + "Delete", request, common_pb2.Empty, ("container", container_id))


def _message(record: Container) -> containers_pb2.Container:
    runtime = None
    if record.runtime_name:
        options = record.runtime_options
        runtime = containers_pb2.Container.Runtime(name=record.runtime_name, options=any_message(options) if options else None)
    return containers_pb2.Container(
        id=record.container_id,
        labels=packed(record.labels),
        image=record.image,
        runtime=runtime,
        spec=common_pb2.Any(type_url=SPEC_TYPE, value=record.spec_json) if record.spec_json else None,
        snapshotter=record.snapshotter,
        snapshot_key=record.snapshot_key,
        extensions={key: any_message(value) for key, value in record.extensions.items()},
    )


def _record(message: containers_pb2.Container) -> Container:
    runtime = message.runtime
    options = runtime.options if runtime.HasField("options") else None
    return Container(
        container_id=message.id,
        labels=unpacked(dict(message.labels)),
        image=message.image,
        runtime_name=runtime.name,
        runtime_options=AnyValue(type_url=options.type_url, value=options.value) if options else None,
        spec_json=message.spec.value,
        snapshotter=message.snapshotter,
        snapshot_key=message.snapshot_key,
        created_at=time_text(message.created_at),
        updated_at=time_text(message.updated_at),
        extensions={key: AnyValue(type_url=value.type_url, value=value.value) for key, value in message.extensions.items()},
    )
