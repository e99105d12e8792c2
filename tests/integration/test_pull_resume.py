"""A pull that was interrupted, repeated: it goes on where it stopped, and then nothing is left of the first one."""

from __future__ import annotations

import http.client
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.images import Registry, tar

if TYPE_CHECKING:
    from tests.integration.conftest import Pyctl
    from tests.integration.engines import Engine

pytestmark = pytest.mark.integration

MIB = 1 << 20


class Hesitant:
    """In front of a registry: while ``holds``, it stops after 2 MiB of every answer that is larger."""

    def __init__(self, registry: Registry) -> None:
        self.holds = True
        self.ranges: list[str] = []  # of requests for large blobs
        self._let_go = threading.Event()
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Tests read standard error."""

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                back = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=60)
                back.request(self.command, self.path, headers={n: v for n, v in self.headers.items() if n.lower() != "host"})
                answer = back.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                for name in ("Content-Type", "Content-Range", "Docker-Content-Digest"):
                    if answer.getheader(name):
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", answer.headers["Content-Length"])
                self.end_headers()
                if "/blobs/" not in self.path or int(answer.headers["Content-Length"]) <= 2 * MIB:
                    self.wfile.write(body)
                    return
                front.ranges.append(self.headers.get("Range", ""))
                if not front.holds:
                    self.wfile.write(body)
                    return
                self.wfile.write(body[: 2 * MIB])
                front._let_go.wait(60)
                self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def go_on(self) -> None:
        self.holds = False
        self._let_go.set()
        self.ranges.clear()

    def close(self) -> None:
        self._let_go.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def front(registry: Registry) -> Iterator[Hesitant]:
    server = Hesitant(registry)
    yield server
    server.close()


@pytest.fixture
def ref(pyctl: Pyctl, registry: Registry, front: Hesitant, name: str) -> Iterator[str]:
    """An image with one large layer, behind the hesitant server."""
    repository = f"resume/{name.lower()}"
    registry.push(repository, [tar({"noise": os.urandom(9 * MIB)})], config={"Cmd": ["x"]})
    yield f"{front.host}/{repository}:latest"
    pyctl("rmi", "-f", f"{front.host}/{repository}:latest", ok=False)


def ingest_bytes(engine: Engine) -> float:
    """How much there is of the layers that are under way."""
    sizes = re.findall(r"layer-sha256:\w+\s+([\d.]+)(\w+)", engine.ctr("content", "active"))
    return sum(float(size) * {"B": 1, "kB": 1e3, "KiB": 1024, "MB": 1e6, "MiB": MIB}[unit] for size, unit in sizes)


def interrupt(pyctl: Pyctl, engine: Engine, ref: str, number: int) -> None:
    """Pull until this pull, too, has fetched something and the server hesitates; then end it by a signal."""
    before = ingest_bytes(engine)
    command: Any = pyctl.popen("pull", "-q", ref)
    deadline = time.monotonic() + 30
    while ingest_bytes(engine) < before + MIB:
        assert command.poll() is None and time.monotonic() < deadline
    command.send_signal(number)
    command.wait(30)
    assert command.returncode != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_pull_goes_on_where_it_stopped(
    pyctl: Pyctl, engine: Engine, front: Hesitant, ref: str, number: signal.Signals
) -> None:
    interrupt(pyctl, engine, ref, number)
    assert front.ranges == [""]
    assert pyctl("image", "inspect", ref, ok=False).code == 1
    front.go_on()
    pyctl("pull", ref)
    (asked,) = front.ranges
    assert re.fullmatch(r"bytes=\d+-", asked), asked
    assert int(asked[6:-1]) >= MIB
    assert engine.ctr("leases", "ls", "-q").strip() == ""  # at once, not in time


def test_what_two_interrupted_pulls_left_is_used_and_cleared_together(
    pyctl: Pyctl, engine: Engine, front: Hesitant, ref: str
) -> None:
    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGINT):
        interrupt(pyctl, engine, ref, number)
    assert len(engine.ctr("leases", "ls", "-q").split()) == 1
    front.go_on()
    pyctl("pull", ref)
    (asked,) = front.ranges
    assert int(asked.removeprefix("bytes=")[:-1]) >= 3 * MIB  # what each of the three had fetched


def test_reconciling_clears_what_an_interrupted_pull_left(pyctl: Pyctl, engine: Engine, ref: str) -> None:
    interrupt(pyctl, engine, ref, signal.SIGINT)
    assert ingest_bytes(engine) > 0
    pyctl("system", "reconcile")
    assert engine.ctr("leases", "ls", "-q").strip() == ""


def test_any_pull_clears_what_was_interrupted_a_day_ago(pyctl: Pyctl, engine: Engine, front: Hesitant, ref: str) -> None:
    nobody = "pyctl/owner=4194305 1"  # above every process number
    for lease_id, term in (("old", "1ns"), ("new", "24h")):
        engine.ctr("leases", "create", "--id", lease_id, "--expires", term, "pyctl/pull=elsewhere", nobody)
    front.go_on()
    pyctl("pull", ref)
    assert engine.ctr("leases", "ls", "-q").split() == ["new"]
    engine.ctr("leases", "delete", "new")


def test_a_pull_that_cannot_work_keeps_nothing(pyctl: Pyctl, engine: Engine, front: Hesitant) -> None:
    assert pyctl("pull", f"{front.host}/resume/nobody:latest", ok=False).code == 1
    assert engine.ctr("leases", "ls", "-q").strip() == ""
