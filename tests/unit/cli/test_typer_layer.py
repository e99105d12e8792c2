"""Commands of plug-ins, and Typer as a second reader of our own option classes."""

from __future__ import annotations

import sys
from typing import Annotated

import pytest
import typer

from pyctl.cli.commands.stop import StopOptions
from pyctl.cli.dispatch import Invocation, parse_command_line
from pyctl.cli.flags import UsageError
from pyctl.cli.typer_layer import mount, run_function

calls: list[tuple[object, ...]] = []


def hello(
    names: list[str],
    loud: Annotated[bool, typer.Option("--loud", "-l", help="Shout")] = False,
    count: Annotated[int, typer.Option("--count", "-c", help="How often")] = 1,
) -> int:
    """Say hello."""
    calls.append((names, loud, count))
    return 3


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["a", "-l", "b", "-c2"], (["a", "b"], True, 2)),
        (["--loud=false", "a", "--count", "5"], (["a"], False, 5)),
        (["-lc", "5", "--", "-x"], (["-x"], True, 5)),
    ],
)
def test_a_plug_ins_command_reads_its_words_as_docker_does(words: list[str], seen: tuple[object, ...]) -> None:
    assert run_function(hello, "hello", words) == 3
    assert calls[-1] == seen


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["--nope", "a"], "unknown flag: --nope", 125),
        (["-c", "x", "a"], "Invalid value for '--count' / '-c': 'x' is not a valid int.", 125),
        ([], "Missing argument 'names'.", 1),
    ],
)
def test_what_does_not_fit_is_a_usage_error(words: list[str], message: str, code: int) -> None:
    with pytest.raises(UsageError) as caught:
        run_function(hello, "hello", words)
    assert (str(caught.value), caught.value.exit_code, caught.value.command) == (message, code, "pyctl hello")


def test_help_is_in_dockers_layout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_function(hello, "hello", ["--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("\nUsage:  pyctl hello [OPTIONS] ")
    assert "  -c, --count int   How often (default 1)\n" in text


def test_typer_and_the_literal_table_read_the_same() -> None:
    seen: list[StopOptions] = []

    @mount(StopOptions)
    def stop(options: StopOptions) -> None:
        seen.append(options)

    words = ["--time=5", "-s", "HUP"]
    run_function(stop, "stop", words)
    parsed = parse_command_line(["stop", *words, "web"])
    assert isinstance(parsed, Invocation)
    assert parsed.options is not None
    assert parsed.options.replace(given=()) == seen[0]


def test_neither_pydantic_nor_rich_is_imported_for_a_plug_ins_command() -> None:
    import subprocess

    program = (
        "import sys\n"
        "from pyctl.cli.typer_layer import run_function\n"
        "def f(name: str, loud: bool = False) -> None: ...\n"
        "run_function(f, 'f', ['x', '--loud'])\n"
        "print([m for m in ('pydantic', 'rich') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
