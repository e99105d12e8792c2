"""A random walk: several users at once, kills and Ctrl-C among them. Not part of the usual run; it finds what nobody thought of.

``pytest tests/integration/random_walk.py``; ``WALK_SEED`` (default 1), ``WALK_SECONDS`` (60), ``WALK_USERS`` (5) and
``WALK_RESTARTS`` (0: containerd stays, 1: it is killed and started again every now and then) are environment variables, and
``WALK_TOML`` is what pyctl's configuration file says (nothing).
The order of things depends on the machine, so a seed does not repeat a walk exactly.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration import engines, leaks
from tests.integration.conftest import Pyctl
from tests.integration.engines import Engine

pytestmark = pytest.mark.integration

CONTAINERS = [f"walk{number}" for number in range(7)]
NETWORKS = ["walk-a", "walk-b", "walk-c"]
FOREIGN = "walk-cni"  # its conflist is not ours: the real CNI binaries set it up
VOLUMES = ["walk-v", "walk-w"]
PROGRAMS = [["sleep", "300"], ["sleep", "300"], ["sleep", "300"], ["true"], ["sh", "-c", "sleep 0.3; exit 3"], ["nosuch"]]
_SLOW_S = 15.0 if os.environ.get("WALK_RESTARTS", "0") != "0" else 8.0  # containerd itself waits while it comes back
_IN_THE_SCRIPT = r'/pyctl", line \d+, in <module>\n(?: +from|(?: +(?!File)[^\n]*\n)*KeyboardInterrupt)'
_NOT_OURS = re.compile(
    f"Fatal Python error|<frozen (site|zipimport)>|failed to set __main__|Exception ignored in|{_IN_THE_SCRIPT}"
)


@pytest.fixture
def foreign(engine: Engine, tmp_path: Path) -> Iterator[None]:
    """A network whose conflist is not ours."""
    pool = {"type": "host-local", "dataDir": str(tmp_path / "pool"), "subnet": "10.76.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}
    plugins = [
        {"type": "ptp", "ipMasq": True, "ipam": pool},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    path = Path(engine.netconf_path) / "50-walk.conflist"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cniVersion": "1.0.0", "name": FOREIGN, "plugins": plugins}))
    yield
    path.unlink()
    assert not [lease for lease in (tmp_path / "pool" / FOREIGN).iterdir() if lease.name[0].isdigit()]


def test_a_random_walk_leaves_nothing_and_confuses_nothing(pyctl: Pyctl, engine: Engine, busybox: str, foreign: None) -> None:
    Path(pyctl.env()["PYCTL_TOML"]).write_text(os.environ.get("WALK_TOML", ""))
    for network in ("bridge", FOREIGN):
        pyctl("run", "--rm", "--network", network, "-p", "0:80", busybox, "true")
    before = leaks.census(engine)
    for network in NETWORKS:
        pyctl("network", "create", network)
    walk = Walk(pyctl, engine, busybox)
    walk.go()
    pyctl("system", "reconcile")
    pyctl("network", "repair")
    contradictions = _soon(lambda: _contradictions(pyctl))
    everybody = pyctl("ps", "-aq").out.split()
    if everybody:
        pyctl("rm", "-f", "-v", *everybody)
    for network in pyctl("network", "ls", "-q", "--filter", "name=walk-").out.split():
        pyctl("network", "rm", network)
    for volume in pyctl("volume", "ls", "-q").out.split():
        pyctl("volume", "rm", volume)
    left = leaks.new(before, engine)
    for one in (*walk.complaints, *contradictions, *left):
        print(one)
    assert (walk.complaints, contradictions, left) == ([], [], [])


class Walk:
    """``complaints`` are commands that crashed, or took longer than anything they might wait for."""

    def __init__(self, pyctl: Pyctl, engine: Engine, image: str) -> None:
        self._pyctl, self._engine, self._image = pyctl, engine, image
        self._seed = int(os.environ.get("WALK_SEED", "1"))
        self._seconds = float(os.environ.get("WALK_SECONDS", "60"))
        self._restarts = os.environ.get("WALK_RESTARTS", "0") != "0"
        self.complaints: list[str] = []

    def go(self) -> None:
        users = int(os.environ.get("WALK_USERS", "5"))
        until = time.monotonic() + self._seconds
        threads = [threading.Thread(target=self._user, args=(number, until)) for number in range(users)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _user(self, number: int, until: float) -> None:
        dice = random.Random(self._seed * 1000 + number)
        while time.monotonic() < until:
            if number == 0 and self._restarts and dice.random() < 0.05:
                print(f"{time.monotonic():.3f} kill containerd")
                self._engine.restart()
                print(f"{time.monotonic():.3f} containerd is back")
            elif dice.random() < 0.02:
                dice.choice([self._flush, self._crash, self._kill_keeper])(dice)
            else:
                self._command(dice, self._draw(dice))

    def _draw(self, dice: random.Random) -> list[str]:
        one, network = dice.choice(CONTAINERS), dice.choice([*NETWORKS, FOREIGN])
        commands: list[tuple[int, list[str]]] = [
            (32, self._run(dice, one)),
            (4, ["create", *self._run(dice, one)[2:]]),
            (16, ["rm", "-f", *dice.choice([[], ["-v"]]), *dice.sample(CONTAINERS, dice.choice([1, 1, 2, 4]))]),
            (7, ["stop", "-t", "0", one]),
            (7, ["start", one]),
            (4, ["restart", "-t", "0", one]),
            (4, ["kill", one]),
            (6, ["network", "create", *self._network_flags(dice), dice.choice(NETWORKS)]),
            (3, ["network", "rm", dice.choice(NETWORKS)]),
            (1, ["network", "prune", "-f"]),
            (6, ["network", "connect", network, one]),
            (5, ["network", "disconnect", *dice.choice([[], ["-f"]]), network, one]),
            (3, ["exec", *dice.choice([[], ["-i"]]), one, "true"]),
            (1, ["volume", "rm", dice.choice(VOLUMES)]),
            (1, ["system", "reconcile"]),
            (1, ["network", "repair"]),
            (1, ["ps", "-a"]),
            (1, ["inspect", one]),
            (1, ["logs", one]),
            (1, ["port", one]),
        ]
        (drawn,) = dice.choices([command for _, command in commands], [weight for weight, _ in commands])
        return drawn

    def _run(self, dice: random.Random, name: str) -> list[str]:
        network = dice.choice([*NETWORKS, "bridge", "bridge", FOREIGN, "none", "host", f"container:{dice.choice(CONTAINERS)}"])
        flags = [dice.choice(["-d", "-d", "-d", "-i"]), "--name", name, "--network", network]
        if network in NETWORKS and dice.random() < 0.5:
            flags += ["--network", dice.choice([other for other in [*NETWORKS, FOREIGN] if other != network])]
        if network in NETWORKS and dice.random() < 0.3:
            flags += ["--network-alias", f"alias-{dice.randrange(3)}"]
        if dice.random() < 0.3:
            flags.append("--rm")
        elif dice.random() < 0.3:
            flags += ["--restart", dice.choice(["always", "on-failure:2"])]
        if network in ("bridge", FOREIGN, *NETWORKS) and dice.random() < 0.4:
            flags += ["-p", "0:80"]
        if dice.random() < 0.4:
            flags += ["-v", dice.choice(["/anonymous", *(f"{volume}:/data" for volume in VOLUMES)])]
        return ["run", *flags, self._image, *dice.choice(PROGRAMS)]

    def _network_flags(self, dice: random.Random) -> list[str]:
        return dice.choice(
            [
                [],
                ["--internal"],
                ["--subnet", f"10.77.{dice.randrange(4)}.0/29"],
                ["--opt", "icc=false"],
                ["--ipv6", "--subnet", "fd00:77::/64", "--subnet", f"10.78.{dice.randrange(3)}.0/24"],
            ]
        )

    def _command(self, dice: random.Random, words: list[str]) -> None:
        fate = dice.random()
        pipe = subprocess.PIPE
        begun = time.monotonic()
        with self._pyctl.popen(*words, env=self._pyctl.env(), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
            if fate < 0.25:
                time.sleep(dice.random() * 0.6)
                process.send_signal(signal.SIGKILL if fate < 0.15 else signal.SIGINT)
            if words[:2] == ["run", "-i"] and "300" in words:
                try:
                    process.wait(1.0)
                except subprocess.TimeoutExpired:
                    self._pyctl("rm", "-f", words[3], ok=False)
            try:
                told, errors = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                told, errors = process.communicate()
        took, text = time.monotonic() - begun, errors.decode(errors="replace")
        said = " ".join((told.decode(errors="replace") + text).split())[:200]
        print(f"{begun:.3f} +{took:.3f} {' '.join(words)}: {process.returncode} {said}")
        if took > _SLOW_S or ("Traceback" in text and not _NOT_OURS.search(text)):
            self.complaints.append(f"{took:.1f} s: {' '.join(words)}: exit code {process.returncode}: {text}")

    def _flush(self, _dice: random.Random) -> None:
        print(f"{time.monotonic():.3f} flush")
        subprocess.run(["nft", "flush", "ruleset"], check=True)

    def _crash(self, dice: random.Random) -> None:
        pid = self._pyctl("inspect", "-f", "{{.State.Pid}}", dice.choice(CONTAINERS), ok=False).out
        print(f"{time.monotonic():.3f} crash {pid}")
        if pid.isdecimal() and int(pid) > 1:
            _kill(int(pid))

    def _kill_keeper(self, _dice: random.Random) -> None:
        print(f"{time.monotonic():.3f} kill the keeper")
        for pid in engines.processes(lambda text: "pyctl.keeper" in text and self._engine.data_root in text):
            _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _soon(look: Callable[[], list[str]]) -> list[str]:
    """What is found until nothing is, or ten seconds have passed: a restart may be under way."""
    give_up = time.monotonic() + 10
    while (found := look()) and time.monotonic() < give_up:
        threading.Event().wait(0.2)
    return found


def _contradictions(pyctl: Pyctl) -> list[str]:
    """Where ``inspect``, the addresses in the namespaces, the port rules and the hosts files do not say the same."""
    running = pyctl("ps", "-q").out.split()
    told = json.loads(pyctl("inspect", *running).stdout) if running else []
    rules = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    found: list[str] = []
    members: dict[str, dict[str, str]] = defaultdict(dict)
    hosts: dict[str, list[list[str]]] = {}
    for one in told:
        name, networks = one["Name"].strip("/"), one["NetworkSettings"]["Networks"]
        if one["State"]["Restarting"] or one["HostConfig"]["NetworkMode"].partition(":")[0] in ("host", "container"):
            continue
        if not one["State"]["Pid"]:
            found.append(f"{name} ended or is being started")
            continue
        said = {network: facts["IPAddress"] for network, facts in networks.items() if facts["IPAddress"]}
        if sorted(said.values()) != _addresses(one["State"]["Pid"]):
            found.append(f"{name} has {_addresses(one['State']['Pid'])}, inspect says {said}")
        for network, address in said.items():
            members[network][name] = address
        with open(one["HostsPath"]) as file:
            hosts[name] = [line.split() for line in file if line[0].isdigit() and not line.startswith("127.")]
        for ports in (one["NetworkSettings"]["Ports"] or {}).values():
            found += [f"no rule for port {port} of {name}" for port in ports or () if port["HostPort"] not in rules]
    everybody = {address for addresses in members.values() for address in addresses.values()}
    for network, addresses in members.items():
        if len(set(addresses.values())) != len(addresses):
            found.append(f"an address twice on {network}: {addresses}")
        for name in addresses:
            for other, address in addresses.items():
                is_known = any(words[0] == address and other in words for words in hosts[name])
                if not is_known and (network != "bridge" or other == name):
                    found.append(f"{name} does not know {other}, {address} on {network}: {hosts[name]}")
    for name, lines in hosts.items():
        found += [
            f"{name} knows one that is gone: {words}" for words in lines if ":" not in words[0] and words[0] not in everybody
        ]
    return found


def _addresses(pid: int) -> list[str]:
    """The IPv4 addresses in a process's network namespace, sorted."""
    command = ["nsenter", "--target", str(pid), "--net", "ip", "-json", "-4", "address"]
    links = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return sorted(entry["local"] for link in links if link.get("ifname") != "lo" for entry in link.get("addr_info", ()))
