"""The harness itself: both engines run, the image runs without pyctl, and a leak is noticed."""

from __future__ import annotations

import os
import subprocess

import pytest
from tests.integration import leaks
from tests.integration.engines import Engine
from tests.integration.images import Registry

pytestmark = pytest.mark.integration


def test_each_engine_is_the_version_it_says(engine: Engine) -> None:
    server = engine.ctr("version").split("Server:")[1]

    assert server.split("Version:")[1].strip().lstrip("v").startswith("1.6." if engine.version == "1.6" else "2.")


def test_the_busybox_image_runs_without_pyctl(engine: Engine, busybox: str) -> None:
    assert engine.ctr("run", "--rm", busybox, f"hello-{os.getpid()}", "echo", "hello") == "hello\n"


def test_the_network_is_ours_alone(engine: Engine, registry: Registry) -> None:
    links = os.listdir("/sys/class/net")

    assert set(links) <= {"lo", "nerdctl0"}
    assert registry.request("GET", "/v2/").status == 200


def test_a_leak_is_named(engine: Engine) -> None:
    before = leaks.census(engine)
    subprocess.run(["ip", "link", "add", "leaked", "type", "bridge"], check=True)
    found = leaks.new(before, engine, deadline_s=0)
    subprocess.run(["ip", "link", "del", "leaked"], check=True)

    assert found == ["link leaked"]
