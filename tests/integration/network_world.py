"""A host, an outside world and containers, as far as their networks go: namespaces, real interfaces and real packets.

Nothing here needs containerd, and nothing touches the machine's own interfaces, rules and firewalls.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from pyctl.state import netns
from pyctl.state.networks import network_id
from pyctl_hookspecs import (
    ConnectedNetwork,
    NetworkAttachment,
    NetworkDefinition,
    NetworkRequest,
    NetworkSubnet,
    PortMapping,
)
from pyctl_hookspecs.testing.network import FakeHost
from pyctl_plugins.network import _rtnetlink, bridge

HOST, FAR = "203.0.113.1", "203.0.113.2"
HOST6, FAR6 = "2001:db8:1::1", "2001:db8:1::2"
DROPPED_S = 0.4  # how long nothing must come through for a packet to count as dropped
_CLONE_NEWNET = 0x40000000


def sh(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


class Box:
    """A container, as far as its network goes."""

    def __init__(self, path: str, request: NetworkRequest | None = None, attachment: NetworkAttachment | None = None) -> None:
        self.path, self._request, self._attachment = path, request, attachment
        self._fd = os.open(path, os.O_RDONLY)

    @property
    def request(self) -> NetworkRequest:
        assert self._request is not None
        return self._request

    @property
    def attachment(self) -> NetworkAttachment:
        assert self._attachment is not None
        return self._attachment

    @property
    def address(self) -> str:
        return next(one.partition("/")[0] for one in self.attachment.addresses if ":" not in one)

    @property
    def address6(self) -> str:
        return next(one.partition("/")[0] for one in self.attachment.addresses if ":" in one)

    @property
    def token(self) -> str:
        return bridge.plan_network(self.request).undo_token

    @property
    def connected(self) -> ConnectedNetwork:
        return ConnectedNetwork(request=self.request, undo_token=self.token, attachment=self.attachment)

    def port(self, index: int = 0) -> int:
        return self.attachment.ports[index].host_port

    def dial(self, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET, protocol: int = 0) -> socket.socket:
        made: socket.socket = _rtnetlink.in_namespace(self._fd, lambda: socket.socket(family, kind, protocol))
        made.settimeout(5)
        return made

    def dial6(self, kind: int = socket.SOCK_STREAM) -> socket.socket:
        return self.dial(kind, socket.AF_INET6)

    def listen(self, port: int, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
        server = self.dial(kind, family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            server.listen(8)
        return server

    def listen6(self, port: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
        return self.listen(port, kind, socket.AF_INET6)

    def sh(self, command: str) -> str:
        return sh(f"nsenter --net={self.path} {command}")

    def close(self) -> None:
        os.close(self._fd)


class World:
    """The host with its containers, and the outside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host: Any = FakeHost(str(directory))
        self._boxes: list[Box] = []
        self.far = self._far()

    def _far(self) -> Box:
        path = f"{self.directory}/run/netns/far"
        netns.create(path)
        far = Box(path)
        sh(f"ip link add far0 type veth peer name eth0 netns {path}")
        sh(f"ip addr add {HOST}/24 dev far0 && ip addr add {HOST6}/64 dev far0 nodad && ip link set far0 up")
        far.sh(f"ip addr add {FAR}/24 dev eth0")
        far.sh(f"ip addr add {FAR6}/64 dev eth0 nodad")
        far.sh("ip link set eth0 up")
        far.sh(f"ip route add 10.0.0.0/8 via {HOST}")
        far.sh(f"ip route add fd00::/8 via {HOST6}")
        return far

    def network(self, name: str, *gateways: str, internal: bool = False, **options: str) -> str:
        """A conflist as ``network create`` writes it; gateways with their prefixes, options as of ``-o``."""
        subnets = [NetworkSubnet(subnet=str(ip_interface(one).network), gateway=str(ip_interface(one).ip)) for one in gateways]
        definition = NetworkDefinition(
            name=name,
            network_id=network_id(name),
            namespace=self.host.namespace,
            subnets=tuple(subnets),
            is_internal=internal,
            options=tuple((key.replace("_", "-"), value) for key, value in options.items()),
        )
        chain = json.loads(bridge.compose_network(definition, self.host))
        chain[0]["bridge"] = f"br-{name}"
        chain[0]["ipam"]["dataDir"] = f"{self.directory}/leases"
        return json.dumps({"cniVersion": "1.0.0", "name": name, "nerdctlID": network_id(name), "plugins": chain})

    def box(self, number: int, *ports: PortMapping, conflist: str = "", **fields: Any) -> Box:
        """A container, connected; without ``conflist`` to network one, 10.71.0.0/24. ``fields`` are the request's."""
        container_id = f"{number:02x}" * 32
        conflist = conflist or self.network("one", "10.71.0.1/24")
        path = f"{self.directory}/run/netns/{container_id}"
        request = NetworkRequest(
            container_id=container_id,
            container_name=f"c{number}",
            namespace=self.host.namespace,
            network=json.loads(conflist)["name"],
            interface="eth0",
            netns_path=path,
            conflist=conflist,
            ports=ports,
        ).replace(**fields)
        token = bridge.plan_network(request).undo_token
        netns.create(path)
        try:
            attachment = bridge.setup_network(request, token, self.host)
        except BaseException:
            bridge.cleanup(token, self.host)
            netns.release(path)
            raise
        box = Box(path, request, attachment)
        self._boxes.append(box)
        return box

    def remove(self, box: Box) -> None:
        self._boxes.remove(box)
        bridge.cleanup(box.token, self.host)
        netns.release(box.path)
        box.close()

    def repair(self, *boxes: Box, alive: tuple[str, ...] = ()) -> tuple[str, ...]:
        """``network repair`` with these containers running."""
        return bridge.repair_networks(tuple(box.connected for box in boxes), lambda one: one in alive, self.host)

    def here(self, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
        made = socket.socket(family, kind)
        made.settimeout(5)
        return made

    def here6(self, kind: int = socket.SOCK_STREAM) -> socket.socket:
        return self.here(kind, socket.AF_INET6)

    def close(self) -> None:
        for box in list(self._boxes):
            self.remove(box)
        netns.release(self.far.path)
        self.far.close()
        self.host.close()
        subprocess.run(["umount", f"{self.directory}/run/netns"], check=True)


@contextmanager
def playing_host(directory: Path) -> Iterator[World]:
    """A network namespace for this thread that plays the host, with the outside beside it; gone afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(_CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    try:
        sh("ip link set lo up")
        world = World(directory)
        try:
            yield world
        finally:
            world.close()
    finally:
        assert libc.setns(home, _CLONE_NEWNET) == 0
        os.close(home)


def seen_from(client: socket.socket, address: str, port: int, server: socket.socket) -> str:
    """Connect, and return the address under which the server sees the client."""
    with client, server:
        client.connect((address, port))
        connection, peer = server.accept()
        with connection:
            connection.sendall(b"served")
        assert client.recv(10) == b"served"
        return str(peer[0])


def is_dropped(client: socket.socket, address: str, port: int) -> bool:
    client.settimeout(DROPPED_S)
    with client:
        try:
            client.connect((address, port))
        except TimeoutError:
            return True
        return False


def web(host_port: int = 8080, **fields: Any) -> PortMapping:
    return PortMapping(container_port=80, host_port=host_port, **fields)
