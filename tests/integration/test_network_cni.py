"""Networks carried out by the real CNI binaries, from the command line to packets, and nothing left afterwards."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.engines import Engine

pytestmark = pytest.mark.integration

_SERVE = "mkdir -p /www && echo served > /www/index.html && exec httpd -f -p 80 -h /www"
_RESULTS = "/var/lib/cni/results"


@pytest.fixture
def with_cni(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who wants every chain carried out by the binaries."""
    path = tmp_path / "cni.toml"
    path.write_text('[network]\nengine = "cni"\n')
    return {"PYCTL_TOML": str(path)}


@pytest.fixture
def network(engine: Engine) -> Iterator[Callable[..., str]]:
    """``network(name, *plugins, **more)`` puts a foreign conflist among the configurations."""
    made: list[str] = []

    def write(name: str, *plugins: dict[str, Any], **more: Any) -> str:
        path = f"{engine.netconf_path}/50-{name}.conflist"
        os.makedirs(engine.netconf_path, exist_ok=True)
        with open(path, "w") as file:
            json.dump({"cniVersion": "1.0.0", "name": name, "plugins": plugins, **more}, file)
        made.append(path)
        return name

    yield write
    for path in made:
        os.unlink(path)


@pytest.fixture
def start(pyctl: Any, busybox: str) -> Iterator[Callable[..., str]]:
    """``start(*flags)`` runs a web server detached and returns the container ID."""
    started: list[str] = []

    def run(*flags: str, env: dict[str, str] | None = None, command: str = _SERVE) -> str:
        container_id: str = pyctl("run", "-d", *flags, busybox, "sh", "-c", command, env=env).out
        started.append(container_id)
        return container_id

    yield run
    if started:
        pyctl("rm", "-f", *started, ok=False)


def _get(address: str, port: int) -> str:
    """Fetch the page; the server may be a moment behind its port."""
    url = f"http://{address}:{port}/"
    command = ["curl", "-sS", "--max-time", "10", "--retry", "20", "--retry-all-errors", "--retry-delay", "1", url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _address(pyctl: Any, name: str, network: str) -> str:
    (found,) = json.loads(pyctl("inspect", name).stdout)
    return str(found["NetworkSettings"]["Networks"][network]["IPAddress"])


def _pool(tmp_path: Path, subnet: str) -> dict[str, Any]:
    return {"type": "host-local", "dataDir": str(tmp_path / "pool"), "subnet": subnet, "routes": [{"dst": "0.0.0.0/0"}]}


def test_the_default_network_works_with_the_binaries_and_is_left_though_the_setting_has_changed(
    pyctl: Any, start: Callable[..., str], with_cni: dict[str, str], engine: Engine
) -> None:
    container_id = start("-p", "18090:80", env=with_cni)
    assert _get("127.0.0.1", 18090) == "served"
    assert pyctl("port", container_id).out == "80/tcp -> 0.0.0.0:18090"
    assert os.listdir(_RESULTS) == [f"bridge-{engine.namespace}-{container_id}-eth0"]
    assert _address(pyctl, container_id, "bridge").startswith("10.4.0.")
    pyctl("rm", "-f", container_id)
    assert os.listdir(_RESULTS) == []
