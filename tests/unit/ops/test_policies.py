"""Restart policies: Docker's grammar and decisions; signals by name."""

from __future__ import annotations

import pytest

from pyctl.ops.policies import Policy, parse_policy, seconds, wants_boot, wants_restart
from pyctl.ops.signals import parse_signal
from pyctl.ops.tasks import exit_code_for
from pyctl_hookspecs.errors import InvalidArgumentError


def test_policies_are_read_as_docker_writes_them() -> None:
    assert parse_policy("") == parse_policy("no") == Policy(name="no")
    assert parse_policy("on-failure:3") == Policy(name="on-failure", max_retries=3)
    assert parse_policy("unless-stopped") == Policy(name="unless-stopped")


@pytest.mark.parametrize("text", ["sometimes", "always:3", "on-failure:x", "on-failure:-1", "no:1"])
def test_malformed_policies_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid restart policy"):
        parse_policy(text)


@pytest.mark.parametrize(
    ("policy", "exit_code", "count", "stopped", "expected"),
    [
        ("no", 1, 0, False, False),
        ("always", 0, 99, False, True),
        ("always", 0, 0, True, False),
        ("unless-stopped", 0, 0, False, True),
        ("unless-stopped", 0, 0, True, False),
        ("on-failure", 0, 0, False, False),
        ("on-failure", 1, 99, False, True),
        ("on-failure:2", 1, 1, False, True),
        ("on-failure:2", 1, 2, False, False),
    ],
)
def test_the_decision_is_dockers(policy: str, exit_code: int, count: int, stopped: bool, expected: bool) -> None:
    assert wants_restart(parse_policy(policy), exit_code, count, explicitly_stopped=stopped) is expected


@pytest.mark.parametrize(
    ("policy", "exit_code", "count", "stopped", "expected"),
    [
        ("no", 255, 0, False, False),
        ("always", 0, 0, True, True),
        ("unless-stopped", 255, 0, False, True),
        ("unless-stopped", 255, 0, True, False),
        ("on-failure", 255, 0, False, True),  # it ran when the machine went down
        ("on-failure", 137, 0, True, True),
        ("on-failure", 0, 0, True, False),
        ("on-failure:1", 1, 1, False, False),
    ],
)
def test_a_boot_brings_back_what_docker_s_daemon_would(
    policy: str, exit_code: int, count: int, stopped: bool, expected: bool
) -> None:
    assert wants_boot(parse_policy(policy), exit_code, count, explicitly_stopped=stopped) is expected


def test_times_become_seconds() -> None:
    assert seconds("1970-01-01T00:00:10.5Z") == 10.5
    assert seconds("1970-01-02T00:00:00Z") == 86400.0


@pytest.mark.parametrize(
    ("text", "number"), [("KILL", 9), ("SIGKILL", 9), ("9", 9), ("sigterm", 15), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("64", 64)]
)
def test_signals_have_many_names(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "NOPE", "TERM+1", "RTMIN+99", "_DFL"])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="Invalid signal"):
        parse_signal(text)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('unable to start container process: exec: "x": executable file not found in $PATH: unknown', 127),
        ("executable file `x` not found in $PATH: No such file or directory", 127),
        ('unable to start container process: exec: "/etc": permission denied', 126),
        ('exec: "/x": stat /x: no such file or directory', 127),
        ("exec /x: exec format error", 126),
        ("cgroup: no space left", 125),
    ],
)
def test_a_runtimes_refusal_has_dockers_exit_code(message: str, code: int) -> None:
    assert exit_code_for(message) == code
