"""Writing a blob: one bidirectional stream, several chunks under way at a time.

The daemon answers every message. Waiting for each answer would leave the line idle while it hashes, so a few
are kept outstanding and their answers read when the window is full.
"""

from __future__ import annotations

from pyctl.containerd._api import content_pb2
from pyctl.containerd.errors import AlreadyExistsError
from pyctl.containerd.records import EMPTY
from pyctl_hookspecs.errors import ConflictError, NotFoundError, PyctlError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from pyctl.containerd.calls import Calls
    from pyctl.containerd.transport import Exchange

_SERVICE = "/containerd.services.content.v1.Content/"
CHUNK_BYTES = 1024 * 1024
_WINDOW = 4
_DATA_TAG = b"\x32"  # of the field `data`, which goes last and is never copied
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5


class Writer:
    """One open ingest (``pyctl_hookspecs.host.ContentWriter``). For one thread.

    ``exists`` says that the blob was complete when this was opened (or got so while waiting): whatever is
    written then goes nowhere and ``commit`` only adds the labels.
    """

    def __init__(self, calls: Calls, ref: str, *, digest: str, size_bytes: int = 0) -> None:
        self._calls, self._ref, self._digest, self._size_bytes = calls, ref, digest, size_bytes
        self._exchange: Exchange[content_pb2.WriteResponse] | None = None
        self._outstanding = 0
        self._offset_bytes = 0
        self.exists = False

    @property
    def offset_bytes(self) -> int:
        """How much there is: where to continue."""
        return self._offset_bytes

    def __enter__(self) -> Self:
        pause_s = _FIRST_PAUSE_S
        while not self._open():
            from time import sleep

            sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # What is under way would be lost by hanging up now, and fetched again by the resume. After an interruption
        # nobody knows how much of a message went out, so there may be no answer to wait for.
        try:
            if self._exchange is not None and (kind is None or issubclass(kind, Exception)):
                self._drain(0)
                self._finish()
        except PyctlError:
            pass
        finally:
            self._hang_up()

    def write(self, chunk: bytes | memoryview) -> None:
        """Append; longer chunks than 1 MiB are cut. The chunk is the caller's again afterwards.

        Raises:
            PyctlError: the daemon refused (no space, for example); what it has stays for a resume.
        """
        whole = memoryview(chunk)
        for start in range(0, len(whole), CHUNK_BYTES):
            piece = whole[start : start + CHUNK_BYTES]
            if not self.exists:
                self._send(content_pb2.WriteRequest(action=content_pb2.WRITE, offset=self._offset_bytes), piece)
            self._offset_bytes += len(piece)

    def truncate(self) -> None:
        """Throw away what was written and begin again at offset 0."""
        if not self.exists and self._offset_bytes:
            # A write at offset 0 is how the wire spells it.
            self._send(content_pb2.WriteRequest(action=content_pb2.WRITE, offset=0))
            self._drain(0)
        self._offset_bytes = 0

    def commit(self, labels: Mapping[str, str] = EMPTY) -> None:
        """Verify size and digest and make the blob visible; one that exists already counts as success.

        Raises:
            ConflictError: size or digest differ; nothing became visible and the ingest is gone.
        """
        if not self.exists:
            try:
                self._send(
                    content_pb2.WriteRequest(
                        action=content_pb2.COMMIT,
                        offset=self._offset_bytes,
                        total=self._size_bytes,
                        expected=self._digest,
                        labels=labels,
                    )
                )
                self._drain(0)
                self._finish()
            except AlreadyExistsError:
                self.exists = True
            except ConflictError:
                self._hang_up()
                self._abort()  # a resume would only add to what is wrong
                raise
            finally:
                self._hang_up()
        if self.exists and labels:
            from pyctl.containerd.content import Content

            Content(self._calls).update_labels(self._digest, labels)

    def _open(self) -> bool:
        """Ask for the ingest; False while somebody else has it."""
        self._exchange = self._calls.exchange(_SERVICE + "Write", content_pb2.WriteResponse, ("content", self._digest))
        self._outstanding = 0
        try:
            self._send(
                content_pb2.WriteRequest(action=content_pb2.STAT, ref=self._ref, total=self._size_bytes, expected=self._digest)
            )
            self._drain(0)
        except AlreadyExistsError:
            self.exists = True
            self._offset_bytes = self._size_bytes
            self._hang_up()
        except UnavailableError:
            # The ref is locked by another writer. A daemon that is gone fails the next question.
            self._hang_up()
            from pyctl.containerd.content import Content

            try:
                info = Content(self._calls).info(self._digest)
            except NotFoundError:
                return False
            self.exists, self._offset_bytes = True, info.size_bytes
        except BaseException:
            self._hang_up()
            raise
        return True

    def _abort(self) -> None:
        from pyctl.containerd.content import Content

        try:
            Content(self._calls).abort(self._ref)
        except (NotFoundError, UnavailableError):
            pass  # gone already, or the daemon still holds it: whoever opens it next finds out

    def _send(self, request: content_pb2.WriteRequest, data: memoryview | None = None) -> None:
        if self._exchange is None:
            raise PyctlError(f"the ingest {self._ref} is not open")
        head = request.SerializeToString()
        if data is None:
            self._exchange.send(head)
        else:
            self._exchange.send(head + _DATA_TAG + _varint(len(data)), data)
        self._outstanding += 1
        self._drain(_WINDOW)

    def _drain(self, allowed: int) -> None:
        """Read answers until at most ``allowed`` are missing."""
        if self._exchange is None:
            raise PyctlError(f"the ingest {self._ref} is not open")
        while self._outstanding > allowed:
            answer = self._exchange.receive()
            if answer is None:
                raise UnavailableError(f"containerd ended the write of {self._digest} early")
            self._outstanding -= 1
            if answer.action == content_pb2.STAT:
                self._offset_bytes = answer.offset

    def _finish(self) -> None:
        """End the stream in good order: the ingest is free for the next writer, the connection for the next call."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            try:
                exchange.finish()
            except PyctlError:
                pass  # every message has its answer; how the stream ends changes nothing

    def _hang_up(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.cancel()


def _varint(number: int) -> bytes:
    raw = bytearray()
    while number >= 0x80:
        raw.append(number & 0x7F | 0x80)
        number >>= 7
    raw.append(number)
    return bytes(raw)
