"""The content store: blobs by digest."""

from __future__ import annotations

from pyctl.containerd._api import common_pb2, content_pb2
from pyctl.containerd.records import ContentInfo, IngestStatus
from pyctl.containerd.wire import label_mask, time_text
from pyctl_hookspecs.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pyctl.containerd.calls import Calls
    from pyctl.containerd.content_writer import Writer

_SERVICE = "/containerd.services.content.v1.Content/"
_READ_S = 3600.0


class Content:
    """Blobs and ingests of one namespace."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def info(self, digest: str) -> ContentInfo:
        """Size, labels and times of a complete blob.

        Raises:
            NotFoundError: there is none (an unfinished ingest does not count).
        """
        answer = self._calls.unary(
            _SERVICE + "Info", content_pb2.InfoRequest(digest=digest), content_pb2.InfoResponse, ("content", digest)
        )
        return _record(answer.info)

    def size_bytes(self, digest: str) -> int | None:
        """Size of a complete blob, or None when there is none."""
        try:
            return self.info(digest).size_bytes
        except NotFoundError:
            return None

    def list(self, filters: Iterable[str] = ()) -> tuple[ContentInfo, ...]:
        """Blobs matching any of the filters (``labels."k"==v``); all without one."""
        request = content_pb2.ListRequest(filters=list(filters))
        with self._calls.server_stream(_SERVICE + "List", request, content_pb2.ListResponse) as stream:
            return tuple(_record(info) for message in stream for info in message.info)

    def read(self, digest: str) -> bytes:
        """A whole blob: for manifests and configs.

        Raises:
            NotFoundError: no such blob.
        """
        return b"".join(self.read_chunks(digest))

    def read_chunks(self, digest: str, *, offset_bytes: int = 0, size_bytes: int = 0) -> Iterator[bytes]:
        """A blob piece by piece, from ``offset_bytes``; all the rest with size 0."""
        request = content_pb2.ReadRequest(digest=digest, offset=offset_bytes, size=size_bytes)
        stream = self._calls.server_stream(_SERVICE + "Read", request, content_pb2.ReadResponse, ("content", digest), _READ_S)
        with stream:
            for message in stream:
                yield message.data

    def update_labels(self, digest: str, labels: Mapping[str, str]) -> ContentInfo:
        """Add or replace labels and leave the others; an empty value removes one.

        Raises:
            NotFoundError: no such blob.
        """
        info = content_pb2.Info(digest=digest, labels=labels)
        request = content_pb2.UpdateRequest(info=info, update_mask=label_mask(labels))
        answer = self._calls.unary(_SERVICE + "Update", request, content_pb2.UpdateResponse, ("content", digest))
        return _record(answer.info)

    def delete(self, digest: str) -> None:
        """Remove a blob, whoever refers to it.

        Raises:
            NotFoundError: no such blob.
        """
        self._calls.unary(_SERVICE + "Delete", content_pb2.DeleteRequest(digest=digest), common_pb2.Empty, ("content", digest))

    def writer(self, ref: str, *, digest: str, size_bytes: int = 0) -> Writer:
        """Open or resume the ingest ``ref``; use it as a context manager.

        Waits while another process writes under the same ref. If the blob is complete by then, what is written
        is thrown away and ``commit`` succeeds. With size 0 the size is not checked. Leaving the context without
        ``commit`` keeps what was written, under this client's lease, for a later resume.
        """
        from pyctl.containerd.content_writer import Writer

        return Writer(self._calls, ref, digest=digest, size_bytes=size_bytes)

    def ingest_status(self, ref: str) -> IngestStatus:
        """How far an ingest is.

        Raises:
            NotFoundError: no such ingest (it may be complete).
        """
        answer = self._calls.unary(
            _SERVICE + "Status", content_pb2.StatusRequest(ref=ref), content_pb2.StatusResponse, ("ingest", ref)
        )
        return _ingest(answer.status)

    def ingests(self, filters: Iterable[str] = ()) -> tuple[IngestStatus, ...]:
        """Unfinished ingests."""
        request = content_pb2.ListStatusesRequest(filters=list(filters))
        answer = self._calls.unary(_SERVICE + "ListStatuses", request, content_pb2.ListStatusesResponse)
        return tuple(_ingest(status) for status in answer.statuses)

    def abort(self, ref: str) -> None:
        """Throw an unfinished ingest away.

        Raises:
            NotFoundError: no such ingest.
        """
        self._calls.unary(_SERVICE + "Abort", content_pb2.AbortRequest(ref=ref), common_pb2.Empty, ("ingest", ref))


def _record(message: content_pb2.Info) -> ContentInfo:
    return ContentInfo(
        digest=message.digest,
        size_bytes=message.size,
        labels=dict(message.labels),
        created_at=time_text(message.created_at),
        updated_at=time_text(message.updated_at),
    )


def _ingest(message: content_pb2.IngestStatus) -> IngestStatus:
    return IngestStatus(
        ref=message.ref,
        offset_bytes=message.offset,
        total_bytes=message.total,
        expected=message.expected,
        started_at=time_text(message.started_at),
        updated_at=time_text(message.updated_at),
    )
