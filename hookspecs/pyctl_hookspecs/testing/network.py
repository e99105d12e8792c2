"""The examination for network drivers: subclass ``NetworkDriverSuite``, name the mode, hand over the plug-in.

Drivers that connect a pinned namespace need root for it; everything happens in a network namespace made for the
test, which plays the host. ``nsenter``, ``unshare`` and ``ip`` are used to look at the result from outside.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pluggy
import pytest

from pyctl_hookspecs import (
    ConflictError,
    NetworkAttachment,
    NetworkIntent,
    NetworkRequest,
    NetworkSpecs,
    PortMapping,
    PyctlError,
)

_CLONE_NEWNET = 0x40000000
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class FakeHost:
    """A ``Host`` that behaves, for drivers: a keeper that really holds ports, a task that is this process."""

    namespace = "suite"
    address = ""
    cni_paths = ("/opt/cni/bin", "/usr/lib/cni")

    def __init__(self, directory: str) -> None:
        self.data_store = f"{directory}/data"
        self.runtime_dir = f"{directory}/run"
        self._held: dict[str, list[socket.socket]] = {}

    def task_pid(self, container_id: str) -> int:
        """Every container runs, as this process."""
        return os.getpid()

    def cancelled(self) -> bool:
        """Nobody interrupts the suite."""
        return False

    def keeper(self, command: str, payload: Mapping[str, str]) -> Mapping[str, str]:
        """``hold_ports`` and ``release_ports`` as the real one answers them."""
        key = f"{payload['namespace']}/{payload['container']}"
        for held in self._held.pop(key, ()):
            held.close()
        if command == "release_ports":
            return {}
        sockets: list[socket.socket] = []
        answer = []
        for address, number, protocol in json.loads(payload["ports"]):
            if protocol == "sctp":  # few kernels have it
                answer.append([address, number or 49152, protocol])
                continue
            one = socket.socket(socket.AF_INET if "." in address else socket.AF_INET6, _KINDS[protocol])
            sockets.append(one)
            try:
                if one.family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bool(address))
                one.bind((address or "::", number))
                if protocol == "tcp":
                    one.listen(1)
            except OSError as error:
                for opened in sockets:
                    opened.close()
                raise ConflictError(f"Bind for {address}:{number} failed: port is already allocated") from error
            answer.append([address, one.getsockname()[1], protocol])
        self._held[key] = sockets
        return {"ports": json.dumps(answer)}

    def close(self) -> None:
        """Let every port go."""
        for sockets in self._held.values():
            for one in sockets:
                one.close()
        self._held.clear()


class NetworkDriverSuite:
    """Subclasses set ``mode`` and the fixture ``plugin``, and ``conflist`` if the driver reads one.

    A driver that cannot publish ports sets ``publishes_ports`` to False; it must refuse them while planning.
    """

    mode = ""
    publishes_ports = True

    @pytest.fixture
    def plugin(self) -> object:
        raise NotImplementedError("return the plug-in: a module or an object with the hooks")

    @pytest.fixture
    def conflist(self, tmp_path: Any) -> str:
        """The network's CNI configuration as JSON text; keep what it writes below ``tmp_path``."""
        return ""

    @pytest.fixture
    def hook(self, plugin: object) -> Any:
        """The plug-in, called as core calls it."""
        manager = pluggy.PluginManager("pyctl")
        manager.add_hookspecs(NetworkSpecs)
        manager.register(plugin, "suite")
        manager.check_pending()
        return _First(manager.hook)

    @pytest.fixture
    def host(self, tmp_path: Any) -> Iterator[FakeHost]:
        host = FakeHost(str(tmp_path))
        yield host
        host.close()

    @pytest.fixture
    def request_one(self, conflist: str, tmp_path: Any) -> NetworkRequest:
        return self._request("1" * 64, conflist, str(tmp_path))

    @pytest.fixture
    def request_two(self, conflist: str, tmp_path: Any) -> NetworkRequest:
        return self._request("2" * 64, conflist, str(tmp_path))

    @pytest.fixture
    def arena(self, hook: Any, host: FakeHost, request_one: NetworkRequest, tmp_path: Any) -> Iterator[_Arena]:
        """A network namespace that plays the host, for drivers that change one."""
        arena = _Arena(hook.plan_network(request=request_one, host=host).namespace == "pinned")
        yield arena
        arena.leave()

    def _request(self, container_id: str, conflist: str, directory: str) -> NetworkRequest:
        return NetworkRequest(
            container_id=container_id,
            container_name=f"c{container_id[0]}",
            namespace=FakeHost.namespace,
            network=self.mode,
            interface="eth0",
            netns_path=f"{directory}/netns-{container_id[0]}",
            conflist=conflist,
        )

    def test_every_hook_matches_its_specification(self, hook: Any) -> None:
        for name in ("plan_network", "setup_network", "cleanup"):
            assert hook.has(name), f"{name} is missing"

    def test_a_plan_says_what_it_would_do(self, hook: Any, request_one: NetworkRequest, host: FakeHost) -> None:
        intent = hook.plan_network(request=request_one, host=host)
        assert isinstance(intent, NetworkIntent)
        assert intent.says and "\n" not in intent.says
        assert intent.namespace in ("pinned", "new", "host", "path")
        assert bool(intent.join_path) == (intent.namespace == "path")

    def test_planning_twice_gives_the_same_token(self, hook: Any, request_one: NetworkRequest, host: FakeHost) -> None:
        first = hook.plan_network(request=request_one, host=host)
        assert hook.plan_network(request=request_one, host=host) == first

    def test_tokens_of_two_containers_differ(
        self, hook: Any, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
    ) -> None:
        tokens = [hook.plan_network(request=r, host=host).undo_token for r in (request_one, request_two)]
        assert tokens == ["", ""] or tokens[0] != tokens[1]

    def test_cleanup_of_what_never_happened_succeeds(
        self, arena: _Arena, hook: Any, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        token = hook.plan_network(request=request_one, host=host).undo_token
        hook.cleanup(undo_token=token, host=host)
        hook.cleanup(undo_token=token, host=host)

    def test_setup_does_what_it_reports(self, arena: _Arena, hook: Any, request_one: NetworkRequest, host: FakeHost) -> None:
        attachment = arena.connect(hook, request_one, host)
        assert isinstance(attachment, NetworkAttachment)
        if not arena.is_pinned:
            return
        assert attachment.addresses
        inside = arena.addresses(request_one.netns_path, attachment.interface)
        assert set(attachment.addresses) <= set(inside)
        assert attachment.mac_address in inside
        result = json.loads(attachment.cni_result)
        assert [ip["address"] for ip in result["ips"]] == list(attachment.addresses)

    def test_cleanup_works_from_the_token_alone_and_twice(
        self, arena: _Arena, hook: Any, request_one: NetworkRequest, host: FakeHost, tmp_path: Any
    ) -> None:
        arena.connect(hook, request_one, host)
        token = hook.plan_network(request=request_one, host=host).undo_token
        hook.cleanup(undo_token=token, host=host)
        hook.cleanup(undo_token=token, host=FakeHost(str(tmp_path)))

    def test_two_containers_get_different_addresses(
        self, arena: _Arena, hook: Any, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
    ) -> None:
        one, two = (arena.connect(hook, request, host) for request in (request_one, request_two))
        assert not set(one.addresses) & set(two.addresses)

    def test_an_address_can_be_asked_for_again_after_cleanup(
        self, arena: _Arena, hook: Any, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
    ) -> None:
        if not arena.is_pinned:
            return
        attachment = arena.connect(hook, request_one, host)
        hook.cleanup(undo_token=hook.plan_network(request=request_one, host=host).undo_token, host=host)
        arena.release(request_one.netns_path)
        wanted = next(a.partition("/")[0] for a in attachment.addresses if ":" not in a)
        again = arena.connect(hook, request_two.replace(ip=wanted), host)
        assert wanted in [address.partition("/")[0] for address in again.addresses]

    def test_an_address_in_use_is_refused(
        self, arena: _Arena, hook: Any, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
    ) -> None:
        if not arena.is_pinned:
            return
        taken = arena.connect(hook, request_one, host).addresses[0].partition("/")[0]
        with pytest.raises(PyctlError, match="Address already in use"):
            arena.connect(hook, request_two.replace(ip=taken), host)

    def test_a_namespace_that_lives_on_can_be_connected_again(
        self, arena: _Arena, hook: Any, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        first = arena.connect(hook, request_one, host)
        hook.cleanup(undo_token=hook.plan_network(request=request_one, host=host).undo_token, host=host)
        second = arena.connect(hook, request_one, host)
        if arena.is_pinned:
            assert set(second.addresses) <= set(arena.addresses(request_one.netns_path, second.interface))
        assert second.interface == first.interface

    def test_ports_that_cannot_be_published_are_refused_while_planning(
        self, hook: Any, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        if self.publishes_ports:
            return
        with pytest.raises(PyctlError):
            hook.plan_network(request=request_one.replace(ports=(PortMapping(container_port=80),)), host=host)

    def test_an_automatic_port_is_reported(self, arena: _Arena, hook: Any, request_one: NetworkRequest, host: FakeHost) -> None:
        if not arena.is_pinned or not self.publishes_ports:
            return
        request = request_one.replace(ports=(PortMapping(container_port=80), PortMapping(container_port=53, protocol="udp")))
        ports = arena.connect(hook, request, host).ports
        assert [(port.container_port, port.protocol) for port in ports] == [(80, "tcp"), (53, "udp")]
        assert all(port.host_port for port in ports)

    def test_a_port_in_use_is_refused_and_free_after_cleanup(
        self, arena: _Arena, hook: Any, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
    ) -> None:
        if not arena.is_pinned or not self.publishes_ports:
            return
        ports = (PortMapping(container_port=80, host_port=8080),)
        one, two = request_one.replace(ports=ports), request_two.replace(ports=ports)
        arena.connect(hook, one, host)
        with pytest.raises(PyctlError, match="8080 failed: port is already allocated"):
            arena.connect(hook, two, host)
        for request in (two, one):
            hook.cleanup(undo_token=hook.plan_network(request=request, host=host).undo_token, host=host)
        assert arena.connect(hook, two, host).ports == ports


class _First:
    """Hooks as core calls them: one provider, its one result."""

    def __init__(self, hooks: Any) -> None:
        self._hooks = hooks

    def has(self, name: str) -> bool:
        return bool(getattr(self._hooks, name).get_hookimpls())

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            results = getattr(self._hooks, name)(**arguments)
            return results[0] if results else None

        return call


class _Arena:
    """The namespace that plays the host, and the containers' own ones."""

    def __init__(self, is_pinned: bool) -> None:
        self.is_pinned = is_pinned
        self._pins: list[str] = []
        self._home = -1
        if is_pinned:
            self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
            _check(_libc.unshare(_CLONE_NEWNET))
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def connect(self, hook: Any, request: NetworkRequest, host: FakeHost) -> NetworkAttachment:
        """Plan, make the namespace if it is to be pinned, set up."""
        intent = hook.plan_network(request=request, host=host)
        if intent.namespace == "pinned" and request.netns_path not in self._pins:
            open(request.netns_path, "w").close()
            subprocess.run(["unshare", f"--net={request.netns_path}", "true"], check=True)
            self._pins.append(request.netns_path)
        attachment: NetworkAttachment = hook.setup_network(request=request, undo_token=intent.undo_token, host=host)
        return attachment

    def addresses(self, netns_path: str, interface: str) -> list[str]:
        """CIDR addresses and the hardware address of an interface, seen from inside."""
        command = ["nsenter", f"--net={netns_path}", "ip", "-j", "address", "show", "dev", interface]
        (link,) = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]] + [link["address"]]

    def release(self, netns_path: str) -> None:
        """Unpin a container's namespace."""
        if netns_path in self._pins:
            self._pins.remove(netns_path)
            subprocess.run(["umount", netns_path], check=True)

    def leave(self) -> None:
        """Back to the real host; the namespace vanishes."""
        for path in list(self._pins):
            self.release(path)
        if self._home >= 0:
            _check(_libc.setns(self._home, _CLONE_NEWNET))
            os.close(self._home)


_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
