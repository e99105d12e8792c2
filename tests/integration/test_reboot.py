"""What a boot brings back: containers by their policies, with their networks, ports and names."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from glob import glob
from typing import Any

import pytest
from tests.integration import engines, images
from tests.integration.conftest import Pyctl
from tests.integration.test_network_repair_command import is_served

pytestmark = pytest.mark.integration

SERVER = ("nc", "-ll", "-p", "80", "-e", "echo", "served")


class Machine:
    """A containerd of its own that is switched off without warning, and on again."""

    def __init__(self, version: str, base: str, home: str, executable: str, image: str) -> None:
        self.namespace = f"boot{version.replace('.', '')}-{os.getpid()}"
        self._base, self._home, self._executable, self.image = base, home, executable, image
        self.engine = engines.start(version, base, self.namespace)
        self.pyctl: Any = Pyctl(self.engine, home, executable)
        self.engine.ctr("images", "pull", "--plain-http", image)

    def off(self) -> None:
        """Every process of it dies at once; what a boot empties is empty."""
        engine = self.engine
        engine.process.send_signal(signal.SIGKILL)
        engine.process.wait()
        # Again until nobody is left: the keeper's death makes those who hold pipes start another.
        while mine := [
            *engines.processes(lambda text: engine.address in text or engine.data_root in text),
            *engines.members(self.namespace),
        ]:
            for pid in mine:
                engines.end(pid)
        for path in glob("/run/pyctl/netns/*"):
            subprocess.run(["umount", "-l", path], check=True)
        for command in (
            "umount -l /run/pyctl/netns",
            "rm -rf /run/pyctl/netns /run/pyctl/ports /run/pyctl/bridges /run/pyctl/keeper",
            f"rm -rf /run/containerd/runc/{self.namespace}",
            "nft flush ruleset",
            "ip link delete nerdctl0",
            f"find {engine.base}/state -name rootfs -exec umount -l {{}} ;",
            f"rm -rf {engine.base}/state /run/containerd/fifo",
        ):
            subprocess.run(command.split(), check=False, capture_output=True)

    def on(self) -> None:
        self.engine = engines.start(self.engine.version, self._base, self.namespace)
        self.pyctl = Pyctl(self.engine, self._home, self._executable)

    def run(self, name: str, policy: str, *flags: str) -> None:
        self.pyctl("run", "-d", "--name", name, "--restart", policy, *flags, self.image, *SERVER)

    def running(self) -> list[str]:
        return sorted(self.pyctl("ps", "--format", "{{.Names}}").out.split())

    def end(self) -> None:
        found = self.pyctl("ps", "-aq", ok=False).out.split()
        if found:
            self.pyctl("rm", "-f", *found, ok=False)
        engines.stop(self.engine)


@pytest.fixture(params=engines.VERSIONS)
def machine(request: pytest.FixtureRequest, workshop: str, registry: images.Registry, busybox_ref: str) -> Iterator[Machine]:
    import sys

    home = f"{workshop}/boot"
    os.makedirs(home, exist_ok=True)
    with open(f"{home}/pyctl.toml", "w") as config:
        config.write('[network]\ndns = "resolver"\n')
    executable = os.path.join(os.path.dirname(sys.executable), "pyctl")
    machine = Machine(request.param, f"{workshop}/b{request.param}", home, executable, busybox_ref)
    yield machine
    machine.end()


def _address_of(machine: Machine, name: str) -> str:
    return str(machine.pyctl("port", name, "80/tcp").out)


def test_a_boot_brings_back_what_its_policies_say(machine: Machine) -> None:
    machine.pyctl("network", "create", "mine")
    machine.run("up", "always", "--network", "mine", "-p", "127.0.0.1:0:80")
    machine.run("peer", "unless-stopped", "--network", "mine")
    machine.run("stopped", "unless-stopped")
    machine.run("stopped-always", "always")
    machine.run("failing", "on-failure")
    machine.pyctl("run", "-d", "--name", "plain", machine.image, *SERVER)
    machine.pyctl("run", "-d", "--rm", "--name", "fleeting", machine.image, *SERVER)
    machine.pyctl("stop", "-t", "0", "stopped", "stopped-always")
    address = _address_of(machine, "up")
    machine.off()
    machine.on()
    said = machine.pyctl("system", "restore", timeout_s=30).out.splitlines()
    assert sorted(said[:5]) == ["removed fleeting", "started failing", "started peer", "started stopped-always", "started up"]
    assert machine.running() == ["failing", "peer", "stopped-always", "up"]
    assert machine.pyctl("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "plain").out == "exited 255"
    assert _address_of(machine, "up") == address and is_served(address)
    assert machine.pyctl("exec", "peer", "nc", "-w", "5", "up", "80", timeout_s=10).out == "served"
    assert "Name:\tup.mine\n" in machine.pyctl("exec", "peer", "nslookup", "up.mine").stdout  # by the keeper's resolver
    assert machine.pyctl("network", "repair").out == "" == machine.pyctl("system", "restore").out
    machine.pyctl("rm", "-f", "up", "peer")
    machine.pyctl("network", "rm", "mine")


def test_containerds_end_costs_no_container_its_network(machine: Machine) -> None:
    machine.run("up", "always", "-p", "127.0.0.1:0:80")
    address = _address_of(machine, "up")
    machine.engine.restart()
    assert is_served(address)
    assert machine.pyctl("network", "repair").out == ""
    machine.pyctl("restart", "-t", "0", "up")
    assert _address_of(machine, "up") == address and is_served(address)
