"""What the user sees of an error, and how a process ends."""

from __future__ import annotations

import json

import pytest

from pyctl.__main__ import run
from pyctl.cli import dispatch, errors
from pyctl.cli.errors import report, set_style
from pyctl.cli.exit import at_exit, run_callbacks
from pyctl.cli.flags import UsageError
from pyctl_hookspecs.errors import CancelledError, NotFoundError, PyctlError


@pytest.fixture(autouse=True)
def _plain_style() -> None:
    set_style(errors_format="text", debug=False)


def stderr_of(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = report(error)
    return code, capsys.readouterr().err


def test_an_error_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    error = PyctlError("no space", hint="free some", exit_code=125)
    assert stderr_of(error, capsys) == (125, "pyctl: no space\nfree some\n")


def test_a_usage_error_says_where_help_is(capsys: pytest.CaptureFixture[str]) -> None:
    error = UsageError("unknown flag: --x")
    error.command = "pyctl ps"
    assert stderr_of(error, capsys) == (125, "pyctl: unknown flag: --x\nSee 'pyctl ps --help'.\n")


def test_every_error_of_a_group_is_shown_and_the_first_decides(capsys: pytest.CaptureFixture[str]) -> None:
    group = BaseExceptionGroup("rm", [NotFoundError("container", "a"), ExceptionGroup("x", [PyctlError("b", exit_code=3)])])
    assert stderr_of(group, capsys) == (1, "pyctl: No such container: a\npyctl: b\n")


def test_json_errors_are_an_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_style(errors_format="json", debug=False)
    _, text = stderr_of(NotFoundError("container", "web", hint="look at ps"), capsys)
    assert json.loads(text) == {
        "code": "not_found",
        "step": "",
        "object": "web",
        "cause": "No such container: web",
        "hint": "look at ps",
    }


def test_a_bug_is_one_line_without_debug_and_a_traceback_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = stderr_of(KeyError("x"), capsys)
    assert code == 125
    assert text.startswith("pyctl: internal error: KeyError: 'x'\n")
    assert "Traceback" not in text
    set_style(errors_format="text", debug=True)
    try:
        raise PyctlError("outer") from ValueError("inner")
    except PyctlError as error:
        _, text = stderr_of(error, capsys)
    assert "ValueError: inner" in text


def test_flag_errors_follow_the_errors_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--errors", "json", "ps", "--nope"]) == 125
    assert json.loads(capsys.readouterr().err)["cause"] == "unknown flag: --nope"


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141), (SystemExit(3), 3), (SystemExit(None), 0)]
)
def test_how_a_process_ends(monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int) -> None:
    def fail(argv: list[str]) -> int:
        raise raised

    monkeypatch.setattr(dispatch, "run_command_line", fail)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    assert run([]) == code


def test_an_interrupt_while_an_error_is_told_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise KeyboardInterrupt

    seen: list[str] = []
    at_exit(lambda: seen.append("at exit"))
    monkeypatch.setattr(errors, "report", fail)
    assert run(["--nope"]) == 130
    assert seen == ["at exit"]


def test_exit_callbacks_run_last_first_and_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise OSError("broken")

    at_exit(lambda: seen.append("first"))
    at_exit(fail)
    at_exit(lambda: seen.append("last"))
    run_callbacks()
    run_callbacks()
    assert seen == ["last", "first"]
    assert capsys.readouterr().err == "pyctl: at exit: broken\n"


def test_trouble_of_the_machine_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(28, "No space left on device", "/var/lib/x")
    assert stderr_of(error, capsys) == (125, "pyctl: /var/lib/x: no space left on device\n")


def test_an_interrupted_command_exits_130_whatever_else_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    group = BaseExceptionGroup("run", [PyctlError("could not undo", exit_code=125), CancelledError("interrupted")])
    assert stderr_of(group, capsys) == (130, "pyctl: could not undo\npyctl: interrupted\n")
    assert report(BaseExceptionGroup("run", [PyctlError("x"), KeyboardInterrupt()])) == 130
    assert report(CancelledError("terminated", exit_code=143)) == 143
