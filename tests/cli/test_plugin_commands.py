"""A command that a distribution outside the tree adds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = '''
from typing import Annotated

import typer

from pyctl_hookspecs import hookimpl


@hookimpl
def command():
    def hello(name: str, loud: Annotated[bool, typer.Option("--loud", "-l", help="Shout")] = False) -> int:
        """Say hello to somebody."""
        print(f"HELLO {name.upper()}" if loud else f"hello {name}")
        return 7

    return hello
'''


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``acme-hello`` is installed and adds ``pyctl hello``."""
    info = tmp_path / "acme_hello-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-hello\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pyctl.commands]\nhello = acme_hello\n")
    (tmp_path / "acme_hello.py").write_text(PLUGIN)
    config = tmp_path / "pyctl.toml"
    config.write_text("")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
        "PYCTL_TOML": str(config),
    }


def run(environment: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pyctl", *argv], capture_output=True, text=True, check=False, env=environment)


def test_it_runs_like_one_of_ours(environment: dict[str, str]) -> None:
    done = run(environment, "hello", "world", "-l=true")
    assert (done.returncode, done.stdout, done.stderr) == (7, "HELLO WORLD\n", "")


def test_its_errors_are_in_dockers_words(environment: dict[str, str]) -> None:
    done = run(environment, "hello", "--nope")
    assert (done.returncode, done.stderr) == (125, "pyctl: unknown flag: --nope\nSee 'pyctl hello --help'.\n")


def test_help_lists_it_and_says_where_it_is_from(environment: dict[str, str]) -> None:
    assert "  hello       Provided by acme-hello\n" in run(environment).stdout
    assert "Say hello to somebody." in run(environment, "hello", "--help").stdout


def test_a_disabled_distribution_adds_nothing(environment: dict[str, str]) -> None:
    Path(environment["PYCTL_TOML"]).write_text('[plugins]\ndisabled = ["acme-hello"]\n')
    done = run(environment, "hello", "world")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pyctl: no commands plug-in named hello\n")
