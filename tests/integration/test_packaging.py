"""What is built, installed and extended by outsiders: wheels in a fresh virtual environment, run as a user would."""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from tests.integration.engines import Engine
from tests.integration.isolation import Outside

if TYPE_CHECKING:
    from tests.integration.conftest import Pyctl

pytestmark = pytest.mark.integration

EXAMPLE = "contrib/example-plugin"
SNAPSHOTTER = "tests/integration/outsiders/snapshotter"


def build(source: str, into: str) -> str:
    """The wheel of a distribution; its sdist stands beside it."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", into, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = glob.glob(f"{into}/*.whl")
    return wheel


@pytest.fixture(scope="session")
def wheel(project: str, workshop: str) -> str:
    return build(project, f"{workshop}/dist")


def install(path: str, outside: Outside, *wheels: str) -> str:
    """``bin`` of a new virtual environment with these wheels, and what they depend on from the package index."""
    subprocess.run([sys.executable, "-m", "venv", path], check=True)
    pip = [f"{path}/bin/pip", "install", "--quiet", "--disable-pip-version-check", *wheels]
    subprocess.run(outside.command(*pip), check=True)
    return f"{path}/bin"


@pytest.fixture(scope="session")
def fresh(wheel: str, workshop: str, outside: Outside) -> str:
    return install(f"{workshop}/venv", outside, wheel)


@pytest.fixture(scope="session")
def extended(project: str, wheel: str, workshop: str, outside: Outside) -> str:
    """The same with two outsiders: distributions that know ``pyctl_hookspecs`` and nothing else of ours."""
    outsiders = [build(f"{project}/{source}", f"{workshop}/{os.path.basename(source)}") for source in (EXAMPLE, SNAPSHOTTER)]
    return install(f"{workshop}/extended", outside, wheel, *outsiders)


def test_the_wheel_holds_three_packages_their_data_and_the_generated_code(wheel: str) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"pyctl", "pyctl_hookspecs", "pyctl_plugins"}
    assert "pyctl/spec/seccomp_default.json" in names
    assert "pyctl_hookspecs/py.typed" in names
    assert any(name.startswith("pyctl/containerd/_api/") and name.endswith("_pb2.py") for name in names)


def test_the_sdist_holds_sources_only(wheel: str) -> None:
    (path,) = glob.glob(f"{os.path.dirname(wheel)}/*.tar.gz")
    with tarfile.open(path) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]

    assert {"README.md", "LICENSE", "pyproject.toml", "hatch_build.py", "tests/run", "contrib/quickstart"} <= set(names)
    assert not [name for name in names if "/_api/" in name or name.endswith(".pyc")]


@pytest.mark.parametrize("command", [["pyctl"], ["python", "-m", "pyctl"]], ids=["script", "module"])
def test_the_installed_command_says_its_version(fresh: str, command: list[str]) -> None:
    argv = [f"{fresh}/{command[0]}", *command[1:], "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/")

    assert done.stdout.startswith("pyctl version 0.1.0")
    assert done.stderr == ""


def test_the_installed_command_runs_a_container(pyctl: Pyctl, fresh: str, busybox: str) -> None:
    installed = pyctl.installed_at(f"{fresh}/pyctl")

    assert installed("run", "--rm", busybox, "echo", "from a wheel").stdout == "from a wheel\n"


def test_an_outsider_replaces_the_bridge(pyctl: Pyctl, extended: str, busybox: str) -> None:
    installed = pyctl.installed_at(f"{extended}/pyctl")
    shown = installed("run", "--rm", busybox, "ip", "address", "show", "eth0").stdout
    built_in = installed("run", "--rm", busybox, "ip", "address", "show", "eth0", env={"PYCTL_PLUGINS_OFF": "1"}).stdout

    assert "inet 10.200." in shown
    assert "inet 10.4.0." in built_in


def test_an_outsider_can_refuse_before_anything_is_made(pyctl: Pyctl, extended: str, busybox: str) -> None:
    installed = pyctl.installed_at(f"{extended}/pyctl")
    done = installed("run", "--rm", "-p", "8080:80", busybox, "true", ok=False)

    assert done.code == 125
    assert done.stderr.strip() == "pyctl: network bridge (pyctl-network-cable) cannot publish ports"


def test_an_outsider_replaces_the_snapshotter(pyctl: Pyctl, extended: str, busybox: str, engine: Engine, name: str) -> None:
    installed = pyctl.installed_at(f"{extended}/pyctl")
    container_id = installed("create", "--name", name, busybox, "true").out
    labels = json.loads(engine.ctr("snapshots", "info", container_id))["Labels"]
    installed("rm", name)

    assert labels["example.com/prepared-by"] == "outsider"


def test_plugin_ls_says_who_replaces_whom(pyctl: Pyctl, extended: str) -> None:
    listed = pyctl.installed_at(f"{extended}/pyctl")("plugin", "ls").stdout

    rows = [line.split() for line in listed.splitlines()]
    assert [row for row in rows if row[:2] == ["network", "bridge"] and "pyctl-network-cable" in row]
    assert [row for row in rows if row[:2] == ["snapshotter", "overlayfs"] and "pyctl-snapshotter-labelled" in row]
