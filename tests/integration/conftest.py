"""Fixtures of the integration tests: private containerd 1.6 and 2.x, a registry, images, the command, a leak check.

Every test that asks for ``engine`` (or for anything built on it) runs once per containerd version. The session
lives in namespaces of its own (``isolation``), so ``127.0.0.1`` and the nft ruleset are the tests' alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from tests.integration import engines, images, isolation, leaks
from tests.integration.engines import Engine

_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


@dataclass(frozen=True)
class Done:
    """A finished command. ``raw`` is standard output byte for byte."""

    code: int
    raw: bytes
    stderr: str

    @property
    def stdout(self) -> str:
        return self.raw.decode()

    @property
    def out(self) -> str:
        """Standard output without the white space around it."""
        return self.stdout.strip()


class Pyctl:
    """The installed command, told to use one engine only."""

    def __init__(self, engine: Engine, home: str, executable: str) -> None:
        self._engine, self._home = engine, home
        self.executable = executable
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "COVERAGE_PROCESS_START") if name in os.environ}
        self._env = {**keep, "HOME": home, "PYCTL_TOML": f"{home}/pyctl.toml"}

    def installed_at(self, executable: str) -> Pyctl:
        """The same engine, another installation of the command."""
        return Pyctl(self._engine, self._home, executable)

    def argv(self, *args: str) -> list[str]:
        return [self.executable, *self._engine.flags, *args]

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**self._env, **(extra or {})}

    def __call__(
        self,
        *args: str,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        ok: bool = True,
        timeout_s: float = 60,
    ) -> Done:
        """Run ``pyctl ARGS`` to its end. With ``ok`` any exit code but 0 fails the test and shows standard error."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        done = subprocess.run(self.argv(*args), env=self.env(env), capture_output=True, timeout=timeout_s, check=False, **given)
        result = Done(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
        if ok and result.code != 0:
            raise AssertionError(f"pyctl {' '.join(args)}: exit code {result.code}\n{result.stderr}{result.stdout}")
        return result

    def popen(self, *args: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """The command, started and left running; the test waits for it."""
        return subprocess.Popen(self.argv(*args), env=self.env(env), **options)


@pytest.fixture(scope="session")
def outside() -> Iterator[isolation.Outside]:
    """Entered once: from here on this process has a network and mounts of its own. ``outside.command`` leads back."""
    way_back = isolation.enter()
    yield way_back
    way_back.leave()


@pytest.fixture(scope="session")
def workshop(outside: isolation.Outside) -> Iterator[str]:
    """A directory for the session: short, because socket paths end at 107 bytes."""
    path = tempfile.mkdtemp(prefix="pyctl-it-")
    yield path
    engines.remove_tree(path)


@pytest.fixture(scope="session")
def registry(workshop: str) -> Iterator[images.Registry]:
    """A registry on loopback, plain http; ``push`` fills it. It also answers for docker.io (see ``engine``)."""
    server = images.Registry(f"{workshop}/registry")
    yield server
    server.stop()


@pytest.fixture(scope="session", params=engines.VERSIONS)
def engine(request: pytest.FixtureRequest, workshop: str, registry: images.Registry) -> Iterator[Engine]:
    """A private containerd of each version, with a containerd namespace nobody else uses.

    runc keeps its state below a directory that every containerd of a machine shares, one folder per namespace.
    """
    version: str = request.param
    namespace = f"t{version.replace('.', '')}-{os.getpid()}"
    running = engines.start(version, f"{workshop}/{version}", namespace)
    mirror = f"{running.hosts_dir}/docker.io"
    os.makedirs(mirror)
    with open(f"{mirror}/hosts.toml", "w") as hosts:
        hosts.write(f'server = "http://{registry.host}"\n[host."http://{registry.host}"]\n  capabilities = ["pull", "resolve"]\n')
    yield running
    engines.stop(running)


@pytest.fixture(scope="session")
def pyctl(engine: Engine, workshop: str) -> Pyctl:
    """``pyctl("run", "--rm", busybox, "true")``: see ``Pyctl.__call__``."""
    home = f"{workshop}/home"
    os.makedirs(home, exist_ok=True)
    with open(f"{home}/pyctl.toml", "w"):
        pass  # empty: the machine's own configuration must not matter
    command = Pyctl(engine, home, os.path.join(os.path.dirname(sys.executable), "pyctl"))
    assert os.path.exists(command.executable), f"{command.executable} is missing: install the project (pip install -e .)"
    return command


@pytest.fixture(scope="session")
def busybox_ref(registry: images.Registry) -> str:
    """Reference of the busybox image in the registry (also as ``busybox`` through the docker.io mirror)."""
    return registry.push("library/busybox", [images.busybox_layer()], config={"Cmd": ["sh"]})


@pytest.fixture(scope="session")
def nginx_ref(registry: images.Registry) -> str:
    """Reference of an nginx image in the registry: two layers, 80/tcp exposed. Two hundred megabytes: use sparingly."""
    config = {"Cmd": ["nginx", "-g", "daemon off;"], "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT"}
    return registry.push("library/nginx", images.nginx_layers(engines.CACHE), config=config)


@pytest.fixture(scope="session")
def busybox(engine: Engine, busybox_ref: str) -> str:
    """Reference of a busybox image that this engine has already, pulled without pyctl's help."""
    engine.ctr("images", "pull", "--plain-http", busybox_ref)
    return busybox_ref


@pytest.fixture(scope="session")
def nginx(engine: Engine, nginx_ref: str) -> str:
    """Reference of an nginx image that this engine has already."""
    engine.ctr("images", "pull", "--plain-http", nginx_ref)
    return nginx_ref


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A container name that says which test it belongs to."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)[:50].strip("-")


@pytest.fixture(autouse=True)
def leave_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test that uses an engine: fail it and name whatever is there and was not there before."""
    if "engine" not in request.fixturenames:
        yield
        return
    engine: Engine = request.getfixturevalue("engine")
    for image in ("busybox", "nginx"):
        if image in request.fixturenames:
            request.getfixturevalue(image)
    before = leaks.census(engine)
    yield
    failed = request.node.stash.get(_failed, True)
    found = leaks.new(before, engine, deadline_s=0 if failed else 15)
    if found:
        _sweep(request.getfixturevalue("pyctl"))
        assert failed, "left behind: " + "; ".join(found)


def _sweep(pyctl: Callable[..., Done]) -> None:
    """Remove containers so that one test's leak does not become the next one's."""
    containers = pyctl("ps", "-aq", ok=False).stdout.split()
    if containers:
        pyctl("rm", "-f", "-v", *containers, ok=False)


@pytest.fixture(scope="session")
def project() -> str:
    """The checkout under test."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
