"""Writing blobs, against a store that keeps containerd's rules in memory."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.containerd.fakes import FakeExchange, FakeTransport, Refusal

from pyctl.containerd._api import common_pb2, content_pb2
from pyctl.containerd.content import Content
from pyctl.containerd.content_writer import CHUNK_BYTES
from pyctl_hookspecs.errors import ConflictError, NotFoundError, PyctlError, UnavailableError

NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, OUT_OF_RANGE, EXHAUSTED, UNAVAILABLE = 5, 6, 9, 11, 8, 14


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Store:
    """What containerd's content service does, as far as a writer can tell."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.ingests: dict[str, bytearray] = {}
        self.locked: set[str] = set()
        self.room_bytes = 1 << 40
        self.opened = 0
        self.transport = FakeTransport(Write=self.write, Info=self.info, Update=self.update, Abort=self.abort)
        self.content = Content(self.transport.calls())

    def write(self, requests: Iterator[Any]) -> Iterator[Any]:
        self.opened += 1
        request = next(requests)
        ref, expected = request.ref, request.expected
        if expected in self.blobs:
            raise Refusal(ALREADY_EXISTS)
        if ref in self.locked:
            raise Refusal(UNAVAILABLE, "locked")
        held = self.ingests.setdefault(ref, bytearray())
        yield content_pb2.WriteResponse(action=content_pb2.STAT, offset=len(held))
        for request in requests:
            if request.expected in self.blobs:
                raise Refusal(ALREADY_EXISTS)
            if request.offset and request.offset != len(held):
                raise Refusal(OUT_OF_RANGE)
            if request.offset == 0:
                del held[:]
            if len(held) + len(request.data) > self.room_bytes:
                raise Refusal(EXHAUSTED, "no space left on device")
            held += request.data
            if request.action == content_pb2.COMMIT:
                if digest_of(bytes(held)) != request.expected or (request.total and request.total != len(held)):
                    raise Refusal(FAILED_PRECONDITION, "failed validation")
                self.blobs[request.expected] = bytes(self.ingests.pop(ref))
                self.labels[request.expected] = dict(request.labels)
            yield content_pb2.WriteResponse(action=request.action, offset=len(held))

    def info(self, request: Any) -> Any:
        if request.digest not in self.blobs:
            raise Refusal(NOT_FOUND)
        return content_pb2.InfoResponse(info=content_pb2.Info(digest=request.digest, size=len(self.blobs[request.digest])))

    def update(self, request: Any) -> Any:
        self.labels.setdefault(request.info.digest, {}).update(request.info.labels)
        return content_pb2.UpdateResponse(info=request.info)

    def abort(self, request: Any) -> Any:
        if self.ingests.pop(request.ref, None) is None:
            raise Refusal(NOT_FOUND)
        return common_pb2.Empty()


@pytest.fixture
def store() -> Store:
    return Store()


def test_what_is_written_becomes_visible_with_its_labels(store: Store) -> None:
    data = b"layer" * 1000

    with store.content.writer("r", digest=digest_of(data), size_bytes=len(data)) as writer:
        writer.write(data[:100])
        writer.write(data[100:])
        assert digest_of(data) not in store.blobs
        writer.commit({"k": "v"})

    assert store.blobs == {digest_of(data): data}
    assert store.labels[digest_of(data)] == {"k": "v"}


def test_long_chunks_are_cut_and_none_is_lost(store: Store) -> None:
    data = bytes(range(256)) * (CHUNK_BYTES // 256 * 7) + b"tail"

    with store.content.writer("r", digest=digest_of(data), size_bytes=len(data)) as writer:
        writer.write(data)
        assert writer.offset_bytes == len(data)
        writer.commit()

    assert store.blobs[digest_of(data)] == data


def test_a_broken_off_write_is_resumed_where_it_ended(store: Store) -> None:
    data = b"0123456789"
    with pytest.raises(ZeroDivisionError), store.content.writer("r", digest=digest_of(data), size_bytes=10) as writer:
        writer.write(data[:6])
        raise ZeroDivisionError

    with store.content.writer("r", digest=digest_of(data), size_bytes=10) as writer:
        assert writer.offset_bytes == 6
        writer.write(data[6:])
        writer.commit()

    assert store.blobs[digest_of(data)] == data


def test_an_interrupted_write_hangs_up_without_waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def half_sent(_exchange: FakeExchange, head: bytes, data: bytes | memoryview = b"") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), store.content.writer("r", digest=digest_of(b"x"), size_bytes=1) as writer:
        monkeypatch.setattr(FakeExchange, "send", half_sent)
        monkeypatch.setattr(FakeExchange, "finish", lambda _exchange: pytest.fail("waits for the daemon"))
        writer.write(b"x")


def test_how_the_stream_ends_does_not_undo_a_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_exchange: FakeExchange) -> None:
        raise UnavailableError("the daemon went away")

    monkeypatch.setattr(FakeExchange, "finish", broken)
    with store.content.writer("r", digest=digest_of(b"x"), size_bytes=1) as writer:
        writer.write(b"x")
        writer.commit()

    assert store.blobs[digest_of(b"x")] == b"x"


def test_truncate_begins_again(store: Store) -> None:
    store.ingests["r"] = bytearray(b"wrong")

    with store.content.writer("r", digest=digest_of(b"right"), size_bytes=5) as writer:
        writer.truncate()
        assert writer.offset_bytes == 0
        writer.write(b"right")
        writer.commit()

    assert store.blobs[digest_of(b"right")] == b"right"


def test_a_blob_that_exists_only_gets_the_labels(store: Store) -> None:
    store.blobs[digest_of(b"x")] = b"x"

    with store.content.writer("r", digest=digest_of(b"x"), size_bytes=1) as writer:
        assert writer.exists
        assert writer.offset_bytes == 1
        writer.commit({"gc": "ref"})

    assert store.labels[digest_of(b"x")] == {"gc": "ref"}
    assert store.ingests == {}


def test_a_blob_that_appears_meanwhile_counts_as_success(store: Store) -> None:
    with store.content.writer("r", digest=digest_of(b"x"), size_bytes=1) as writer:
        writer.write(b"x")
        store.blobs[digest_of(b"x")] = b"x"
        writer.commit({"gc": "ref"})

    assert store.labels[digest_of(b"x")] == {"gc": "ref"}


@pytest.mark.parametrize(("expected", "size"), [(b"other", 5), (b"wrong", 4)])
def test_a_wrong_blob_is_refused_and_not_resumed(store: Store, expected: bytes, size: int) -> None:
    with store.content.writer("r", digest=digest_of(expected), size_bytes=size) as writer:
        writer.write(b"wrong")
        with pytest.raises(ConflictError, match="failed validation"):
            writer.commit()

    assert store.blobs == {}
    assert store.ingests == {}


def test_a_full_disk_is_reported_and_what_fitted_stays(store: Store) -> None:
    store.room_bytes = 4
    with (
        pytest.raises(PyctlError, match="no space left"),
        store.content.writer("r", digest=digest_of(b"12345678"), size_bytes=8) as writer,
    ):
        writer.write(b"1234")
        writer.write(b"5678")
        writer.commit()

    assert store.ingests["r"] == b"1234"


def test_a_locked_ref_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.locked.add("r")
    pauses: list[float] = []

    def other_writer_gives_up(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 3:
            store.locked.clear()

    monkeypatch.setattr(time, "sleep", other_writer_gives_up)
    with store.content.writer("r", digest=digest_of(b"x"), size_bytes=1) as writer:
        writer.write(b"x")
        writer.commit()

    assert pauses == sorted(pauses)
    assert store.opened == 4
    assert store.blobs[digest_of(b"x")] == b"x"


def test_waiting_ends_when_the_other_writer_is_done(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.locked.add("r")
    monkeypatch.setattr(time, "sleep", lambda _: store.blobs.update({digest_of(b"x"): b"x"}))

    with store.content.writer("r", digest=digest_of(b"x"), size_bytes=1) as writer:
        assert writer.exists
        writer.commit()


def test_writes_carry_the_lease(store: Store) -> None:
    content = Content(store.transport.calls(lease_id="l1"))

    with content.writer("r", digest=digest_of(b""), size_bytes=0):
        pass

    assert ("containerd-lease", "l1") in store.transport.metadata


def test_a_blob_that_is_not_there_has_no_size(store: Store) -> None:
    assert store.content.size_bytes("sha256:0") is None
    with pytest.raises(NotFoundError) as caught:
        store.content.info("sha256:0")
    assert caught.value.ref == "sha256:0"
