"""Networks carried out by the real CNI binaries, from the command line to packets, and nothing left afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gates import open_gate
from tests.integration.engines import Engine
from tests.integration.web import SERVE, get, wait_until_served

pytestmark = pytest.mark.integration

_RESULTS = "/var/lib/cni/results"


@pytest.fixture
def with_cni(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who wants every chain carried out by the binaries."""
    path = tmp_path / "cni.toml"
    path.write_text('[network]\nengine = "cni"\n')
    return {"PYCTL_TOML": str(path)}


@pytest.fixture
def network(engine: Engine) -> Iterator[Callable[..., str]]:
    """``network(name, *plugins, **more)`` puts a foreign conflist among the configurations."""
    made: list[str] = []

    def write(name: str, *plugins: dict[str, Any], **more: Any) -> str:
        path = f"{engine.netconf_path}/50-{name}.conflist"
        os.makedirs(engine.netconf_path, exist_ok=True)
        with open(path, "w") as file:
            json.dump({"cniVersion": "1.0.0", "name": name, "plugins": plugins, **more}, file)
        made.append(path)
        return name

    yield write
    for path in made:
        os.unlink(path)


@pytest.fixture
def start(pyctl: Any, busybox: str) -> Iterator[Callable[..., str]]:
    """``start(*flags)`` runs a web server detached and returns the container ID."""
    started: list[str] = []

    def run(*flags: str, env: dict[str, str] | None = None, command: str = SERVE) -> str:
        container_id: str = pyctl("run", "-d", *flags, busybox, "sh", "-c", command, env=env).out
        started.append(container_id)
        if command == SERVE:
            wait_until_served(pyctl, container_id)
        return container_id

    yield run
    if started:
        pyctl("rm", "-f", *started, ok=False)


def _address(pyctl: Any, name: str, network: str) -> str:
    (found,) = json.loads(pyctl("inspect", name).stdout)
    return str(found["NetworkSettings"]["Networks"][network]["IPAddress"])


def _pool(tmp_path: Path, subnet: str) -> dict[str, Any]:
    return {"type": "host-local", "dataDir": str(tmp_path / "pool"), "subnet": subnet, "routes": [{"dst": "0.0.0.0/0"}]}


def test_the_default_network_works_with_the_binaries_and_is_left_though_the_setting_has_changed(
    pyctl: Any, start: Callable[..., str], with_cni: dict[str, str], engine: Engine
) -> None:
    container_id = start("-p", "18090:80", env=with_cni)
    assert get("http://127.0.0.1:18090/") == "served"
    assert pyctl("port", container_id).out == "80/tcp -> 0.0.0.0:18090"
    assert os.listdir(_RESULTS) == [f"bridge-{engine.namespace}-{container_id}-eth0"]
    assert _address(pyctl, container_id, "bridge").startswith("10.4.0.")
    pyctl("rm", "-f", container_id)
    assert os.listdir(_RESULTS) == []


def test_containers_of_both_engines_share_a_network(
    pyctl: Any, start: Callable[..., str], with_cni: dict[str, str], busybox: str
) -> None:
    start("--name", "by-us", "-p", "18093:80")
    start("--name", "by-cni", "-p", "18094:80", env=with_cni)
    assert [get(f"http://127.0.0.1:{port}/") for port in (18093, 18094)] == ["served", "served"]
    for one, other in (("by-us", "by-cni"), ("by-cni", "by-us")):
        address = _address(pyctl, other, "bridge")
        assert pyctl("exec", one, "wget", "-q", "-O", "-", f"http://{address}/").out == "served"


def test_many_at_once_get_addresses_and_ports_of_their_own(
    pyctl: Any, start: Callable[..., str], with_cni: dict[str, str], busybox: str
) -> None:
    started = [
        pyctl.popen("run", "-d", "-p", "80", busybox, "sleep", "600", env=with_cni, stdout=subprocess.PIPE) for _ in range(6)
    ]
    ids = [process.communicate(timeout=60)[0].decode().strip() for process in started]
    try:
        assert [process.returncode for process in started] == [0] * 6
        assert len({_address(pyctl, one, "bridge") for one in ids}) == 6
        assert len({pyctl("port", one, "80").out for one in ids}) == 6
    finally:
        pyctl("rm", "-f", *filter(None, ids))


def test_a_foreign_list_of_an_old_version_connects(
    pyctl: Any, start: Callable[..., str], network: Callable[..., str], tmp_path: Path
) -> None:
    network("ptpnet", {"type": "ptp", "ipMasq": True, "ipam": _pool(tmp_path, "10.78.0.0/24")}, cniVersion="0.3.1")
    container_id = start("--network", "ptpnet")
    address = _address(pyctl, container_id, "ptpnet")
    assert address.startswith("10.78.0.")
    assert get(f"http://{address}/") == "served"
    done = pyctl("run", "--rm", "--network", "ptpnet", "-p", "18091:80", "busybox", "true", ok=False)
    assert done.code == 125
    assert "network ptpnet cannot publish ports: none of its plug-ins (ptp) declares portMappings" in done.stderr


def test_containers_on_a_macvlan_network_find_each_other(pyctl: Any, start: Callable[..., str], busybox: str) -> None:
    for command in ("ip link add nic type veth peer name switch", "ip link set nic up", "ip link set switch up"):
        subprocess.run(command.split(), check=True)
    pyctl("network", "create", "--driver", "macvlan", "-o", "parent=nic", "--subnet", "10.79.0.0/24", "lan")
    try:
        start("--network", "lan", "--name", "lan-server")
        assert pyctl("run", "--rm", "--network", "lan", busybox, "wget", "-q", "-O", "-", "http://lan-server/").out == "served"
        pyctl("rm", "-f", "lan-server")
    finally:
        pyctl("network", "rm", "lan")
        subprocess.run(["ip", "link", "delete", "nic"], check=True)


def test_a_network_made_for_the_binaries_is_removed_whole(
    pyctl: Any, start: Callable[..., str], with_cni: dict[str, str]
) -> None:
    pyctl("network", "create", "--subnet", "10.80.0.0/24", "made", env=with_cni)
    container_id = start("--network", "made", "-p", "18092:80", env=with_cni)
    assert get("http://127.0.0.1:18092/") == "served"
    pyctl("rm", "-f", container_id)
    pyctl("network", "rm", "made", env=with_cni)
    rules = subprocess.run("iptables-save; ip link", shell=True, check=True, capture_output=True, text=True).stdout
    assert not [line for line in rules.splitlines() if "br-" in line]


def test_a_missing_binary_is_one_clear_line(pyctl: Any, busybox: str, with_cni: dict[str, str], tmp_path: Path) -> None:
    done = pyctl("--cni-path", str(tmp_path), "run", "--rm", busybox, "true", env=with_cni, ok=False)
    assert done.code == 125
    assert f'network bridge needs the CNI plug-in "bridge", which is not in {tmp_path}' in done.stderr
    assert "containernetworking-plugins" in done.stderr


def test_a_list_of_an_unknown_version_is_refused(pyctl: Any, busybox: str, network: Callable[..., str]) -> None:
    network("future", {"type": "ptp"}, cniVersion="9.0.0")
    done = pyctl("run", "--rm", "--network", "future", busybox, "true", ok=False)
    assert done.code == 125
    assert "network future is of CNI version 9.0.0, which is not known" in done.stderr


def test_a_plugins_own_words_are_shown(pyctl: Any, busybox: str, network: Callable[..., str]) -> None:
    network("broken", {"type": "macvlan", "master": "nosuchnic", "ipam": {"type": "host-local", "subnet": "10.81.0.0/24"}})
    done = pyctl("run", "--rm", "--network", "broken", busybox, "true", ok=False)
    assert done.code == 125
    assert done.stderr == "pyctl: failed to connect eth0 to network broken: plug-in macvlan: Link not found\n"


def test_an_interrupt_while_a_plugin_runs_leaves_nothing(
    pyctl: Any, busybox: str, network: Callable[..., str], tmp_path: Path
) -> None:
    plugin = tmp_path / "slow"
    plugin.write_text(f'#!/bin/sh\n[ "$CNI_COMMAND" = DEL ] && exit 0\necho > {tmp_path}/begun\nexec sleep 100\n')
    plugin.chmod(0o755)
    network("slownet", {"type": "slow"})
    command = ("--cni-path", str(tmp_path), "run", "--rm", "--network", "slownet", busybox, "true")
    process = pyctl.popen(*command, stderr=subprocess.PIPE)
    give_up = time.monotonic() + 20
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < give_up and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=20)[1], process.returncode) == (b"pyctl: interrupted\n", 130)


def test_plugins_of_a_directory_named_once_are_found_again_when_the_container_ends(
    pyctl: Any, busybox: str, network: Callable[..., str], tmp_path: Path
) -> None:
    plugin = tmp_path / "cable"
    plugin.write_text("#!/bin/sh\nexec /usr/lib/cni/ptp\n")
    plugin.chmod(0o755)
    network("cablenet", {"type": "cable", "ipam": _pool(tmp_path, "10.82.0.0/24")})
    container_id = pyctl(
        "--cni-path", f"{tmp_path}:/usr/lib/cni", "run", "-d", "--network", "cablenet", busybox, "sleep", "60"
    ).out
    assert os.listdir(_RESULTS) != []
    pyctl("rm", "-f", container_id)
    assert os.listdir(_RESULTS) == []


def test_a_command_killed_while_a_plugin_runs_is_cleaned_up_after(
    pyctl: Any, busybox: str, network: Callable[..., str], tmp_path: Path
) -> None:
    """The plug-in goes on; the next command undoes it only when it has ended."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    plugin = tmp_path / "cable"
    plugin.write_text(f'#!/bin/sh\n[ "$CNI_COMMAND" = ADD ] && read -r line < {gate}\nexec /usr/lib/cni/tuning\n')
    plugin.chmod(0o755)
    ptp = {"type": "ptp", "ipMasq": True, "ipam": _pool(tmp_path, "10.83.0.0/24")}
    network("cablenet", ptp, {"type": "firewall"}, {"type": "cable"})
    flags = ("--cni-path", f"{tmp_path}:/usr/lib/cni")
    killed = pyctl.popen(*flags, "run", "-d", "--network", "cablenet", busybox, "sleep", "60")
    with os.fdopen(open_gate(gate), "w") as opened:
        killed.kill()
        killed.wait()
        following = pyctl.popen(*flags, "system", "reconcile")
        opened.write("go\n")
    assert following.wait(60) == 0
    assert os.listdir(_RESULTS) == []
    assert [path.name for path in (tmp_path / "pool" / "cablenet").iterdir() if path.name[0].isdigit()] == []
    rules = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
    assert "10.83.0." not in rules  # firewall does not know which are its own unless it is told the result
