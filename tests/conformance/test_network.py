"""The built-in network drivers sit the examination that every other driver sits."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from pyctl_hookspecs import NetworkDefinition, NetworkRequest, PortMapping
from pyctl_hookspecs.testing.network import FakeHost, NetworkComposerSuite, NetworkDriverSuite
from pyctl_hookspecs.testing.network_arena import Arena, Hooks
from pyctl_plugins.network import _cni_cache, bridge, cni, container, host, ipvlan, macvlan, none


class TestNone(NetworkDriverSuite):
    mode = "none"

    @pytest.fixture
    def plugin(self) -> object:
        return none


class TestHost(NetworkDriverSuite):
    mode = "host"

    @pytest.fixture
    def plugin(self) -> object:
        return host


class TestContainer(NetworkDriverSuite):
    mode = "container:" + "f" * 64

    @pytest.fixture
    def plugin(self) -> object:
        return container


@pytest.mark.integration
class TestBridge(NetworkDriverSuite):
    mode = "examined"

    @pytest.fixture
    def plugin(self) -> object:
        return bridge

    @pytest.fixture
    def conflist(self, tmp_path: Any) -> str:
        ipam = {"type": "host-local", "dataDir": f"{tmp_path}/leases", "routes": [{"dst": "0.0.0.0/0"}]}
        ipam["ranges"] = [[{"subnet": "10.99.0.0/24", "gateway": "10.99.0.1"}]]
        main = {"type": "bridge", "bridge": "br-exam", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
        chain = [main, {"type": "portmap"}, {"type": "firewall", "ingressPolicy": "same-bridge"}, {"type": "tuning"}]
        return json.dumps({"cniVersion": "1.0.0", "name": "examined", "nerdctlID": "e" * 64, "plugins": chain})


@pytest.mark.integration
class TestDualStackBridge(TestBridge):
    @pytest.fixture
    def conflist(self, tmp_path: Any) -> str:
        ipam = {"type": "host-local", "dataDir": f"{tmp_path}/leases", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}
        ipam["ranges"] = [[{"subnet": "10.99.0.0/24"}], [{"subnet": "fd00:99::/64", "gateway": "fd00:99::1"}]]
        main = {"type": "bridge", "bridge": "br-exam", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
        chain = [main, {"type": "portmap"}, {"type": "firewall", "ingressPolicy": "same-bridge"}, {"type": "tuning"}]
        return json.dumps({"cniVersion": "1.0.0", "name": "examined", "nerdctlID": "e" * 64, "plugins": chain})


@pytest.mark.integration
class TestInternalBridge(TestBridge):
    publishes_ports = False

    @pytest.fixture
    def conflist(self, tmp_path: Any) -> str:
        ipam = {"type": "host-local", "dataDir": f"{tmp_path}/leases", "ranges": [[{"subnet": "10.99.0.0/24"}]]}
        main = {"type": "bridge", "bridge": "br-exam", "hairpinMode": True, "ipam": ipam}
        chain = [main, {"type": "firewall", "ingressPolicy": "same-bridge"}, {"type": "tuning"}]
        return json.dumps({"cniVersion": "1.0.0", "name": "examined", "nerdctlID": "e" * 64, "plugins": chain})

    def test_ports_that_cannot_be_published_are_refused_while_planning(
        self, hook: Any, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        """Not so here: Docker's internal networks take ports and publish nothing, and compose files rely on it."""
        hook.plan_network(request=request_one.replace(ports=(PortMapping(container_port=80),)), host=host)


@pytest.mark.integration
class TestCni(NetworkDriverSuite):
    """nerdctl's chain, by the real binaries."""

    mode = "examined"

    @pytest.fixture
    def plugin(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> object:
        monkeypatch.setattr(_cni_cache, "DIRECTORY", f"{tmp_path}/results")
        return cni

    @pytest.fixture
    def conflist(self, tmp_path: Any) -> str:
        ipam = {"type": "host-local", "dataDir": f"{tmp_path}/leases", "routes": [{"dst": "0.0.0.0/0"}]}
        ipam["ranges"] = [[{"subnet": "10.99.0.0/24", "gateway": "10.99.0.1"}]]
        main = {"type": "bridge", "bridge": "br-exam", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        chain = [main, ports, {"type": "firewall", "ingressPolicy": "same-bridge"}, {"type": "tuning"}]
        return json.dumps({"cniVersion": "1.0.0", "name": "examined", "nerdctlID": "e" * 64, "plugins": chain})


@pytest.mark.integration
class TestCniPtp(TestCni):
    """Somebody's old list, whose plug-ins publish nothing."""

    publishes_ports = False

    @pytest.fixture
    def conflist(self, tmp_path: Any) -> str:
        ipam = {"type": "host-local", "dataDir": f"{tmp_path}/leases", "subnet": "10.99.0.0/24"}
        return json.dumps({"cniVersion": "0.3.1", "name": "examined", "plugins": [{"type": "ptp", "ipam": ipam}]})


@pytest.mark.integration
class TestMacvlan(NetworkComposerSuite):
    """It composes; ``cni`` connects, where the kernel has such interfaces."""

    mode = "macvlan"
    options = (("parent", "uplink0"),)

    @pytest.fixture
    def plugin(self) -> object:
        return macvlan

    @pytest.fixture
    def connector(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> object:
        monkeypatch.setattr(_cni_cache, "DIRECTORY", f"{tmp_path}/results")
        return cni

    @pytest.fixture
    def arena(self) -> Iterator[Arena]:
        arena = Arena(True)
        for command in ("link add uplink0 type veth peer name wire0", "link set wire0 up", "link set uplink0 up"):
            subprocess.run(["ip", *command.split()], check=True)
        yield arena
        arena.leave()

    def test_a_composed_network_connects_a_container(
        self, arena: Arena, hook: Hooks, connector: object, definition: NetworkDefinition, host: FakeHost, tmp_path: Any
    ) -> None:
        trial = ["ip", "link", "add", "trial0", "link", "uplink0", "type", self.mode]
        if subprocess.run(trial, capture_output=True, check=False).returncode != 0:
            return
        subprocess.run(["ip", "link", "delete", "trial0"], check=True)
        super().test_a_composed_network_connects_a_container(arena, hook, connector, definition, host, tmp_path)


@pytest.mark.integration
class TestIpvlan(TestMacvlan):
    mode = "ipvlan"

    @pytest.fixture
    def plugin(self) -> object:
        return ipvlan
