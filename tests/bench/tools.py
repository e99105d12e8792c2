"""How each tool is asked for the same thing."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.integration.engines import Engine

_CNI = "/usr/lib/cni"  # where Debian puts them


@dataclass(frozen=True)
class Tool:
    """A command line in Docker's grammar. ``helpers`` are words in the command lines of its log helpers."""

    name: str
    command: tuple[str, ...]
    helpers: tuple[str, ...] = ()
    pull_flags: tuple[str, ...] = ()
    remove_flags: tuple[str, ...] = ()
    interpreter: str = ""

    def run(self, image: str, *, network: str, port: bool = False) -> list[str] | None:
        publish = ["-p", f"{_free_port()}:80"] if port else []
        return [*self.command, "run", "--rm", "--network", network, *publish, image, "true"]

    def start(self, image: str, name: str) -> list[str]:
        return [*self.command, "run", "-d", "--name", name, image, "sleep", "600"]

    def create(self, image: str, name: str) -> list[str] | None:
        return [*self.command, "create", "--name", name, image, "sleep", "600"]

    def ps(self, *, all_of_them: bool = False) -> list[str]:
        return [*self.command, "ps", *(["-a"] if all_of_them else [])]

    def remove_command(self, names: Sequence[str]) -> list[str] | None:
        return [*self.command, "rm", "-f", *self.remove_flags, *names]

    def remove(self, names: Sequence[str]) -> None:
        subprocess.run([*self.command, "rm", "-f", *self.remove_flags, *names], check=True, stdout=subprocess.DEVNULL)

    def pull_command(self, image: str) -> list[str]:
        return [*self.command, "pull", "-q", *self.pull_flags, image]

    def pull(self, image: str) -> None:
        subprocess.run(self.pull_command(image), check=True, stdout=subprocess.DEVNULL)

    def remove_image(self, image: str) -> None:
        subprocess.run([*self.command, "rmi", "-f", image], check=True, stdout=subprocess.DEVNULL)


class Ctr(Tool):
    """containerd's own client: the least that can be done; no names, no logs, no bridge."""

    def run(self, image: str, *, network: str, port: bool = False) -> list[str] | None:
        return None if network != "none" else [*self.command, "run", "--rm", image, "bench", "true"]

    def start(self, image: str, name: str) -> list[str]:
        return [*self.command, "run", "-d", "--null-io", image, name, "sleep", "600"]

    def create(self, image: str, name: str) -> list[str] | None:
        return [*self.command, "containers", "create", image, name, "sleep", "600"]

    def ps(self, *, all_of_them: bool = False) -> list[str]:
        return [*self.command, "containers", "ls"]

    def remove_command(self, names: Sequence[str]) -> list[str] | None:
        return None  # it takes two commands

    def remove(self, names: Sequence[str]) -> None:
        subprocess.run([*self.command, "tasks", "rm", "-f", *names], check=False, capture_output=True)
        subprocess.run([*self.command, "containers", "rm", *names], check=True, stdout=subprocess.DEVNULL)

    def pull_command(self, image: str) -> list[str]:
        return [*self.command, "images", "pull", "--plain-http", image]

    def remove_image(self, image: str) -> None:
        subprocess.run([*self.command, "images", "rm", "--sync", image], check=True, stdout=subprocess.DEVNULL)


def by_cni(pyctl: Tool, base: str) -> Tool | None:
    """pyctl with the same chain carried out by CNI's binaries; None where they are not installed."""
    if not os.path.exists(f"{_CNI}/bridge"):
        return None
    with open(f"{base}/cni.toml", "w") as config:
        config.write('[network]\nengine = "cni"\n')
    return replace(pyctl, name="pyctl, cni", command=("env", f"PYCTL_TOML={base}/cni.toml", f"CNI_PATH={_CNI}", *pyctl.command))


def find_tools(engine: Engine, binaries: str) -> list[Tool]:
    """pyctl first, then everybody who is here."""
    tools = [
        Tool(
            name="pyctl",
            command=(f"{binaries}/pyctl", *engine.flags),
            helpers=("pyctl-log", "pyctl.keeper", "_NERDCTL_INTERNAL_LOGGING"),
            interpreter=f"{binaries}/python",
        ),
        Ctr(name="ctr", command=(f"{engine.binaries}/ctr", f"--address={engine.address}", f"--namespace={engine.namespace}-ctr")),
    ]
    if shutil.which("nerdctl"):
        flags = (f"--address={engine.address}", f"--namespace={engine.namespace}-n", f"--data-root={engine.data_root}-n")
        tools.append(Tool("nerdctl", ("nerdctl", *flags, "--insecure-registry"), ("_NERDCTL_INTERNAL_LOGGING", "sleep infinity")))
    for name, command in itertools.product(("docker", "podman"), ("l", "")):
        if _answers(command + name) and name not in [tool.name for tool in tools]:
            insecure = ("--tls-verify=false",) if name == "podman" else ()
            at_once = ("--time=0",) if name == "podman" else ()  # it would wait ten seconds for each; nobody else does
            tools.append(Tool(name, (command + name,), ("conmon", "dockerd"), insecure, at_once))
    return tools


def _answers(command: str) -> bool:
    """Is it installed, and its daemon up?"""
    return bool(shutil.which(command)) and subprocess.run([command, "ps"], capture_output=True, check=False).returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
