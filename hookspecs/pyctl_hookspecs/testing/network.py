"""The examination for network drivers: subclass ``NetworkDriverSuite``, name the mode, hand over the plug-in.

Drivers that connect a pinned namespace need root for it; everything happens in a network namespace made for the
test, which plays the host. ``nsenter``, ``unshare`` and ``ip`` are used to look at the result from outside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pyctl_hookspecs import (
    ConnectedNetwork,
    NetworkAttachment,
    NetworkIntent,
    NetworkRequest,
    PortMapping,
    PyctlError,
)
from pyctl_hookspecs.testing.network_arena import Arena, FakeHost, Hooks
from pyctl_hookspecs.testing.network_composer import NetworkComposerSuite

__all__ = ["FakeHost", "NetworkComposerSuite", "NetworkDriverSuite"]


class NetworkDriverSuite(NetworkComposerSuite):
    """Subclasses set ``mode`` and the fixture ``plugin``, and ``conflist`` if the driver reads one.

    A driver that cannot publish ports sets ``publishes_ports`` to False; it must refuse them while planning. The hooks
    that a driver may leave out (``compose_network``, ``remove_network``, ``detach_network``, ``repair_networks``) are
    examined where they are there.
    """

    publishes_ports = True

    @pytest.fixture
    def conflist(self, tmp_path: Any) -> str:
        """The network's CNI configuration as JSON text; keep what it writes below ``tmp_path``."""
        return ""

    @pytest.fixture
    def request_one(self, conflist: str, tmp_path: Any) -> NetworkRequest:
        return self._request("1" * 64, conflist, str(tmp_path))

    @pytest.fixture
    def request_two(self, conflist: str, tmp_path: Any) -> NetworkRequest:
        return self._request("2" * 64, conflist, str(tmp_path))

    @pytest.fixture
    def arena(self, hook: Hooks, host: FakeHost, request_one: NetworkRequest, tmp_path: Any) -> Iterator[Arena]:
        """A network namespace that plays the host, for drivers that change one."""
        arena = Arena(hook.plan_network(request=request_one, host=host).namespace == "pinned")
        yield arena
        arena.leave()

    def _request(self, container_id: str, conflist: str, directory: str) -> NetworkRequest:
        return NetworkRequest(
            container_id=container_id,
            container_name=f"c{container_id[0]}",
            namespace=FakeHost.namespace,
            network=self.mode,
            interface="eth0",
            netns_path=f"{directory}/run/netns/{FakeHost.namespace}-{container_id}",
            conflist=conflist,
        )

    def test_every_hook_matches_its_specification(self, hook: Hooks) -> None:
        for name in ("plan_network", "setup_network", "cleanup"):
            assert hook.has(name), f"{name} is missing"

    def test_a_plan_says_what_it_would_do(self, hook: Hooks, request_one: NetworkRequest, host: FakeHost) -> None:
        intent = hook.plan_network(request=request_one, host=host)
        assert isinstance(intent, NetworkIntent)
        assert intent.says and "\n" not in intent.says
        assert intent.namespace in ("pinned", "new", "host", "path")
        assert bool(intent.join_path) == (intent.namespace == "path")

    def test_planning_twice_gives_the_same_token(self, hook: Hooks, request_one: NetworkRequest, host: FakeHost) -> None:
        first = hook.plan_network(request=request_one, host=host)
        assert hook.plan_network(request=request_one, host=host) == first

    def test_tokens_of_two_containers_differ(
        self, hook: Hooks, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
    ) -> None:
        tokens = [hook.plan_network(request=r, host=host).undo_token for r in (request_one, request_two)]
        assert tokens == ["", ""] or tokens[0] != tokens[1]

    def test_cleanup_of_what_never_happened_succeeds(
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        token = hook.plan_network(request=request_one, host=host).undo_token
        hook.cleanup(undo_token=token, host=host)
        hook.cleanup(undo_token=token, host=host)

    def test_setup_does_what_it_reports(self, arena: Arena, hook: Hooks, request_one: NetworkRequest, host: FakeHost) -> None:
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
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, host: FakeHost, tmp_path: Any
    ) -> None:
        arena.connect(hook, request_one, host)
        token = hook.plan_network(request=request_one, host=host).undo_token
        hook.cleanup(undo_token=token, host=host)
        hook.cleanup(undo_token=token, host=FakeHost(str(tmp_path)))

    def test_two_containers_get_different_addresses(
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
    ) -> None:
        one, two = (arena.connect(hook, request, host) for request in (request_one, request_two))
        assert not set(one.addresses) & set(two.addresses)

    def test_an_address_can_be_asked_for_again_after_cleanup(
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
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
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
    ) -> None:
        if not arena.is_pinned:
            return
        taken = arena.connect(hook, request_one, host).addresses[0].partition("/")[0]
        with pytest.raises(PyctlError, match="Address already in use"):
            arena.connect(hook, request_two.replace(ip=taken), host)

    def test_a_namespace_that_lives_on_can_be_connected_again(
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        first = arena.connect(hook, request_one, host)
        hook.cleanup(undo_token=hook.plan_network(request=request_one, host=host).undo_token, host=host)
        second = arena.connect(hook, request_one, host)
        if arena.is_pinned:
            assert set(second.addresses) <= set(arena.addresses(request_one.netns_path, second.interface))
        assert second.interface == first.interface

    def test_ports_that_cannot_be_published_are_refused_while_planning(
        self, hook: Hooks, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        if self.publishes_ports:
            return
        with pytest.raises(PyctlError):
            hook.plan_network(request=request_one.replace(ports=(PortMapping(container_port=80),)), host=host)

    def test_an_automatic_port_is_reported(self, arena: Arena, hook: Hooks, request_one: NetworkRequest, host: FakeHost) -> None:
        if not arena.is_pinned or not self.publishes_ports:
            return
        request = request_one.replace(ports=(PortMapping(container_port=80), PortMapping(container_port=53, protocol="udp")))
        ports = arena.connect(hook, request, host).ports
        assert [(port.container_port, port.protocol) for port in ports] == [(80, "tcp"), (53, "udp")]
        assert all(port.host_port for port in ports)

    def test_a_port_in_use_is_refused_and_free_after_cleanup(
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost
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

    def test_a_removed_network_leaves_nothing_and_may_be_removed_again(
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        if not hook.has("remove_network"):
            return
        before = arena.links()
        arena.connect(hook, request_one, host)
        made = arena.links() - before
        hook.cleanup(undo_token=hook.plan_network(request=request_one, host=host).undo_token, host=host)
        arena.release(request_one.netns_path)
        for _ in range(2):
            hook.remove_network(network=request_one.network, conflist=request_one.conflist, host=host)
        arena.wait_for_links(before)
        rules = arena.rules()
        assert not [name for name in made if f'"{name}"' in rules]

    def test_detaching_takes_the_interface_out_of_a_namespace_that_lives_on(
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        if not hook.has("detach_network"):
            return
        first = arena.connect(hook, request_one, host)
        token = hook.plan_network(request=request_one, host=host).undo_token
        for _ in range(2):
            hook.detach_network(request=request_one, undo_token=token, host=host)
            assert first.interface not in arena.links(request_one.netns_path)
            hook.cleanup(undo_token=token, host=host)
        again = arena.connect(hook, request_one, host)
        assert set(again.addresses) <= set(arena.addresses(request_one.netns_path, again.interface))

    def test_repair_of_what_is_whole_changes_nothing(
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, host: FakeHost
    ) -> None:
        if not hook.has("repair_networks"):
            return
        one = self.connected(arena, hook, request_one, host)
        before = arena.links(), arena.rules()
        assert hook.repair_networks(connected=(one,), is_alive=lambda _: True, host=host) == ()
        assert (arena.links(), arena.rules()) == before

    def test_repair_puts_flushed_rules_back(self, arena: Arena, hook: Hooks, request_one: NetworkRequest, host: FakeHost) -> None:
        if not hook.has("repair_networks"):
            return
        ports = (PortMapping(container_port=80, host_port=8080),) if self.publishes_ports else ()
        one = self.connected(arena, hook, request_one.replace(ports=ports), host)
        before = sorted(arena.rules().splitlines())
        if not arena.flush_rules():
            return
        assert hook.repair_networks(connected=(one,), is_alive=lambda _: True, host=host)
        assert not set(before) - set(arena.rules().splitlines())
        assert hook.repair_networks(connected=(one,), is_alive=lambda _: True, host=host) == ()

    def test_repair_takes_the_dead_ones_leftovers_and_leaves_the_livings(
        self, arena: Arena, hook: Hooks, request_one: NetworkRequest, request_two: NetworkRequest, host: FakeHost, tmp_path: Any
    ) -> None:
        if not hook.has("repair_networks"):
            return
        one, two = (self.connected(arena, hook, request, host) for request in (request_one, request_two))
        address = next(text.partition("/")[0] for text in two.attachment.addresses if ":" not in text)
        three = request_two.replace(
            container_id="3" * 64, netns_path=request_two.netns_path.replace("2" * 64, "3" * 64), ip=address
        )
        hook.repair_networks(connected=(one,), is_alive=lambda _: True, host=host)
        with pytest.raises(PyctlError, match="Address already in use"):
            arena.connect(hook, three, host)
        hook.cleanup(undo_token=hook.plan_network(request=three, host=host).undo_token, host=host)
        arena.release(request_two.netns_path)
        living = request_one.container_id
        assert hook.repair_networks(connected=(one,), is_alive=lambda container_id: container_id == living, host=host)
        assert set(one.attachment.addresses) <= set(arena.addresses(request_one.netns_path, one.attachment.interface))
        arena.connect(hook, three, host)

    def connected(self, arena: Arena, hook: Hooks, request: NetworkRequest, host: FakeHost) -> ConnectedNetwork:
        """Connect, and say what core would say of it to ``repair_networks``."""
        attachment = arena.connect(hook, request, host)
        token = hook.plan_network(request=request, host=host).undo_token
        return ConnectedNetwork(request=request, undo_token=token, attachment=attachment)
