"""Networks made and removed from the command line: what is on disk, what is on the host, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration import leaks
from tests.integration.conftest import Pyctl
from tests.integration.engines import Engine

pytestmark = pytest.mark.integration

FAULTS = os.path.join(os.path.dirname(__file__), "outsiders", "faults")
DRIVER = os.path.join(os.path.dirname(__file__), "outsiders", "driver")


@pytest.fixture
def networks(pyctl: Pyctl) -> Iterator[Callable[..., str]]:
    """``networks(name, *flags)`` creates one and returns its ID; all are removed at the end."""
    made: list[str] = []

    def create(name: str, *flags: str) -> str:
        network_id = pyctl("network", "create", *flags, name).out
        made.append(name)
        return network_id

    yield create
    if made:
        pyctl("network", "rm", "--force", *made)


def _inspect(pyctl: Pyctl, name: str) -> dict[str, Any]:
    (found,) = json.loads(pyctl("network", "inspect", name).stdout)
    return dict(found)


def _conflist(engine: Engine, name: str) -> dict[str, Any]:
    with open(f"{engine.netconf_path}/{engine.namespace}/nerdctl-{name}.conflist") as file:
        return dict(json.load(file))


def _links() -> set[str]:
    return set(os.listdir("/sys/class/net"))


def test_a_network_from_create_to_rm(pyctl: Pyctl, engine: Engine, busybox: str, networks: Callable[..., str]) -> None:
    links = _links()
    network_id = networks("front", "--label", "tier=web", "-o", "com.docker.network.driver.mtu=1400")
    assert len(network_id) == 64
    assert _links() == links, "the probe has taken everything away again"
    stored = _conflist(engine, "front")
    assert (stored["cniVersion"], stored["nerdctlID"], stored["nerdctlLabels"]) == ("1.0.0", network_id, {"tier": "web"})
    assert [plugin["type"] for plugin in stored["plugins"]] == ["bridge", "portmap", "firewall", "tuning"]
    container = pyctl("run", "-d", "--network", network_id[:12], busybox, "sleep", "60").out
    try:
        for reference in ("front", network_id, network_id[:12]):
            shown = _inspect(pyctl, reference)
            assert (shown["Id"], shown["Labels"], shown["Driver"]) == (network_id, {"tier": "web"}, "bridge")
            assert list(shown["Containers"]) == [container]
        assert shown["Containers"][container]["IPv4Address"].startswith(shown["IPAM"]["Config"][0]["Gateway"][:-1])
        assert pyctl("exec", container, "cat", "/sys/class/net/eth0/mtu").out == "1400"
        in_use = pyctl("network", "rm", "front", ok=False)
        assert f"error while removing network: network front id {network_id} has active endpoints" in in_use.stderr
        assert in_use.code == 1
    finally:
        pyctl("rm", "-f", container)
    done = pyctl("network", "rm", "front", "nowhere", "bridge", ok=False)
    assert (done.out, done.code) == ("front", 1)
    assert "network nowhere not found" in done.stderr
    assert "bridge is a pre-defined network and cannot be removed" in done.stderr
    assert _links() - {"nerdctl0"} == links - {"nerdctl0"}
    assert pyctl("network", "rm", "--force", "front").out == "front"


def test_subnets_gateways_ranges_and_reserved_addresses(pyctl: Pyctl, busybox: str, networks: Callable[..., str]) -> None:
    networks(
        "small",
        *("--subnet", "10.77.0.0/24", "--gateway", "10.77.0.254", "--ip-range", "10.77.0.8/29", "--aux-address", "nas=10.77.0.9"),
        *("--ipv6", "--subnet", "fd77::/64"),
    )
    assert _inspect(pyctl, "small")["IPAM"]["Config"] == [
        {
            "Subnet": "10.77.0.0/24",
            "IPRange": "10.77.0.8/29",
            "Gateway": "10.77.0.254",
            "AuxiliaryAddresses": {"nas": "10.77.0.9"},
        },
        {"Subnet": "fd77::/64", "Gateway": "fd77::1"},
    ]
    addresses = pyctl("run", "--rm", "--network", "small", busybox, "ip", "-o", "addr", "show", "eth0").stdout
    routes = pyctl("run", "--rm", "--network", "small", busybox, "ip", "route").stdout
    assert "inet 10.77.0.1" in addresses
    assert "10.77.0.9/" not in addresses
    assert "inet6 fd77::" in addresses
    assert "default via 10.77.0.254" in routes


def test_an_ipv6_subnet_is_found_and_another_one_refused(pyctl: Pyctl, networks: Callable[..., str]) -> None:
    networks("six", "--ipv6", "--ipv4=false")
    (config,) = _inspect(pyctl, "six")["IPAM"]["Config"]
    assert config["Subnet"].startswith("fd")
    refused = pyctl("network", "create", "--ipv6", "--subnet", config["Subnet"], "again", ok=False)
    assert f"subnet {config['Subnet']} overlaps with other one on this address space" in refused.stderr
    assert pyctl("network", "ls", "-q", "--filter", "name=again").out == ""


def test_what_the_host_has_is_kept_clear_of(pyctl: Pyctl, networks: Callable[..., str]) -> None:
    commands = ["link add name stranger type bridge", "addr add 10.4.1.5/24 dev stranger", "link set stranger up"]
    for command in [*commands, "route add 10.4.2.0/24 dev stranger"]:
        subprocess.run(["ip", *command.split()], check=True)
    try:
        networks("polite")
        assert _inspect(pyctl, "polite")["IPAM"]["Config"][0]["Subnet"] == "10.4.3.0/24"
        refused = pyctl("network", "create", "--subnet", "10.4.1.0/24", "rude", ok=False)
        assert "Pool overlaps with 10.4.1.0/24 of interface stranger" in refused.stderr
    finally:
        subprocess.run(["ip", "link", "del", "stranger"], check=True)


def test_prune_removes_what_nobody_uses(pyctl: Pyctl, busybox: str, networks: Callable[..., str]) -> None:
    for name, label in (("used", "keep=1"), ("idle", "keep=1"), ("other", "keep=2")):
        networks(name, "--label", label)
    container = pyctl("run", "-d", "--network", "used", busybox, "sleep", "60").out
    try:
        asked = pyctl("network", "prune", stdin="n\n")
        assert "WARNING! This will remove all custom networks not used by at least one container." in asked.stdout
        assert pyctl("network", "prune", "--force", "--filter", "until=1h").stdout == ""
        assert pyctl("network", "prune", "--force", "--filter", "label=keep=1").stdout == "Deleted Networks:\nidle\n\n"
        assert pyctl("network", "prune", stdin="y\n").stdout.endswith("Deleted Networks:\nother\n\n")
        names = pyctl("network", "ls", "--format", "{{.Name}}").stdout.split()
        assert names == ["bridge", "host", "none", "used"]
    finally:
        pyctl("rm", "-f", container)


def test_twenty_at_once_have_twenty_subnets(pyctl: Pyctl, engine: Engine) -> None:
    names = [f"crowd{number}" for number in range(20)]
    before = leaks.census(engine)
    running = [pyctl.popen("network", "create", name, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for name in names]
    outputs = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 20, outputs
    subnets = {_inspect(pyctl, name)["IPAM"]["Config"][0]["Subnet"] for name in names}
    assert len(subnets) == 20
    pyctl("network", "rm", *names)
    assert leaks.new(before, engine) == []


def test_one_name_is_given_once(pyctl: Pyctl, networks: Callable[..., str]) -> None:
    running = [pyctl.popen("network", "create", "twin", stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    errors = [process.communicate(timeout=60)[1].decode() for process in running]
    assert sorted(process.returncode for process in running) == [0, 1, 1, 1], errors
    assert sum("network with name twin already exists" in error for error in errors) == 3
    pyctl("network", "rm", "twin")


def test_a_network_is_not_removed_under_a_container_that_starts(pyctl: Pyctl, engine: Engine, busybox: str) -> None:
    before = leaks.census(engine)
    for number in range(4):
        name = f"contested{number}"
        pyctl("network", "create", name)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running = pyctl.popen("run", "-d", "--name", name, "--network", name, busybox, "sleep", "60", **pipes)
        removal = pyctl("network", "rm", name, ok=False)
        error = running.communicate(timeout=60)[1].decode()
        if removal.code == 0:
            assert (running.returncode, f"network {name} not found" in error) == (125, True), error
        else:
            assert (running.returncode, "has active endpoints" in removal.stderr) == (0, True), (error, removal.stderr)
            pyctl("rm", "-f", name)
            pyctl("network", "rm", name)
    assert leaks.new(before, engine) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("a/b",), "invalid network name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        (("host",), "operation is not permitted on predefined host network"),
        (("--subnet", "10.88.0.0/24", "--gateway", "10.89.0.1", "x1"), "no matching subnet for gateway 10.89.0.1"),
        (("--subnet", "10.88.0.1/24", "x2"), 'unexpected subnet "10.88.0.1/24", maybe you meant "10.88.0.0/24"?'),
        (("--subnet", "10.4.0.0/16", "x3"), "subnet 10.4.0.0/16 overlaps with other one on this address space"),
        (("-o", "colour=red", "x4"), 'unsupported "bridge" network option "colour"'),
        (("-d", "acme", "x5"), "no network plug-in named acme"),
        (("-d", "none", "x6"), 'only one instance of "null" network is allowed'),
        (("--ipam-driver", "dhcp", "x7"), "the DHCP plug-in's daemon does not run: no /run/cni/dhcp.sock"),
        (("-o", "com.docker.network.bridge.name=lo", "x8"), "interface lo exists"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_one_clear_line_and_leaves_nothing(
    pyctl: Pyctl, engine: Engine, flags: tuple[str, ...], message: str
) -> None:
    before = leaks.census(engine)
    done = pyctl("network", "create", *flags, ok=False)
    assert (done.code, done.stdout) == (1, "")
    assert message in done.stderr.splitlines()[0]
    assert leaks.new(before, engine, deadline_s=2) == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["error", "int", "kill"])
def test_a_fault_at_any_step_of_the_probe_leaves_nothing(pyctl: Pyctl, engine: Engine, when: str, how: str) -> None:
    before = leaks.census(engine)
    for step in ("draft", "netns", "network-0"):
        done = pyctl("network", "create", "broken", env={"PYTHONPATH": FAULTS, "PYCTL_FAULT": f"{when}:{step}:{how}"}, ok=False)
        if how == "kill":
            assert done.code == -9
            assert "undid the interrupted change of network broken" in pyctl("system", "reconcile").stdout
        elif how == "error":
            assert (done.code, f"injected {when} {step}" in done.stderr) == (1, True)
        else:
            assert done.code == 130, (step, done.stderr)
        assert done.stdout == ""
        assert leaks.new(before, engine) == [], step


@pytest.mark.parametrize("how", ["error", "kill"])
def test_a_removal_that_was_begun_is_finished_or_never_was(pyctl: Pyctl, engine: Engine, how: str) -> None:
    before = leaks.census(engine)
    for step in ("draft", "unlink"):
        for when in ("before", "after"):
            pyctl("network", "create", "doomed", "--subnet", "10.66.0.0/24")
            fault = {"PYTHONPATH": FAULTS, "PYCTL_FAULT": f"{when}:{step}:{how}"}
            assert pyctl("network", "rm", "doomed", env=fault, ok=False).code == (1 if how == "error" else -9)
            pyctl("system", "reconcile")
            pyctl("network", "rm", *([] if (step, when) == ("unlink", "after") else ["doomed"]), "-f", "nowhere")
            assert leaks.new(before, engine) == [], (step, when)


def test_a_broken_file_stops_only_who_needs_it(pyctl: Pyctl, engine: Engine, busybox: str) -> None:
    folder = f"{engine.netconf_path}/{engine.namespace}"
    os.makedirs(folder, exist_ok=True)
    texts = {"bad": "{", "future": json.dumps({"name": "future", "cniVersion": "9.0.0", "plugins": [{"type": "bridge"}]})}
    for name, text in texts.items():
        with open(f"{folder}/nerdctl-{name}.conflist", "w") as file:
            file.write(text)
    try:
        listed = pyctl("network", "ls", "--format", "{{.Name}}")
        assert f"WARNING: {folder}/nerdctl-bad.conflist is not a CNI network configuration" in listed.stderr
        assert listed.stdout.split() == ["bridge", "future", "host", "none"]
        assert pyctl("run", "--rm", busybox, "echo", "fine").out == "fine"
        used = pyctl("run", "--rm", "--network", "bad", busybox, "true", ok=False)
        assert "nerdctl-bad.conflist is not a CNI network configuration" in used.stderr
        assert used.code == 125
        used = pyctl("run", "--rm", "--network", "future", busybox, "true", ok=False)
        assert "network future is of CNI version 9.0.0" in used.stderr
        pyctl("network", "create", "sound")
        pyctl("network", "rm", "sound")
    finally:
        for name in texts:
            os.unlink(f"{folder}/nerdctl-{name}.conflist")


def test_a_third_partys_driver_creates_connects_and_removes(pyctl: Pyctl, engine: Engine, busybox: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    env = {"PYTHONPATH": DRIVER, "PYCTL_ACME_LOG": str(log)}

    def asked() -> list[str]:
        lines = [line.split("/")[0] for line in log.read_text().splitlines()]
        log.write_text("")
        return lines

    pyctl("network", "create", "-d", "acme", "theirs", env=env)
    assert asked() == ["setup theirs", "cleanup theirs", "remove theirs"]
    assert _conflist(engine, "theirs")["nerdctlLabels"] == {"pyctl/driver": "acme"}
    shown = _inspect(pyctl, "theirs")
    assert (shown["Driver"], shown["Labels"]) == ("acme", {})
    links = pyctl("run", "--rm", "--network", "theirs", busybox, "ls", "/sys/class/net", env=env)
    assert links.out == "lo"
    assert asked() == ["setup theirs", "cleanup theirs"]
    without = pyctl("run", "--rm", "--network", "theirs", busybox, "true", ok=False)
    assert "no network plug-in named acme" in without.stderr
    pyctl("network", "rm", "theirs", env=env)
    assert asked() == ["remove theirs"]


def test_a_third_partys_refusal_is_the_users_one_line(pyctl: Pyctl, engine: Engine, tmp_path: Path) -> None:
    before = leaks.census(engine)
    env = {"PYTHONPATH": DRIVER, "PYCTL_ACME_LOG": str(tmp_path / "log")}
    done = pyctl("network", "create", "-d", "acme", "-o", "mood=bad", "theirs", env=env, ok=False)
    assert (done.code, done.stderr) == (1, "pyctl: acme is out of order\n")
    assert leaks.new(before, engine) == []


@pytest.fixture
def by_cni(tmp_path: Path) -> dict[str, str]:
    """The environment for every chain to be carried out by the real binaries."""
    (tmp_path / "pyctl.toml").write_text('[network]\nengine = "cni"\n')
    return {"PYCTL_TOML": str(tmp_path / "pyctl.toml")}


def test_real_binaries_carry_a_network_out_and_leave_nothing(
    pyctl: Pyctl, engine: Engine, busybox: str, by_cni: dict[str, str]
) -> None:
    before = leaks.census(engine)
    pyctl("network", "create", "real", "--subnet", "10.67.0.0/24", env=by_cni)
    shown = pyctl("run", "--rm", "--network", "real", busybox, "ip", "-o", "addr", "show", "eth0", env=by_cni).stdout
    assert "inet 10.67.0." in shown
    shown = pyctl("run", "--rm", "--network", "real", busybox, "ip", "-o", "addr", "show", "eth0").stdout
    assert "inet 10.67.0." in shown, "and so does the driver in process"
    pyctl("network", "rm", "real", env=by_cni)
    assert leaks.new(before, engine) == []


def test_a_missing_binary_is_named_and_nothing_is_left(
    pyctl: Pyctl, engine: Engine, by_cni: dict[str, str], tmp_path: Path
) -> None:
    before = leaks.census(engine)
    done = pyctl("--cni-path", str(tmp_path), "network", "create", "real", env=by_cni, ok=False)
    assert done.code == 1
    assert "bridge" in done.stderr.splitlines()[0]
    assert leaks.new(before, engine) == []
