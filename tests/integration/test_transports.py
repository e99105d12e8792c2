"""The light transport says what grpcio says: grpcio is the oracle, real daemons answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from tests.integration.engines import Engine

from pyctl.containerd.client import Client
from pyctl.containerd.transport import GrpcTransport
from pyctl.containerd.unix_transport import UnixTransport
from pyctl_hookspecs.errors import PyctlError, UnavailableError

pytestmark = pytest.mark.integration


@pytest.fixture
def clients(engine: Engine) -> Iterator[tuple[Client, Client]]:
    light = Client(engine.address, engine.namespace, transport=UnixTransport(engine.address))
    oracle = Client(engine.address, engine.namespace, transport=GrpcTransport(engine.address))
    yield light, oracle
    light.close()
    oracle.close()


def test_answers_are_the_same(clients: tuple[Client, Client]) -> None:
    light, oracle = clients
    assert light.version() == oracle.version()
    assert light.plugins() == oracle.plugins()
    assert light.namespaces.list() == oracle.namespaces.list()
    assert light.containers.list() == oracle.containers.list()


def test_errors_are_the_same(clients: tuple[Client, Client]) -> None:
    seen = []
    for client in clients:
        for call in (
            lambda c=client: c.containers.get("nobody"),
            lambda c=client: c.images.get("nowhere/nothing:ü%"),
            lambda c=client: c.containers.list(("this is no filter",)),
        ):
            with pytest.raises(PyctlError) as caught:
                call()
            seen.append((type(caught.value), str(caught.value)))
    assert seen[:3] == seen[3:]


def test_a_request_larger_than_the_first_window_arrives(clients: tuple[Client, Client]) -> None:
    light, oracle = clients
    label = {f"key-{n}": "x" * 3000 for n in range(100)}
    lease_id = f"big-{os.getpid()}"
    light.leases.create(lease_id, label)
    assert {lease.lease_id: dict(lease.labels) for lease in oracle.leases.list()}[lease_id] == label
    assert {lease.lease_id: dict(lease.labels) for lease in light.leases.list()}[lease_id] == label
    light.leases.delete(lease_id)


def test_many_threads_share_a_transport_and_nothing_outlives_close(engine: Engine) -> None:
    before = _descriptors()
    client = Client(engine.address, engine.namespace, transport=UnixTransport(engine.address))
    versions: list[tuple[str, str]] = []
    threads = [threading.Thread(target=lambda: versions.extend(client.version() for _ in range(20))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    assert len(set(versions)) == 1 and len(versions) == 240
    assert _descriptors() == before
    with pytest.raises(UnavailableError):
        client.version()


def test_events_end_when_cancelled(clients: tuple[Client, Client]) -> None:
    light, _ = clients
    stream = light.events.subscribe()
    ended = threading.Event()

    def listen() -> None:
        for _event in stream:
            pass
        ended.set()

    listener = threading.Thread(target=listen)
    listener.start()
    stream.cancel()
    assert ended.wait(10)
    listener.join()


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
