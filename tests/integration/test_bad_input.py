"""Bad input: one clear line (a hint may follow), Docker's exit code, and nothing left behind (the leak check sees to that)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

# What is given before the image, and what must be said about it. The exit code of all of them is 125.
REFUSED_BY_RUN = {
    "--bogus": "unknown flag: --bogus",
    "--rm --restart always": "conflicting options: cannot specify both --restart and --rm",
    "--restart sometimes": "invalid restart policy",
    "--restart on-failure:x": "maximum retry count must be an integer",
    "--restart always:3": "maximum retry count",
    "--pull sometimes": 'invalid argument "sometimes" for "--pull" flag',
    "-v /x:relative": "'relative' mount path must be absolute",
    "-v :::": "invalid volume specification: ':::'",
    "-v /a:/b:zz": "invalid mode: zz",
    "--mount type=bogus,target=/x": "mount type unknown",
    "--mount type=bind,source=/no/where,target=/x": "bind source path does not exist: /no/where",
    "--mount type=bind,source=/tmp": "target is required",
    "--tmpfs relative": "'relative' mount path must be absolute",
    "--volumes-from nobody": "No such container: nobody",
    "-p ": "No port specified: <empty>",
    "-p abc:80": "invalid hostPort: abc",
    "-p 70000:80": "invalid hostPort: 70000",
    "-p 80/foo": "invalid proto: foo",
    "-p 1.2.3:80:80": "Invalid ip address: 1.2.3",
    "-p 80-90:80-85": "Invalid ranges specified for container and host Ports",
    "-m 12x": "invalid suffix: 'x'",
    "-m 1k": "Minimum memory limit allowed is 6MB",
    "--cpus abc": "failed to parse abc as a rational number",
    "--shm-size=-5": "invalid size: '-5'",
    "--stop-timeout soon": 'invalid argument "soon" for "--stop-timeout" flag',
    "-l =x": "empty name",
    "-e =x": "invalid environment variable: =x",
    "--env-file /no/where": "open /no/where: no such file or directory",
    "--network nonesuch": "network nonesuch not found",
    "--network container:nobody": "No such container: nobody",
    "--pid container:nobody": "No such container: nobody",
    "--ip 1.2.3": "invalid IPv4 address: 1.2.3",
    "--add-host bogus": 'bad format for add-host: "bogus"',
    "--dns bogus": "bogus is not an ip address",
    "--name -x": "Invalid container name (-x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    "--ulimit bogus": "invalid ulimit argument: bogus",
    "--ulimit nofile=10:5": "ulimit soft limit must be less than or equal to hard limit: 10 > 5",
    "--device /etc/passwd": 'error gathering device information while adding custom device "/etc/passwd": not a device node',
    "--cap-add BOGUS": 'unknown capability: "CAP_BOGUS"',
    "--security-opt bogus": 'Invalid --security-opt: "bogus"',
    "--sysctl bogus": "sysctl 'bogus' is not allowed",
    "--ipc bogus": "invalid IPC mode: bogus",
    "--runtime nope": "unknown or invalid runtime name: nope",
    "--log-driver nope": "nope",
    "--log-opt bogus=1": "unknown log opt 'bogus' for json-file log driver",
    "-u nobodyx": "unable to find user nobodyx: no matching entries in passwd file",
    "-w /bin/busybox": "Cannot mkdir: /bin/busybox is not a directory",
    "-w relative": "the working directory 'relative' is invalid, it needs to be an absolute path",
    "--detach-keys xx,yy": "invalid detach keys",
    "--snapshotter nope": "nope",
    "--platform windows/amd64": "windows/amd64",
    "--platform nonsense": 'error parsing specified platform: "nonsense": unknown operating system or architecture',
}
EVERY_COMMAND = {
    "stop nobody": "No such container: nobody",
    "start nobody": "No such container: nobody",
    "restart nobody": "No such container: nobody",
    "kill nobody": "No such container: nobody",
    "wait nobody": "No such container: nobody",
    "rm nobody": "No such container: nobody",
    "logs nobody": "No such container: nobody",
    "attach nobody": "No such container: nobody",
    "port nobody": "No such container: nobody",
    "exec nobody true": "No such container: nobody",
    "inspect nobody": "No such object: nobody",
    "rmi nobody": "No such image: nobody:latest",
    "image inspect nobody": "No such image: nobody",
    "tag nobody a": "No such image: nobody:latest",
    "volume rm nobody": "get nobody: no such volume",
    "volume inspect nobody": "get nobody: no such volume",
    "network inspect nobody": "network nobody not found",
    "load -i /no/where": "open /no/where: no such file or directory",
    "kill -s BOGUS nobody": "Invalid signal: BOGUS",
    "ps --filter bogus=1": "invalid filter 'bogus'",
    "ps --format {{": "template parsing error",
    "logs --since soon nobody": 'invalid value for "since"',
    "create --platform nonsense 127.0.0.1:1/nobody": 'error parsing specified platform: "nonsense"',
    "pull --platform nonsense 127.0.0.1:1/nobody": '"nonsense": unknown operating system or architecture',
    "pull UPPER/Case": "must be lowercase",
    "pull a::b": "invalid reference format",
    "stpo": "'stpo' is not a pyctl command.",
    "rm": '"pyctl rm" requires at least 1 argument.',
    "ps extra": '"pyctl ps" accepts no arguments.',
}


@pytest.fixture(scope="module")
def said(pyctl: Any, busybox: str) -> Any:
    """``said(*args)``: the exit code and the first line of standard error."""

    def call(*args: str) -> tuple[int, str]:
        done = pyctl(*args, ok=False)
        assert "internal error" not in done.stderr and "Traceback" not in done.stderr, done.stderr
        return done.code, done.stderr

    return call


def test_run_refuses_what_makes_no_sense(said: Any, busybox: str) -> None:
    wrong = []
    for flags, words in REFUSED_BY_RUN.items():
        code, stderr = said("run", *flags.split(" "), busybox, "true")
        told = [line for line in stderr.splitlines() if line.startswith("pyctl: ")]
        if code != 125 or len(told) != 1 or words not in told[0]:
            wrong.append(f"{flags}: {code} {stderr!r}")
    assert not wrong, "\n".join(wrong)


def test_every_command_names_what_it_does_not_find(said: Any) -> None:
    wrong = []
    for command, words in EVERY_COMMAND.items():
        code, stderr = said(*command.split(" "))
        if code != 1 or words not in stderr.splitlines()[0]:
            wrong.append(f"{command}: {code} {stderr!r}")
    assert not wrong, "\n".join(wrong)


def test_what_docker_refuses_before_its_engine_hears_of_it_has_exit_status_1(said: Any, busybox: str) -> None:
    assert said("run", "-d", "-a", "stdout", busybox, "true") == (1, "pyctl: Conflicting options: -a and -d\n")
    assert said("inspect", "--type", "foo", "nosuch") == (1, 'pyctl: "foo" is not a valid value for --type\n')


def test_what_the_engine_refuses_is_125_for_run_and_1_for_create(said: Any, pyctl: Any, busybox: str, name: str) -> None:
    container_id = pyctl("create", "--name", name, busybox).out
    conflict = f'pyctl: Conflict. The container name "/{name}" is already in use by container "{container_id}". '
    for flags, words in {
        ("--name", name): conflict + "You have to remove (or rename) that container to be able to reuse that name.\n",
        ("--stop-signal", "foo"): "pyctl: invalid signal: foo\n",
        ("--runtime", "nosuch"): "pyctl: unknown or invalid runtime name: nosuch\n",
        ("--mount", "type=bind,source=/nosuch,target=/x"): 'pyctl: invalid mount config for type "bind": bind source path '
        "does not exist: /nosuch (--mount type=bind,source=/nosuch,target=/x)\n",
    }.items():
        assert said("create", *flags, busybox) == (1, words)
        assert said("run", *flags, busybox) == (125, words)
    pyctl("rm", name)


def test_start_attached_fails_with_1_like_any_start(said: Any, pyctl: Any, busybox: str, name: str) -> None:
    pyctl("create", "--network", "none", "--name", name, busybox, "nosuchcommand")
    code, stderr = said("start", "-a", name)
    assert code == 1 and "executable file not found" in stderr
    pyctl("rm", name)


def test_what_is_missing_on_the_host_has_the_exit_status_of_a_missing_command(said: Any, busybox: str) -> None:
    """Docker's command line takes the words for the container's."""
    for flags, words in {
        ("--device", "/dev/nope"): 'error gathering device information while adding custom device "/dev/nope": ',
        ("--cidfile", "/no/where/id"): "failed to create the container ID file: open /no/where/id: ",
    }.items():
        said_by_both = f"pyctl: {words}no such file or directory\n"
        assert said("run", *flags, busybox, "true") == (127, said_by_both)
        assert said("create", *flags, busybox, "true") == (1, said_by_both)


# As measured beside docker 26: what its command line refuses, and what it leaves to its engine.
EARLY = (
    *("-p foo", "-v :/b", "--memory-swappiness 200", "--security-opt foo", "--pid x", "--uts x", "--cgroupns x", "--dns x"),
    *("--env-file /nosuch", "--label-file /nosuch", "--expose x", "--ulimit nofile=2:1", "--add-host x", "--mac-address x"),
    "--dns-search x_y",
)
LATE = (
    *("-v a:b:c:d", "-v /a:/b:loud", "-v /a:/", "--tmpfs rel", "-v /a:/b -v /c:/b", "-m 1m", "--cpus 400", "--cpu-period 1"),
    *("--cpuset-cpus x", "--security-opt foo=bar", "--mount type=foo,target=/x", "-w rel", "--oom-score-adj 2000", "--ipc x"),
    *("--uts host --hostname h", "--cap-add nosuch", "--restart foo", "--restart always:3", "--log-driver nosuch", "--name a/b"),
    *("-w /bin/busybox/x", "--cidfile /tmp", "--cidfile /bin/sh/id"),
)


@pytest.mark.parametrize(("flags", "create_exits"), [*((one, 125) for one in EARLY), *((one, 1) for one in LATE)])
def test_create_has_docker_s_exit_codes_and_run_always_125(said: Any, busybox: str, flags: str, create_exits: int) -> None:
    for command, expected in (("create", create_exits), ("run", 125)):
        code, stderr = said(command, *flags.split(), busybox, "true")
        assert (code, stderr[:7], "Traceback" in stderr) == (expected, "pyctl: ", False), stderr


@pytest.mark.parametrize("mode", ["host", "none"])
def test_what_a_network_has_no_use_for_is_not_passed_over_in_silence(said: Any, busybox: str, mode: str) -> None:
    mac = ("--mac-address", "02:42:00:00:00:09")
    code, stderr = said("run", "--rm", "--network", mode, "-p", "80:80", *mac, busybox, "true")
    assert code == 0 and stderr.splitlines() == [
        f"WARNING: A MAC address has no effect with network mode {mode}",
        f"WARNING: Published ports are discarded when using {mode} network mode",
    ]


def test_a_name_with_a_space_is_refused(said: Any, busybox: str) -> None:
    code, stderr = said("run", "--name", "a b", busybox)
    assert code == 125 and "Invalid container name (a b)" in stderr


def test_a_stop_signal_that_is_none_is_refused(said: Any, busybox: str) -> None:
    code, stderr = said("run", "--rm", "--network", "none", "--stop-signal", "BOGUS", busybox, "true")
    assert code == 125 and stderr == "pyctl: invalid signal: BOGUS\n"


def test_images_that_are_not_here_are_not_invented(said: Any, pyctl: Any, busybox_ref: str) -> None:
    code, stderr = said("run", "--rm", "--pull", "never", "nosuch:1", "true")
    assert code == 125 and stderr == "pyctl: No such image: nosuch:1\n"
    assert said("run", "--rm", "--pull", "never", "nosuch") == (125, "pyctl: No such image: nosuch:latest\n")
    missing = f"{busybox_ref.rpartition('/')[0]}/nosuch"
    code, stderr = said("run", "--rm", missing, "true")
    first, second = stderr.splitlines()
    assert code == 125 and first == f"Unable to find image '{missing}:latest' locally" and "manifest unknown" in second


def test_a_suggestion_is_made(said: Any, busybox: str) -> None:
    assert "\tstop\n" in said("stpo")[1]
    assert "--network" in said("run", "--netwrok", "none", busybox)[1]


def test_configuration_that_cannot_be_read_is_named(pyctl: Any, tmp_path: Path) -> None:
    file = tmp_path / "pyctl.toml"
    for text, words in (("a = [", "pyctl.toml"), ('snapshoter = "native"\n', "snapshoter")):
        file.write_text(text)
        done = pyctl("ps", env={"PYCTL_TOML": str(file)}, ok=False)
        assert done.code == 125 and words in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_the_cid_file_is_never_written_over(pyctl: Any, busybox: str, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    file.write_text("mine")
    done = pyctl("run", "--rm", "--network", "none", "--cidfile", str(file), busybox, "true", ok=False)
    assert done.code == 125 and "container ID file found" in done.stderr and file.read_text() == "mine"
