"""What programs read: exit codes, streams and formats of the commands, on a real daemon."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.integration

Run = Any  # tests.integration.conftest.Pyctl


@pytest.fixture
def web(pyctl: Run, busybox: str, name: str) -> Iterator[str]:
    """A running container without a network."""
    pyctl("run", "-d", "--name", name, "--network", "none", "-l", "tier=front", busybox, "sleep", "600")
    yield name
    pyctl("rm", "-f", name)


def test_ps_lists_a_container_in_every_format(pyctl: Run, web: str) -> None:
    container_id = pyctl("inspect", "-f", "{{.Id}}", web).out
    assert pyctl("ps", "-q", "--no-trunc", "-f", f"name={web}").out == container_id
    assert (
        pyctl("ps", "-f", f"name={web}", "--format", '{{.Names}} {{.State}} {{.Label "tier"}}').stdout == f"{web} running front\n"
    )
    row = json.loads(pyctl("ps", "-f", f"name={web}", "--format", "json").stdout)
    assert (row["ID"], row["Names"], row["Command"]) == (container_id[:12], web, '"sleep 600"')
    header, line = pyctl("ps", "-f", f"name={web}").stdout.splitlines()
    assert header.split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert line.startswith(container_id[:12])
    assert line.index(web) == header.index("NAMES")


def test_inspect_of_a_missing_name_prints_what_it_found_and_exits_1(pyctl: Run, web: str) -> None:
    done = pyctl("inspect", web, "nope", ok=False)
    assert [one["Name"] for one in json.loads(done.stdout)] == [f"/{web}"]
    assert (done.code, done.stderr) == (1, "pyctl: No such object: nope\n")
    done = pyctl("container", "inspect", "nope", ok=False)
    assert (done.code, done.stdout, done.stderr) == (1, "[]\n", "pyctl: No such container: nope\n")


def test_a_template_that_does_not_fit_is_dockers_error(pyctl: Run, web: str) -> None:
    done = pyctl("inspect", "-f", "{{.State.Health.Status}}", web, ok=False)
    assert done.code == 1
    assert done.stderr == (
        'pyctl: template parsing error: template: :1:8: executing "" at <.State.Health.Status>: '
        'map has no entry for key "Health"\n'
    )


def test_a_batch_reports_each_failure_and_finishes_the_rest(pyctl: Run, web: str) -> None:
    done = pyctl("stop", "-t", "0", "nope", web, ok=False)
    assert (done.code, done.stdout, done.stderr) == (1, f"{web}\n", "pyctl: No such container: nope\n")


def test_a_forced_removal_of_nothing_succeeds_with_a_word(pyctl: Run) -> None:
    done = pyctl("rm", "-f", "nope")
    assert (done.stdout, done.stderr) == ("", "pyctl: No such container: nope\n")


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["run", "--nope", "x"], 125),
        (["ps", "--nope"], 125),
        (["nope"], 1),
        (["rm"], 1),
        (["run", "--memory", "x", "BUSYBOX"], 125),
        (["run", "--gpus", "all", "BUSYBOX"], 125),
        (["run", "--network", "none", "--rm", "BUSYBOX", "nope"], 127),
        (["run", "--network", "none", "--rm", "BUSYBOX", "/etc"], 126),
        (["run", "--network", "none", "--rm", "BUSYBOX", "sh", "-c", "exit 3"], 3),
    ],
)
def test_exit_codes_are_dockers(pyctl: Run, busybox: str, argv: list[str], code: int) -> None:
    done = pyctl(*[busybox if word == "BUSYBOX" else word for word in argv], ok=False)
    assert done.code == code
    assert bool(done.stderr) == (code != 3)


def test_standard_output_is_for_results_alone(pyctl: Run, busybox: str, name: str) -> None:
    done = pyctl("run", "-d", "--name", name, "--network", "none", busybox, "true")
    assert len(done.stdout) == 65
    assert int(done.out, 16)
    assert done.stderr == ""
    assert pyctl("wait", name).stdout == "0\n"
    assert pyctl("rm", name).stdout == f"{name}\n"


def test_errors_can_be_read_by_programs(pyctl: Run) -> None:
    done = pyctl("rm", "nope", ok=False, env={"PYCTL_ERRORS": "json"})
    assert json.loads(done.stderr) == {
        "code": "not_found",
        "step": "",
        "object": "nope",
        "cause": "No such container: nope",
        "hint": "",
    }


def test_logs_end_with_ctrl_c(pyctl: Run, busybox: str, name: str) -> None:
    pyctl("run", "-d", "--name", name, "--network", "none", busybox, "sh", "-c", "echo ready; sleep 600")
    following = pyctl.popen("logs", "-f", name, stdout=subprocess.PIPE)
    assert following.stdout.readline() == b"ready\n"
    following.send_signal(signal.SIGINT)
    assert following.wait(timeout=30) == 130
    following.stdout.close()
    pyctl("rm", "-f", name)


def test_completion_knows_the_containers(pyctl: Run, web: str) -> None:
    assert web in pyctl("__complete", "--", "stop", "").stdout.split()


def test_version_and_info_have_what_programs_ask_for(pyctl: Run) -> None:
    versions = json.loads(pyctl("version", "--format", "json").stdout)
    assert tuple(map(int, versions["Server"]["ApiVersion"].split("."))) >= (1, 41)
    assert versions["Client"]["Version"]
    info = json.loads(pyctl("info", "--format", "{{json .}}").stdout)
    assert info["ServerVersion"] == versions["Server"]["Version"]
    assert not info.get("ServerErrors")


def test_networks_and_volumes_are_listed(pyctl: Run) -> None:
    assert pyctl("network", "ls", "--format", "{{.Name}}").stdout.split() == ["bridge", "host", "none"]
    assert pyctl("volume", "create", "data").stdout == "data\n"
    assert pyctl("volume", "ls", "-q").stdout == "data\n"
    assert json.loads(pyctl("volume", "inspect", "data").stdout)[0]["Name"] == "data"
    done = pyctl("volume", "rm", "data", "nope", ok=False)
    assert (done.code, done.stdout, done.stderr) == (1, "data\n", "pyctl: get nope: no such volume\n")
