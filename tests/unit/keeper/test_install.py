"""The copy below the data root: complete, free of anything but the standard library, and renewed when it must be."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pyctl.keeper import install, log_uri, wire

if TYPE_CHECKING:
    from tests.unit.keeper.conftest import Keeper


def test_the_uri_names_an_executable_outside_this_environment(tmp_path: Path) -> None:
    uri = urlsplit(log_uri(f"{tmp_path}/ro #?ot", f"{tmp_path}/ro #?ot/ab%cd"))
    program = unquote(uri.path)
    assert (uri.scheme, uri.netloc, uri.fragment, program) == ("binary", "", "", f"{tmp_path}/ro #?ot/bin/pyctl-log")
    assert uri.query == f"{wire.MAGIC}={tmp_path}/ro%20%23%3Fot/ab%25cd"
    assert os.access(program, os.X_OK)
    assert sys.prefix not in Path(program).read_text() or sys.prefix == sys.base_prefix


def test_installing_again_changes_nothing(tmp_path: Path) -> None:
    program, is_new = install.install(str(tmp_path))
    assert is_new
    before = os.stat(program).st_ino
    assert install.install(str(tmp_path)) == (program, False)
    assert os.stat(program).st_ino == before
    assert stat.S_IMODE(os.stat(program).st_mode) == 0o755


def test_a_copy_of_another_build_is_replaced_and_a_newer_revision_is_left_alone(tmp_path: Path) -> None:
    program = Path(install.install(str(tmp_path))[0])
    text = program.read_text()
    build = text.split("\n")[1].split()[3]
    program.write_text(text.replace(build, "00000000"))
    install.install(str(tmp_path))
    assert program.read_text() == text
    newer = text.replace(f"# build {install.REVISION}", f"# build {install.REVISION + 1}")
    program.write_text(newer)
    install.install(str(tmp_path))
    assert program.read_text() == newer


def test_a_new_build_takes_over_from_a_running_keeper(keeper: Keeper) -> None:
    log_uri(keeper.data_root, keeper.data_store, runtime_dir=keeper.runtime_dir)
    ports = keeper("hold_ports", ports=[["127.0.77.8", 0, "tcp"]])["ports"]
    before = keeper("ping")["pid"]
    program = Path(keeper.data_root, "bin", "pyctl-log")
    program.write_text(program.read_text().replace(f"# build {install.REVISION} ", f"# build {install.REVISION} 0"))
    log_uri(keeper.data_root, keeper.data_store, runtime_dir=keeper.runtime_dir)
    status = keeper.status()
    assert status["pid"] != before
    assert status["ports"] == {"ns-c1": ports}


def test_a_keeper_keeps_nothing_of_whoever_started_it(keeper: Keeper) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        pid = keeper("ping")["pid"]
    finally:
        signal.signal(signal.SIGTERM, old)
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    pidfd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGTERM)
    assert select.select([pidfd], [], [], 10)[0]
    os.close(pidfd)


def test_a_keeper_that_ends_leaves_no_socket(keeper: Keeper) -> None:
    keeper("ping")
    run_dir = wire.run_dir(keeper.data_store, keeper.runtime_dir)
    assert os.listdir(run_dir) == ["keeper.sock"]
    keeper.stop()
    assert not os.path.exists(run_dir)


def test_the_copy_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    code_dir = install.code_dir(str(tmp_path))
    check = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pyctl_keeper.server, pyctl_keeper.dns, pyctl_keeper.logbin\n"
        "strange = [n for n in sys.modules if n.split('.')[0] not in {*sys.stdlib_module_names, 'pyctl_keeper', '__main__'}]\n"
        "assert not strange, strange\n"
        "heavy = {'socket', 'subprocess', 'ctypes', 'typing', 'asyncio', 'logging', 'pathlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", check, code_dir], check=True)


def test_the_log_binary_loads_little(tmp_path: Path) -> None:
    check = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pyctl_keeper.logbin\n"
        "heavy = {'json', 're', 'enum', 'socket', 'struct', 'fcntl'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", check, install.code_dir(str(tmp_path))], check=True)


def test_run_directories_of_two_data_roots_differ_and_are_short() -> None:
    one = wire.run_dir("/var/lib/nerdctl/1935db59", "/run/pyctl")
    two = wire.run_dir(f"/{'x' * 200}/1935db59", "/run/pyctl")
    assert one != two
    assert len(f"{two}/keeper.sock") < 60


def test_every_module_of_the_keeper_is_in_the_copy_unless_only_commands_use_it() -> None:
    here = Path(install.__file__).parent
    assert {path.stem for path in here.glob("*.py")} - {"client", "install"} == set(install.MODULES)
