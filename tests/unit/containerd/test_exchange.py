"""Calls that stream both ways, over both transports, against a real gRPC server in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from pyctl.containerd._api import content_pb2
from pyctl.containerd.transport import GrpcTransport
from pyctl.containerd.unix_transport import UnixTransport
from pyctl_hookspecs.errors import PyctlError, UnavailableError

METHOD = "/containerd.services.content.v1.Content/Write"
NOISE = bytes(range(256)) * 4096


class Daemon:
    """Keeps what is written; the STAT's ``ref`` says how it behaves."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.held = bytearray()
        self.peers: list[str] = []
        self.metadata: dict[str, str] = {}
        self.cancelled = threading.Event()
        self.server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
        handler = grpc.stream_stream_rpc_method_handler(
            self.write, content_pb2.WriteRequest.FromString, lambda message: message.SerializeToString()
        )
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("containerd.services.content.v1.Content", {"Write": handler}),)
        )
        self.server.add_insecure_port(f"unix:{address}")
        self.server.start()

    def write(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        self.peers.append(context.peer())
        self.metadata = {key: str(value) for key, value in context.invocation_metadata()}
        context.add_callback(self.cancelled.set)
        behaviour = ""
        for request in requests:
            behaviour = behaviour or request.ref
            if behaviour == "refuse":
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no space left on device")
            assert request.offset == (len(self.held) if request.data else 0)
            self.held += request.data
            yield content_pb2.WriteResponse(action=request.action, offset=len(self.held))
            if behaviour == "leave":
                return
        if behaviour == "regret":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "after all, no")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(str(tmp_path / "c.sock"))
    yield running
    running.server.stop(None).wait()


@pytest.fixture(params=[UnixTransport, GrpcTransport])
def transport(request: pytest.FixtureRequest, daemon: Daemon) -> Iterator[Any]:
    opened = request.param(daemon.address)
    yield opened
    opened.close()


def begin(transport: Any, ref: str) -> Any:
    exchange = transport.exchange(METHOD, content_pb2.WriteResponse, (("containerd-namespace", "test"),), ("content", "blob"))
    exchange.send(content_pb2.WriteRequest(action=content_pb2.STAT, ref=ref).SerializeToString())
    return exchange


def chunk(offset: int, data: bytes) -> tuple[bytes, memoryview]:
    whole = content_pb2.WriteRequest(action=content_pb2.WRITE, offset=offset, data=data).SerializeToString()
    return whole[: len(whole) - len(data)], memoryview(whole)[len(whole) - len(data) :]


@pytest.mark.parametrize("size", [1, 16384, 65_536, 1 << 20])
def test_messages_of_any_size_arrive_whole_and_in_order(daemon: Daemon, transport: Any, size: int) -> None:
    exchange = begin(transport, "keep")
    assert exchange.receive().action == content_pb2.STAT
    for number in range(4):
        exchange.send(*chunk(number * size, NOISE[:size]))
    assert [exchange.receive().offset for _ in range(4)] == [size, 2 * size, 3 * size, 4 * size]
    exchange.finish()

    assert daemon.held == NOISE[:size] * 4
    assert daemon.metadata["containerd-namespace"] == "test"


def test_answers_that_nobody_reads_do_not_stop_the_sender(daemon: Daemon, transport: Any) -> None:
    exchange = begin(transport, "keep")
    for number in range(30):
        exchange.send(*chunk(number * len(NOISE), NOISE))
    assert [exchange.receive().offset for _ in range(31)] == [number * len(NOISE) for number in range(31)]
    exchange.finish()


def test_a_refusal_ends_the_sending_and_is_read_afterwards(daemon: Daemon, transport: Any) -> None:
    exchange = begin(transport, "refuse")
    for number in range(30):
        exchange.send(*chunk(number * len(NOISE), NOISE))
    with pytest.raises(PyctlError, match="no space left on device"):
        exchange.receive()
    exchange.cancel()


def test_a_daemon_that_leaves_early_sends_nothing_more(daemon: Daemon, transport: Any) -> None:
    exchange = begin(transport, "leave")
    assert exchange.receive() is not None
    assert exchange.receive() is None
    exchange.cancel()


def test_finishing_says_what_the_daemon_says_last(daemon: Daemon, transport: Any) -> None:
    exchange = begin(transport, "regret")
    exchange.receive()
    with pytest.raises(PyctlError, match="after all, no"):
        exchange.finish()


def test_a_cancelled_exchange_reaches_the_daemon(daemon: Daemon, transport: Any) -> None:
    exchange = begin(transport, "keep")
    exchange.receive()
    exchange.cancel()
    exchange.cancel()

    assert daemon.cancelled.wait(10)


def test_a_finished_exchange_leaves_its_connection_to_the_next(daemon: Daemon) -> None:
    transport = UnixTransport(daemon.address)
    for _ in range(3):
        exchange = begin(transport, "keep")
        exchange.receive()
        exchange.finish()
    assert len(transport._idle) == 1

    exchange = begin(transport, "keep")
    exchange.cancel()
    assert transport._idle == []
    transport.close()


def test_a_closed_transport_wakes_who_waits_for_an_answer(daemon: Daemon) -> None:
    transport = UnixTransport(daemon.address)
    exchange = begin(transport, "keep")
    exchange.receive()
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            exchange.receive()
        except PyctlError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    transport.close()
    waiter.join(10)
    exchange.cancel()

    assert len(errors) == 1


def test_a_daemon_that_dies_in_the_middle_is_unavailable(daemon: Daemon) -> None:
    transport = UnixTransport(daemon.address)
    exchange = begin(transport, "keep")
    exchange.receive()
    daemon.server.stop(None).wait()
    with pytest.raises(UnavailableError):
        for number in range(100):
            exchange.send(*chunk(number * len(NOISE), NOISE))
            exchange.receive()
    exchange.cancel()
    transport.close()
