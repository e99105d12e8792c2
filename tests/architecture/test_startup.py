"""What a command may load before it has anything to do: the start is a feature, and imports are what it costs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Never on the way of a command that was understood: each costs more than everything pyctl does until then.
HEAVY = {
    *("typer", "click", "rich", "pydantic", "dataclasses", "inspect", "typing", "asyncio", "importlib.metadata"),
    *("logging", "argparse", "json", "pathlib", "subprocess", "tomllib", "difflib", "enum", "re", "pluggy", "stevedore"),
    "grpc",
}

COMMON = {
    "pyctl",
    "pyctl.__main__",
    "pyctl.cli",
    "pyctl.cli.commands",
    "pyctl.cli.dispatch",
    "pyctl.cli.errors",
    "pyctl.cli.exit",
    "pyctl.cli.flags",
    "pyctl.cli.global_options",
    "pyctl.cli.help",
    "pyctl.cli.options",
    "pyctl.cli.sessions",
    "pyctl.cli.signatures",
    "pyctl.cli.table",
    "pyctl.lifecycle",
    "pyctl.lifecycle.cancel",
    "pyctl.ops",
    "pyctl.ops.session",
    "pyctl_hookspecs",
    "pyctl_hookspecs.errors",
    "pyctl_hookspecs.records",
}
ALLOWED = {
    ("ps",): {"pyctl.cli.commands.ps"},
    ("run", "-d", "-p", "80:80", "busybox", "true"): {"pyctl.cli.commands.run", "pyctl.cli.container_options"},
    ("stop", "-t", "5", "web"): {"pyctl.cli.commands.stop"},
    ("rm", "-f", "web"): {"pyctl.cli.commands.rm"},
    ("exec", "web", "true"): {"pyctl.cli.commands.exec"},
    ("start", "web"): {"pyctl.cli.commands.start"},
}


def loaded_by(*argv: str) -> set[str]:
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import pyctl.__main__, pyctl.cli.exit, pyctl.cli.errors\n"
        "from pyctl.cli.dispatch import parse_command_line\n"
        "parse_command_line(sys.argv[1:])\n"
        "print('\\n'.join(set(sys.modules) - before))\n"
    )
    return output_of(program, *argv)


def output_of(program: str, *argv: str) -> set[str]:
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, *argv], capture_output=True, text=True, check=True, env=environment
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("argv", ALLOWED, ids=lambda argv: argv[0])
def test_a_command_loads_what_it_may_and_nothing_else(argv: tuple[str, ...]) -> None:
    loaded = loaded_by(*argv)
    ours = {name for name in loaded if name.startswith("pyctl")}
    assert ours - COMMON - ALLOWED[argv] == set()
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("argv", [(), ("run", "--help"), ("container",), ("help", "ps")], ids=" ".join)
def test_help_costs_neither_typer_nor_rich(argv: tuple[str, ...]) -> None:
    assert loaded_by(*argv) & {"typer", "click", "rich", "pydantic", "pluggy", "grpc"} == set()


def test_talking_to_containerd_costs_neither_grpc_nor_protobuf() -> None:
    program = (
        "import sys\n"
        "from pyctl.containerd import unix_transport\n"
        "from pyctl.containerd.client import Client\n"
        "client = Client('/nowhere', 'default')\n"
        "for service in 'namespaces containers images content snapshots diff tasks leases events'.split():\n"
        "    getattr(client, service)\n"
        "print('\\n'.join(sys.modules))\n"
    )
    assert output_of(program) & {"grpc", "google", "google.protobuf", "typing", "re", "enum", "json", "pluggy"} == set()
