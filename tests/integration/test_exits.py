"""Exit codes, streams and words of containers that ended: what a script around pyctl sees."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

ONE_MEGABYTE = bytes(range(256)) * 4096


@pytest.fixture
def run(pyctl: Any, busybox: str) -> Any:
    """``run(*flags, "--", *command)`` in the foreground, without network, removed at its end."""

    def call(*words: str, **options: Any) -> Any:
        at = words.index("--")
        flags = ("run", "--rm", "--network", "none", *words[:at])
        return pyctl(*flags, busybox, *words[at + 1 :], ok=False, **options)

    return call


@pytest.fixture
def sleeper(pyctl: Any, busybox: str, name: str) -> Any:
    """The name of a container that runs until the test is over."""
    pyctl("run", "-d", "--network", "none", "--name", name, busybox, "sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait")
    yield name
    pyctl("rm", "-f", name)


def test_the_containers_own_code_is_ours(run: Any) -> None:
    done = run("--", "sh", "-c", "exit 7")
    assert (done.code, done.raw, done.stderr) == (7, b"", "")
    assert run("--", "sh", "-c", "kill -INT $$; sleep 60").code == 130


def test_output_is_kept_apart_and_exact(run: Any) -> None:
    done = run("--", "sh", "-c", r"printf 'a\r\nb\000\377'; printf oops >&2")
    assert (done.code, done.raw, done.stderr) == (0, b"a\r\nb\0\xff", "oops")


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("/proc/version", 126, "permission denied"),
        ("/etc", 126, '"/etc"'),
        ("nosuchcommand", 127, "executable file not found in $PATH"),
        ("/no/such/file", 127, "no such file or directory"),
    ],
)
def test_what_cannot_be_executed_has_dockers_code(run: Any, command: str, code: int, words: str) -> None:
    done = run("--", command)
    assert done.code == code and words in done.stderr and done.stderr.count("\n") == 1


def test_a_megabyte_goes_in_and_comes_out(run: Any) -> None:
    assert run("-i", "--", "cat", stdin=ONE_MEGABYTE).raw == ONE_MEGABYTE


def test_without_i_standard_input_is_not_touched(pyctl: Any, busybox: str) -> None:
    command = pyctl.argv("run", "--rm", "--network", "none", busybox, "cat")
    both = ["sh", "-c", '"$@"; cat', "sh", *command]
    done = subprocess.run(both, env=pyctl.env(), input=b"for the next one\n", capture_output=True, timeout=60, check=False)
    assert done.stdout == b"for the next one\n"


def test_a_reader_that_leaves_is_no_error_worth_a_word(pyctl: Any, busybox: str) -> None:
    """``pyctl run ... | head -n 1``: we end as any program would, the container in its own time, and is removed then."""
    command = ("run", "--rm", "--network", "none", busybox, "sh", "-c", "seq 200000; exit 5")
    process = pyctl.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"1\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == -signal.SIGPIPE


def test_killed_containers_exit_with_137_and_wait_knows(pyctl: Any, sleeper: str) -> None:
    assert pyctl("kill", sleeper).out == sleeper
    assert pyctl("wait", sleeper).out == "137"
    done = pyctl("kill", sleeper, ok=False)
    assert done.code == 1 and "is not running" in done.stderr
    assert pyctl("stop", sleeper).out == sleeper


@pytest.mark.parametrize("pid", ["", "--pid=host"])
def test_every_process_of_a_container_ends_with_it(pyctl: Any, busybox: str, name: str, pid: str) -> None:
    script = "sleep 7654321 & echo up; wait"
    pyctl("run", "-d", *filter(None, [pid]), "--network", "none", "--name", name, busybox, "sh", "-c", script)
    inside = pyctl("inspect", "-f", "{{.State.Pid}}", name).stdout.strip()
    group = Path(f"/proc/{inside}/cgroup").read_text().splitlines()[0].rpartition(":")[2]
    groups = [path for path in Path("/sys/fs/cgroup").glob(f"*{group}") if path.is_dir()]
    assert groups
    pyctl("rm", "-f", name)
    assert not [path for path in groups if path.exists()]  # a cgroup cannot go while anybody is in it


def test_stop_waits_for_a_container_that_obeys(pyctl: Any, sleeper: str) -> None:
    pyctl("stop", "-t", "60", sleeper)
    assert pyctl("inspect", "-f", "{{.State.ExitCode}} {{.State.Status}}", sleeper).out == "0 exited"


def test_stop_kills_a_container_that_does_not_obey(pyctl: Any, busybox: str, name: str) -> None:
    pyctl("run", "-d", "--network", "none", "--stop-timeout", "60", "--name", name, busybox, "sleep", "1000")
    pyctl("stop", "--time=0", name)
    assert pyctl("inspect", "-f", "{{.State.ExitCode}}", name).out == "137"
    pyctl("rm", name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stop_that_is_broken_off_leaves_the_exit_to_the_keeper(pyctl: Any, busybox: str, name: str, number: int) -> None:
    """Its own process has gone when the container ends, of which nothing is left then: the leak check waits for it."""
    script = "trap 'echo asked' TERM; echo ready; while :; do sleep 1000 & wait $!; done"
    pyctl("run", "-d", "--rm", "-p", "0:80", "--name", name, busybox, "sh", "-c", script)
    reader = pyctl.popen("logs", "-f", name, stdout=subprocess.PIPE)
    assert reader.stdout.readline() == b"ready\n"
    stopping = pyctl.popen("stop", "-t", "600", name, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert reader.stdout.readline() == b"asked\n"
    stopping.send_signal(number)
    assert stopping.communicate(timeout=30)[0] == b""
    assert stopping.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    os.kill(int(pyctl("inspect", "-f", "{{.State.Pid}}", name).out), signal.SIGKILL)
    assert reader.communicate(timeout=30)[0] == b""


@pytest.mark.parametrize("how", ["stop", "restart"])
def test_an_interrupt_ends_the_wait_for_several_at_once(pyctl: Any, busybox: str, name: str, how: str) -> None:
    """Whatever they were told to wait; the containers run on."""
    names = [f"{name[:20]}-{number}" for number in (1, 2)]
    script = "trap 'echo asked' TERM; echo ready; while :; do sleep 1000 & wait $!; done"
    readers = []
    for one in names:
        pyctl("run", "-d", "--network", "none", "--restart=always", "--name", one, busybox, "sh", "-c", script)
        readers.append(pyctl.popen("logs", "-f", one, stdout=subprocess.PIPE))
        assert readers[-1].stdout.readline() == b"ready\n"
    stopping = pyctl.popen(how, "-t", "600", *names, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for reader in readers:
        assert reader.stdout.readline() == b"asked\n"
    stopping.send_signal(signal.SIGINT)
    assert stopping.communicate(timeout=30)[0] == b""
    assert stopping.returncode == 130
    assert pyctl("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", *names).out == "running 0\nrunning 0"
    is_wanted_down = '{{index .Labels "containerd.io/restart.explicitly-stopped"}}'
    wanted = pyctl("inspect", "--mode=native", "-f", is_wanted_down, *names).out.split()
    assert wanted == ["true" if how == "stop" else "false"] * 2
    pyctl("rm", "-f", *names)
    for reader in readers:
        reader.communicate(timeout=30)


def test_the_stop_signal_can_be_chosen(pyctl: Any, busybox: str, name: str) -> None:
    script = "trap 'exit 3' USR1; trap 'exit 4' USR2; echo ready; while :; do sleep 1000 & wait; done"
    flags = ("--network", "none", "--stop-signal", "SIGUSR1", "--name", name)
    _until_ready(pyctl, "run", *flags, busybox, "sh", "-c", script, then=("stop", name), code=3)
    _until_ready(pyctl, "start", "-a", name, then=("stop", "-s", "USR2", name), code=4)
    pyctl("rm", name)


def test_wait_answers_while_the_container_ends(pyctl: Any, sleeper: str) -> None:
    waiting = pyctl.popen("wait", sleeper, stdout=subprocess.PIPE)
    pyctl("kill", "-s", "TERM", sleeper)
    assert waiting.communicate(timeout=30)[0] == b"0\n"


def test_start_attached_has_the_containers_code(pyctl: Any, busybox: str, name: str) -> None:
    container = pyctl("create", "--network", "none", "--name", name, busybox, "sh", "-c", "echo out; echo err >&2; exit 9").stdout
    assert len(container) == 65
    done = pyctl("start", "-a", name, ok=False)
    assert (done.code, done.raw, done.stderr) == (9, b"out\n", "err\n")
    assert pyctl("start", name).stdout == f"{name}\n"
    assert pyctl("wait", name).stdout == "9\n"
    pyctl("rm", name)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on(pyctl: Any, busybox: str, number: int) -> None:
    name = signal.Signals(number).name.removeprefix("SIG")
    script = f"trap 'exit 42' {name}; echo ready; while :; do sleep 1000 & wait; done"
    _until_ready(pyctl, "run", "--rm", "--network", "none", busybox, "sh", "-c", script, send=number, code=42)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_while_nobody_reads_what_is_said(
    pyctl: Any, busybox: str, tmp_path: Path, number: signal.Signals
) -> None:
    """``pyctl run ... | less``."""
    script = f"trap 'echo got > /out/it; exit 7' {number.name[3:]}; yes & wait"
    command = ("run", "--rm", "--network", "none", "-v", f"{tmp_path}:/out", busybox, "sh", "-c", script)
    process = pyctl.popen(*command, stdout=subprocess.PIPE)
    # The pipe to the user is full when ours has as much as it can hold.
    size = fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ)
    deadline = time.monotonic() + 30
    while struct.unpack("i", fcntl.ioctl(process.stdout, termios.FIONREAD, b"\0" * 4))[0] < size:
        assert process.poll() is None and time.monotonic() < deadline
    process.send_signal(number)
    while not (tmp_path / "it").exists():
        assert time.monotonic() < deadline, "the signal did not arrive"
    shown = process.stdout.read()
    assert process.wait(30) == 7
    assert shown.startswith(b"y\ny\n") and set(shown) == {ord("y"), ord("\n")}


def test_signals_are_kept_with_sig_proxy_off(pyctl: Any, busybox: str, name: str) -> None:
    """The command dies of them as any program does, the container goes on."""
    script = "trap 'exit 42' TERM INT; while :; do echo ready; sleep 1 & wait; done"
    run = ("run", "--network", "none", "--name", name, "--sig-proxy=false", busybox, "sh", "-c", script)
    for command, number in ((run, signal.SIGINT), (("attach", "--sig-proxy=false", name), signal.SIGTERM)):
        process = pyctl.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
        assert (process.returncode, stderr) == (-number, b"")
    assert pyctl("inspect", "-f", "{{.State.Status}}", name).out == "running"
    pyctl("rm", "-f", name)


def _until_ready(pyctl: Any, *command: str, code: int, send: int = 0, then: tuple[str, ...] = ()) -> None:
    """Start a foreground container, wait for its first line, send a signal or run a command, and check the exit code."""
    process = pyctl.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n", process.stderr.read()
    if send:
        process.send_signal(send)
    else:
        pyctl(*then)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (code, b"")


def test_exec_has_the_commands_own_code_and_streams(pyctl: Any, sleeper: str) -> None:
    done = pyctl("exec", sleeper, "sh", "-c", r"printf 'a\0'; echo b >&2; exit 3", ok=False)
    assert (done.code, done.raw, done.stderr) == (3, b"a\0", "b\n")
    assert pyctl("exec", "-i", sleeper, "cat", stdin=ONE_MEGABYTE).raw == ONE_MEGABYTE
    script = "id -u; id -g; pwd; echo $A; echo $B"
    done = pyctl("exec", "-u", "1:2", "-w", "/tmp", "-e", "A=b c", "-e", "B", sleeper, "sh", "-c", script, env={"B": "mine"})
    assert done.stdout.splitlines() == ["1", "2", "/tmp", "b c", "mine"]


@pytest.mark.parametrize("leaving", ["killed", "reader left"])
def test_an_exec_whose_user_is_gone_goes_on(pyctl: Any, sleeper: str, leaving: str) -> None:
    """Docker throws away what it says; more than a pipe holds must not stop it."""
    script = "seq 100000; seq 100000 >&2; echo over > /over"
    process = pyctl.popen("exec", sleeper, "sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"1\n"
    if leaving == "killed":
        process.kill()
    process.stdout.close()
    process.stderr.close()
    assert process.wait(30) == (-signal.SIGKILL if leaving == "killed" else -signal.SIGPIPE)
    patient = "n=0; until [ -e /over ] || [ $n -gt 100 ]; do n=$((n + 1)); usleep 100000; done; cat /over"
    assert pyctl("exec", sleeper, "sh", "-c", patient).out == "over"


def test_exec_in_the_background_says_nothing_and_happens(pyctl: Any, sleeper: str) -> None:
    pyctl("exec", sleeper, "mkfifo", "/done")
    assert pyctl("exec", "-d", sleeper, "sh", "-c", "echo yes > /done").raw == b""
    assert pyctl("exec", sleeper, "cat", "/done").out == "yes"


@pytest.mark.parametrize(
    ("flags", "command", "code", "words"),
    [
        ((), "nosuchcommand", 127, "executable file not found in $PATH"),
        ((), "/etc", 126, '"/etc"'),
        (("-w", "/nowhere"), "true", 126, "no such file or directory"),
        (("-w", "relative"), "true", 126, "must be an absolute path"),
        (("-d",), "nosuchcommand", 1, "executable file not found in $PATH"),
        (("-d", "-u", "nobodyx"), "true", 1, "unable to find user nobodyx: no matching entries in passwd file"),
        (("-u", "nobodyx"), "true", 126, "unable to find user nobodyx: no matching entries in passwd file"),
        (("--env-file", "/no/where"), "true", 1, "open /no/where: no such file or directory"),
        (("-it",), "true", 1, "the input device is not a TTY"),
    ],
)
def test_exec_that_cannot_start_says_so_in_one_line(
    pyctl: Any, sleeper: str, flags: tuple[str, ...], command: str, code: int, words: str
) -> None:
    done = pyctl("exec", *flags, sleeper, command, ok=False)
    assert done.code == code and words.lower() in done.stderr.lower() and done.stderr.count("\n") == 1 and done.raw == b""


def test_exec_needs_a_running_container(pyctl: Any, busybox: str, name: str) -> None:
    container = pyctl("create", "--network", "none", "--name", name, busybox, "true").out
    done = pyctl("exec", name, "true", ok=False)
    assert done.code == 1 and f"container {container} is not running" in done.stderr.lower()
    pyctl("rm", name)
