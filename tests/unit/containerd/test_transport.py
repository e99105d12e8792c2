"""The real transport against a real gRPC server in this process: no containerd, no root."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import hpack
import pytest

from pyctl.containerd._api import common_pb2, containers_pb2, daemon_pb2, events_pb2, tasks_pb2
from pyctl.containerd.client import Client
from pyctl_hookspecs.errors import CancelledError, ConflictError, NotFoundError, PyctlError, UnavailableError

SERVICES = "containerd.services."


class Daemon:
    """Answers a few of containerd's calls; ``release`` lets those go on that wait."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.release = threading.Event()
        self.waiting = threading.Event()
        self.ended = threading.Event()
        self.metadata: dict[str, str] = {}
        self.connections: set[str] = set()
        self.server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_send_message_length", -1)])
        handlers = {
            f"{SERVICES}version.v1.Version": {"Version": self._unary(self.version, common_pb2.Empty)},
            f"{SERVICES}containers.v1.Containers": {
                "Get": self._unary(self.get, containers_pb2.GetRequest),
                "ListStream": grpc.unary_stream_rpc_method_handler(
                    self.list, containers_pb2.ListRequest.FromString, lambda message: message.SerializeToString()
                ),
            },
            f"{SERVICES}tasks.v1.Tasks": {"Wait": self._unary(self.wait, tasks_pb2.WaitRequest)},
            f"{SERVICES}events.v1.Events": {
                "Subscribe": grpc.unary_stream_rpc_method_handler(
                    self.subscribe, events_pb2.SubscribeRequest.FromString, lambda message: message.SerializeToString()
                )
            },
        }
        for service, methods in handlers.items():
            self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        self.server.add_insecure_port(f"unix:{address}")
        self.server.start()

    @staticmethod
    def _unary(behaviour: Any, request: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(behaviour, request.FromString, lambda message: message.SerializeToString())

    def version(self, request: Any, context: grpc.ServicerContext) -> daemon_pb2.VersionResponse:
        self.metadata = {key: str(value) for key, value in context.invocation_metadata()}
        return daemon_pb2.VersionResponse(version="v1.6.20", revision="r")

    def get(self, request: Any, context: grpc.ServicerContext) -> containers_pb2.GetResponse:
        if request.id == "exists":
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "there is one")
        if request.id == "long":
            context.abort(grpc.StatusCode.UNKNOWN, "runc: " + "x" * 100_000)
        if request.id.startswith("sized"):
            return containers_pb2.GetResponse(container=containers_pb2.Container(id="sized", image=str(len(request.id))))
        if request.id == "big":
            return containers_pb2.GetResponse(container=containers_pb2.Container(id="big", image="x" * 10_000_000))
        context.abort(grpc.StatusCode.NOT_FOUND, f'container "{request.id}": not found')
        raise AssertionError

    def list(self, request: Any, context: grpc.ServicerContext) -> Iterator[containers_pb2.ListMessage]:
        for number in range(3):
            yield containers_pb2.ListMessage(container=containers_pb2.Container(id=f"c{number}"))

    def wait(self, request: Any, context: grpc.ServicerContext) -> tasks_pb2.WaitResponse:
        context.add_callback(lambda: (self.ended.set(), self.release.set()))
        self.waiting.set()
        self.release.wait(30)
        return tasks_pb2.WaitResponse(exit_status=7)

    def subscribe(self, request: Any, context: grpc.ServicerContext) -> Iterator[events_pb2.Envelope]:
        context.add_callback(lambda: (self.ended.set(), self.release.set()))
        yield events_pb2.Envelope(topic="/first")
        self.release.wait(30)

    def stop(self) -> None:
        stopped = self.server.stop(None)
        self.release.set()
        stopped.wait()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(str(tmp_path / "c.sock"))
    yield running
    running.stop()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.address, "test") as connected:
        yield connected


def test_a_call_answers_and_names_namespace_and_lease(daemon: Daemon, client: Client) -> None:
    with client.with_lease("l1") as leased:
        assert leased.version() == ("1.6.20", "r")

    assert daemon.metadata["containerd-namespace"] == "test"
    assert daemon.metadata["containerd-lease"] == "l1"


def test_a_missing_object_is_named(client: Client) -> None:
    with pytest.raises(NotFoundError, match='container "nope": not found') as caught:
        client.containers.get("nope")

    assert (caught.value.kind, caught.value.ref) == ("container", "nope")


def test_an_existing_object_is_a_conflict(client: Client) -> None:
    with pytest.raises(ConflictError, match="there is one"):
        client.containers.get("exists")


def test_a_long_complaint_arrives_whole(client: Client) -> None:
    with pytest.raises(PyctlError) as caught:
        client.containers.get("long")

    assert len(str(caught.value)) > 100_000


def test_ten_megabytes_are_not_too_much(client: Client) -> None:
    assert len(client.containers.get("big").image) == 10_000_000


def test_a_request_larger_than_the_window_arrives_whole(client: Client) -> None:
    for size in (65_000, 300_000, 3_000_000):
        assert client.containers.get("sized".ljust(size, "x")).image == str(size)


def test_a_stream_is_read_to_its_end(client: Client) -> None:
    assert [container.container_id for container in client.containers.list()] == ["c0", "c1", "c2"]


def test_a_wait_can_be_asked_again(daemon: Daemon, client: Client) -> None:
    handle = client.tasks.wait("c")
    with pytest.raises(TimeoutError):
        handle.result(0)
    assert not handle.done()
    daemon.release.set()

    assert handle.result(30).code == 7


def test_a_cancelled_wait_reaches_the_daemon(daemon: Daemon, client: Client) -> None:
    handle = client.tasks.wait("c")
    assert daemon.waiting.wait(30)
    handle.cancel()

    with pytest.raises(CancelledError):
        handle.result(30)
    assert daemon.ended.wait(30)


def test_a_finished_wait_calls_back(daemon: Daemon, client: Client) -> None:
    called = threading.Event()
    client.tasks.wait("c").on_done(called.set)
    daemon.release.set()

    assert called.wait(30)


def test_a_cancelled_subscription_just_ends(daemon: Daemon, client: Client) -> None:
    with client.events.subscribe() as events:
        assert next(events).topic == "/first"
        threading.Thread(target=events.cancel).start()

        assert list(events) == []
    assert daemon.ended.wait(30)


def test_a_daemon_that_goes_away_is_called_gone(daemon: Daemon, client: Client) -> None:
    events = client.events.subscribe()
    next(events)
    daemon.stop()
    with pytest.raises(UnavailableError):
        next(events)

    with pytest.raises(UnavailableError, match=r"cannot connect to containerd at .*c\.sock"):
        client.version()


def test_a_daemon_that_comes_back_is_found_again(daemon: Daemon, client: Client) -> None:
    client.version()
    daemon.stop()
    with pytest.raises(UnavailableError):
        client.version()
    again = Daemon(daemon.address)
    try:
        for _ in range(100):  # grpcio looks for a new connection after a pause of its own
            try:
                assert client.version() == ("1.6.20", "r")
                break
            except UnavailableError:
                threading.Event().wait(0.05)
        else:
            pytest.fail("never connected again")
    finally:
        again.stop()


def test_no_server_behind_the_socket_is_unavailable(tmp_path: Path) -> None:
    with Client(str(tmp_path / "absent.sock"), "test") as client, pytest.raises(UnavailableError, match="does not exist"):
        client.version()


def test_clients_of_one_address_share_a_connection_until_the_last_is_closed(daemon: Daemon) -> None:
    first, second = Client(daemon.address, "a"), Client(daemon.address, "b")
    assert first._calls.transport is second._calls.transport
    first.close()
    first.close()

    assert second.version() == ("1.6.20", "r")
    second.close()
    with pytest.raises(UnavailableError, match="closed"):
        second.version()


def test_nothing_stays_open_after_close(daemon: Daemon) -> None:
    before = sorted(_sockets())
    client = Client(daemon.address, "test")
    client.version()
    list(client.containers.list())
    subscription = client.events.subscribe()
    next(subscription)
    client.close()
    assert daemon.ended.wait(30)

    left: list[str] = []
    for _ in range(600):  # the C core closes from a thread of its own
        left = [name for name in _sockets() if name not in before]
        if not left:
            break
        threading.Event().wait(0.05)
    assert left == []


def _sockets() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.append(target)
    return found


def test_a_stream_without_messages_is_understood_without_the_hpack_library() -> None:
    """As containerd 2.1 answers ListStream in an empty namespace: headers and status in one block."""
    from pyctl.containerd.h2 import Connection

    connection = Connection.__new__(Connection)
    connection.trailers = bytes.fromhex("20880f108b1d75d0620d263d4c4d656400889acac8b21234da8f013000899acac8b5254207317f00")
    before = sys.modules.pop("hpack", None)
    try:
        assert connection.status() == (0, "")
        assert "hpack" not in sys.modules
    finally:
        if before is not None:
            sys.modules["hpack"] = before
    fields = hpack.Decoder().decode(connection.trailers, raw=True)
    assert dict(fields)[b"grpc-status"] == b"0"


def test_all_who_wait_for_one_answer_get_it(daemon: Daemon, client: Client) -> None:
    handle = client.tasks.wait("c")
    called = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        results = [pool.submit(handle.result) for _ in range(3)]
        assert daemon.waiting.wait(30)
        handle.on_done(called.set)
        daemon.release.set()

        assert [result.result(30).code for result in results] == [7, 7, 7]
    assert called.wait(30)
    assert handle.done()
    handle.on_done(called.clear)
    assert not called.is_set()
