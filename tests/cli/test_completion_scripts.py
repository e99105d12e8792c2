"""The completion scripts, read by the shells they are for where those are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyctl.cli.completion_scripts import SCRIPTS


@pytest.fixture
def shell_environment(tmp_path: Path) -> dict[str, str]:
    """A PATH whose ``pyctl`` is this source tree's, on an address where nobody answers."""
    program = tmp_path / "pyctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pyctl "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "CONTAINERD_ADDRESS": str(tmp_path / "nobody.sock"),
        "HOME": str(tmp_path),
    }


def complete_in_bash(line: str, environment: dict[str, str]) -> list[str]:
    """What bash offers at the end of ``line``; its words are split as bash splits them, at ``=`` too."""
    words = [part for word in line.split(" ") for part in _split_at_equals(word)]
    quoted = " ".join(f"'{word}'" for word in words)
    program = (
        f"{SCRIPTS['bash']}\nCOMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}\n"
        '_pyctl\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


def _split_at_equals(word: str) -> list[str]:
    name, equals, value = word.partition("=")
    return [name, "=", value] if equals else [word]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pyctl vol", ["volume"]),
        ("pyctl volume ", ["create", "inspect", "ls", "prune", "rm"]),
        ("pyctl run --pull=a", ["always"]),
        ("pyctl run --pull ne", ["never"]),
        ("pyctl completion z", ["zsh"]),
    ],
)
def test_bash_offers_what_fits(line: str, offered: list[str], shell_environment: dict[str, str]) -> None:
    assert complete_in_bash(line, shell_environment) == offered


@pytest.mark.parametrize("shell", [name for name in SCRIPTS if shutil.which(name)])
def test_the_shell_accepts_its_script(shell: str) -> None:
    subprocess.run([shell, "-n", "-c", SCRIPTS[shell]], check=True)


def test_no_descriptions_asks_for_names_only(capsys: pytest.CaptureFixture[str]) -> None:
    from pyctl.__main__ import run

    assert run(["completion", "fish", "--no-descriptions"]) == 0
    assert "pyctl __complete --no-descriptions --" in capsys.readouterr().out


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from pyctl.__main__ import run

    assert run(["completion", "tcsh"]) == 1
    assert capsys.readouterr().err == 'pyctl: no completion for shell "tcsh"\nThere is one for bash, zsh, fish.\n'
