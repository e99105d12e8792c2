"""``run`` and what follows it, as a script would use them: names, identities, logs, batches, crowds, and an engine that dies."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration import engines
from tests.integration.conftest import Pyctl

pytestmark = pytest.mark.integration

NO_NETWORK = ("--network", "none")


def test_detached_prints_the_id_and_nothing_else(pyctl: Any, busybox: str, name: str) -> None:
    done = pyctl("run", "-d", *NO_NETWORK, "--name", name, busybox, "sh", "-c", "echo out; echo err >&2")
    assert len(done.stdout) == 65 and done.stdout.endswith("\n") and done.stderr == ""
    assert pyctl("wait", name).out == "0"
    assert pyctl("ps", "-aq", "--no-trunc").out == done.out
    assert pyctl("rm", name).stdout == f"{name}\n"


def test_rm_removes_at_the_end_and_so_in_the_background(pyctl: Any, busybox: str, name: str) -> None:
    """Anonymous volumes too: the leak check waits for it."""
    assert pyctl("run", "--rm", "-v", "/data", *NO_NETWORK, busybox, "echo", "hi").stdout == "hi\n"
    pyctl("run", "-d", "--rm", "-v", "/data", "--name", name, busybox, "true")


def test_a_temporary_container_is_gone_once_it_was_stopped(pyctl: Any, busybox: str, name: str) -> None:
    """Its name is free for the next; a restart keeps it, as in Docker."""
    for _ in range(2):
        pyctl("run", "-d", "--rm", "-v", "/data", *NO_NETWORK, "--name", name, busybox, "sleep", "1000")
        assert pyctl("restart", "-t", "0", name).out == name
        assert pyctl("inspect", "-f", "{{.State.Status}}", name).out == "running"
        assert pyctl("stop", "-t", "0", name).out == name
        assert (pyctl("ps", "-aq").out, pyctl("volume", "ls", "-q").out) == ("", "")


def test_a_temporary_container_whose_command_was_killed_is_reconciled(pyctl: Any, busybox: str, name: str) -> None:
    command = ("sh", "-c", "echo ready; exec sleep 1000")
    front = pyctl.popen("run", "--rm", "-v", "/data", *NO_NETWORK, "--name", name, busybox, *command, stdout=subprocess.PIPE)
    assert front.stdout.readline() == b"ready\n"
    front.kill()
    front.communicate(timeout=30)
    pyctl("kill", name)
    pyctl("wait", name)
    pyctl("system", "reconcile")
    assert (pyctl("ps", "-aq").out, pyctl("volume", "ls", "-q").out) == ("", "")


def test_a_name_is_taken_once(pyctl: Any, busybox: str, name: str) -> None:
    first = pyctl("create", *NO_NETWORK, "--name", name, busybox).out
    done = pyctl("run", *NO_NETWORK, "--name", name, busybox, ok=False)
    assert done.code == 125 and done.stderr == (
        f'pyctl: Conflict. The container name "/{name}" is already in use by container "{first}". '
        "You have to remove (or rename) that container to be able to reuse that name.\n"
    )
    pyctl("rm", name)


def test_ids_may_be_shortened_as_long_as_they_are_clear(pyctl: Any, busybox: str) -> None:
    made = [pyctl("create", *NO_NETWORK, busybox).out for _ in range(17)]  # two of seventeen share a hexadecimal digit
    firsts = [container[0] for container in made]
    shared = next(digit for digit in firsts if firsts.count(digit) > 1)
    done = pyctl("rm", shared, ok=False)
    assert done.code == 1 and "Multiple IDs found with provided prefix" in done.stderr
    assert pyctl("inspect", "-f", "{{.Id}}", made[0][:12]).out == made[0]
    pyctl("rm", *(container[:12] for container in made))


def test_a_batch_does_what_it_can_and_reports_the_rest(pyctl: Any, busybox: str, name: str) -> None:
    for suffix in "ab":
        pyctl("create", *NO_NETWORK, "--name", f"{name}-{suffix}", busybox)
    done = pyctl("rm", f"{name}-a", "nobody", f"{name}-b", ok=False)
    assert (done.code, done.stderr) == (1, "pyctl: No such container: nobody\n")
    assert sorted(done.stdout.split()) == [f"{name}-a", f"{name}-b"]
    assert pyctl("ps", "-aq").out == ""


def test_a_running_container_is_removed_by_force_only(pyctl: Any, busybox: str, name: str) -> None:
    pyctl("run", "-d", *NO_NETWORK, "--name", name, busybox, "sleep", "1000")
    done = pyctl("rm", name, ok=False)
    assert done.code == 1 and "running" in done.stderr
    assert pyctl("rm", "-f", name).out == name


def test_files_for_the_id_and_the_process_are_written(pyctl: Any, busybox: str, name: str, tmp_path: Path) -> None:
    files = ("--cidfile", f"{tmp_path}/cid", "--pidfile", f"{tmp_path}/pid")
    container = pyctl("run", "-d", *NO_NETWORK, *files, "--name", name, "-l", "a=b c", busybox, "sleep", "1000").out
    assert (tmp_path / "cid").read_text() == container
    shown = pyctl("inspect", "-f", '{{.State.Pid}} {{index .Config.Labels "a"}} {{.Name}}', name).out
    assert shown == f"{(tmp_path / 'pid').read_text()} b c /{name}"
    pyctl("rm", "-f", name)


def test_another_runtime_runs_it(pyctl: Any, busybox: str) -> None:
    """Debian 12's crun refuses the hybrid cgroup hierarchy; then its own words must arrive."""
    done = pyctl("run", "--rm", *NO_NETWORK, "--runtime", "crun", busybox, "echo", "hi", ok=False)
    if os.path.exists("/sys/fs/cgroup/unified"):
        assert done.stdout == "hi\n" or (done.code == 125 and "cgroups in hybrid mode not supported" in done.stderr)
    else:
        assert done.stdout == "hi\n", done.stderr


def test_logs_keep_the_streams_apart_and_take_the_tail(pyctl: Any, busybox: str, name: str) -> None:
    pyctl("run", *NO_NETWORK, "--name", name, busybox, "sh", "-c", "for i in 1 2 3; do echo o$i; done; echo e >&2")
    done = pyctl("logs", name)
    assert (done.stdout, done.stderr) == ("o1\no2\no3\n", "e\n")
    assert pyctl("logs", "--tail", "0", name).stdout == "" and pyctl("logs", "-n", "all", name).stdout == "o1\no2\no3\n"
    stamp, text = pyctl("logs", "-t", name).stdout.splitlines()[0].split(" ")
    assert text == "o1" and stamp.endswith("Z") and len(stamp) == 30
    assert pyctl("logs", "--until", stamp[:19] + "Z", "--since", "2001-01-01", name).stdout == ""
    assert pyctl("logs", "--since", "1h", name).stdout == "o1\no2\no3\n"
    pyctl("rm", name)


def test_a_followed_log_ends_with_the_container(pyctl: Any, busybox: str, name: str) -> None:
    pyctl("run", "-d", *NO_NETWORK, "--name", name, busybox, "sh", "-c", "trap 'echo bye; exit' TERM; echo hi; sleep 1000 & wait")
    log = pyctl.popen("logs", "-f", name, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert log.stdout.readline() == b"hi\n"
    pyctl("stop", name)
    assert log.communicate(timeout=30) == (b"bye\n", b"") and log.returncode == 0
    pyctl("rm", name)


def test_of_eight_with_one_name_one_wins(pyctl: Any, busybox: str, name: str) -> None:
    command = ("run", "-d", *NO_NETWORK, "--name", name, busybox, "sleep", "1000")
    crowd = [pyctl.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    told = [(*process.communicate(timeout=120), process.returncode) for process in crowd]
    won = [out.decode().strip() for out, _, code in told if code == 0]
    assert len(won) == 1, told
    assert all(code == 125 and b"is already in use by container" in err for out, err, code in told if code)
    assert pyctl("ps", "-aq", "--no-trunc").out == won[0]
    pyctl("rm", "-f", name)


def test_twenty_at_once_have_ports_and_addresses_of_their_own(pyctl: Any, busybox: str) -> None:
    command = ("run", "-d", "-p", "127.0.0.1:0:80", busybox, "sleep", "1000")
    crowd = [pyctl.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(20)]
    told = [(*process.communicate(timeout=200), process.returncode) for process in crowd]
    assert all(code == 0 for _, _, code in told), told
    made = [out.decode().strip() for out, _, _ in told]
    shown = '{{.NetworkSettings.IPAddress}} {{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}'
    pairs = [line.split() for line in pyctl("inspect", "-f", shown, *made).stdout.splitlines()]
    assert len({address for address, _ in pairs}) == len({port for _, port in pairs}) == 20
    assert len(pyctl("rm", "-f", *made).stdout.splitlines()) == 20


@pytest.fixture(params=engines.VERSIONS)
def fragile(request: pytest.FixtureRequest, workshop: str) -> Iterator[Any]:
    """pyctl with a containerd of its own, which the test may kill."""
    base = f"{workshop}/f{request.param}"
    engine = engines.start(request.param, base, f"f{request.param.replace('.', '')}-{os.getpid()}")
    home = f"{workshop}/home"
    os.makedirs(home, exist_ok=True)
    with open(f"{home}/pyctl.toml", "w"):
        pass
    command: Pyctl = request.getfixturevalue("installed")
    yield Pyctl(engine, home, command), engine  # type: ignore[arg-type]
    engines.stop(engine)


@pytest.fixture(scope="session")
def installed() -> str:
    """The command beside the interpreter that runs the tests."""
    import sys

    return os.path.join(os.path.dirname(sys.executable), "pyctl")


def test_commands_that_wait_say_in_one_line_that_the_engine_is_gone(fragile: Any, busybox_ref: str) -> None:
    pyctl, engine = fragile
    pyctl("pull", "-q", busybox_ref)
    script = "echo ready; exec sleep 1000"
    run = pyctl.popen(
        "run", *NO_NETWORK, "--name", "one", busybox_ref, "sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert run.stdout.readline() == b"ready\n"
    wait = pyctl.popen("wait", "one", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    log = pyctl.popen("logs", "-f", "one", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert log.stdout.readline() == b"ready\n"
    engine.process.kill()
    engine.process.wait()
    for process, code in ((run, 125), (wait, 1)):
        _, stderr = process.communicate(timeout=60)
        told = stderr.decode().splitlines()
        assert process.returncode == code and told and told[0].startswith("pyctl: "), (process.args, process.returncode, stderr)
        assert not any("internal error" in line or "Traceback" in line for line in told), stderr
    log.terminate()  # it reads a file, which goes on whether or not the engine does
    assert b"Traceback" not in log.communicate(timeout=30)[1]


def test_a_full_disk_stops_a_pull_in_one_line(workshop: str, installed: str, busybox_ref: str) -> None:
    """The engine's root is a file system too small for the image."""
    base = f"{workshop}/full"
    os.makedirs(f"{base}/root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", f"{base}/root"], check=True)
    engine = engines.start("1.6", base, f"full-{os.getpid()}")
    try:
        home = f"{workshop}/home"
        os.makedirs(home, exist_ok=True)
        with open(f"{home}/pyctl.toml", "w"):
            pass
        done = Pyctl(engine, home, installed)("pull", "-q", busybox_ref, ok=False)
        assert done.code == 1 and "no space left on device" in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    finally:
        engines.stop(engine)
