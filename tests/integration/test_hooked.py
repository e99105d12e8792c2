"""Containers as nerdctl makes them: hooks in their spec connect them, release them, and give up their name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.engines import Engine

from pyctl.containerd.client import Client
from pyctl.ops.sharing import mount_shm

pytestmark = pytest.mark.integration

HOOK = """#!/bin/sh
echo "$3" >> {log}
if [ "$3" = postStop ]; then rm -f {names}/{name}; else cat > {state}; fi
"""


class Hooked:
    """A container with hooks that note their calls; ``createRuntime`` keeps the state it was given."""

    def __init__(self, pyctl: Any, engine: Engine, name: str, directory: Path) -> None:
        self.pyctl, self.name, self._engine = pyctl, name, engine
        self.log, self._state = directory / "log", directory / "state"
        self.container_id = pyctl("inspect", "-f", "{{.Id}}", name).out
        (names,) = Path(engine.data_root).glob(f"*/names/{engine.namespace}")
        self.names = names
        program = directory / "hook"
        program.write_text(HOOK.format(log=self.log, names=names, name=name, state=self._state))
        program.chmod(0o755)
        with Client(engine.address, engine.namespace) as client:
            container = client.containers.get(self.container_id)
            spec = json.loads(container.spec_json)
            for kind, word in (("createRuntime", "createRuntime"), ("poststop", "postStop")):
                spec.setdefault("hooks", {})[kind] = [{"path": str(program), "args": ["nerdctl", "internal", "oci-hook", word]}]
            for namespace in spec["linux"]["namespaces"]:
                namespace.pop("path", None)
            labels = {**container.labels, "containerd.io/restart.status": "running"}
            changed = container.replace(spec_json=json.dumps(spec).encode(), labels=labels)
            client.containers.update(changed, ["spec", "labels.containerd.io/restart.status"])

    def words(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def namespace_path(self) -> str:
        spec = json.loads(self.pyctl("inspect", "--mode", "native", self.name).out)[0]["Spec"]
        (path,) = (str(n.get("path", "")) for n in spec["linux"]["namespaces"] if n["type"] == "network")
        return path

    def owner(self) -> str:
        return (self.names / self.name).read_text()

    def labels(self) -> dict[str, str]:
        with Client(self._engine.address, self._engine.namespace) as client:
            return dict(client.containers.get(self.container_id).labels)


@pytest.fixture
def hooked(pyctl: Any, engine: Engine, busybox: str, name: str, tmp_path: Path) -> Iterator[Hooked]:
    pyctl("create", "--restart", "unless-stopped", "--name", name, busybox, "sleep", "1000")
    yield Hooked(pyctl, engine, name, tmp_path)
    pyctl("rm", "-f", name, ok=False)


def test_its_hooks_connect_it_and_it_keeps_its_name(pyctl: Any, hooked: Hooked) -> None:
    pyctl("start", hooked.name)
    assert hooked.words() == ["createRuntime"] and hooked.namespace_path() == ""
    assert "containerd.io/restart.status" not in hooked.labels()  # two would restart it
    pyctl("stop", "-t", "0", hooked.name)
    assert hooked.words() == ["createRuntime", "postStop"] and hooked.owner() == hooked.container_id
    assert pyctl("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", hooked.name).out == "exited 137"
    pyctl("start", hooked.name)
    assert hooked.owner() == hooked.container_id
    pyctl("rm", "-f", hooked.name)
    assert hooked.words() == ["createRuntime", "postStop"] * 2 and not (hooked.names / hooked.name).exists()


def test_who_is_killed_is_released_though_another_tool_started_it(pyctl: Any, hooked: Hooked, engine: Engine) -> None:
    engine.ctr("tasks", "start", "-d", "--null-io", hooked.container_id)
    pyctl("kill", hooked.name)
    assert hooked.words() == ["createRuntime", "postStop"] and hooked.owner() == hooked.container_id


def test_a_run_that_another_tool_began_is_ended_by_stop_and_followed_by_start(pyctl: Any, engine: Engine, hooked: Hooked) -> None:
    engine.ctr("tasks", "start", "-d", hooked.container_id)  # leaves FIFOs
    pyctl("stop", "-t", "0", hooked.name)
    assert hooked.words() == ["createRuntime", "postStop"] and hooked.owner() == hooked.container_id
    engine.ctr("tasks", "start", "--null-io", "-d", hooked.container_id)
    engine.ctr("tasks", "kill", "-s", "KILL", hooked.container_id)
    assert pyctl("wait", hooked.name).out == "137"
    pyctl("start", hooked.name)
    assert hooked.words() == ["createRuntime", "postStop"] * 2 + ["createRuntime"]
    assert pyctl("exec", hooked.name, "echo", "alive").out == "alive"


def test_shared_memory_mounted_when_it_was_made_goes_with_it(pyctl: Any, engine: Engine, busybox: str, name: str) -> None:
    container_id = pyctl("create", "--ipc", "shareable", "--name", name, busybox, "true").out
    (state,) = Path(engine.data_root).glob(f"*/containers/{engine.namespace}/{container_id}")
    (state / "pyctl-create.journal").unlink()  # nerdctl has none
    mount_shm(str(state / "shm"), 1 << 20)
    pyctl("rm", name)
    assert not state.exists()
