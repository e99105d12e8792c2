"""The examination for network drivers that compose networks: subclass ``NetworkComposerSuite`` if yours does nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_interface, ip_network
from typing import Any

import pytest

from pyctl_hookspecs import InvalidArgumentError, NetworkDefinition, NetworkRequest, NetworkSubnet
from pyctl_hookspecs.testing.network_arena import Arena, FakeHost, Hooks


class NetworkComposerSuite:
    """Subclasses set ``mode`` and the fixture ``plugin``; ``connector`` too, if another plug-in connects what this one composes.

    ``definition`` is the network to be created, with ``options`` as of ``-o``. Needs root.
    """

    mode = ""
    options: tuple[tuple[str, str], ...] = ()

    @pytest.fixture
    def plugin(self) -> object:
        raise NotImplementedError("return the plug-in: a module or an object with the hooks")

    @pytest.fixture
    def connector(self, plugin: object) -> object:
        """Who connects containers to networks of this driver."""
        return plugin

    @pytest.fixture
    def hook(self, plugin: object) -> Hooks:
        """The plug-in, called as core calls it."""
        return Hooks(plugin)

    @pytest.fixture
    def host(self, tmp_path: Any) -> Iterator[FakeHost]:
        host = FakeHost(str(tmp_path))
        yield host
        host.close()

    @pytest.fixture
    def arena(self) -> Iterator[Arena]:
        """A network namespace that plays the host; a driver that needs an interface there makes it here."""
        arena = Arena(True)
        yield arena
        arena.leave()

    @pytest.fixture
    def definition(self) -> NetworkDefinition:
        return NetworkDefinition(
            name="composed",
            network_id="c" * 64,
            namespace=FakeHost.namespace,
            subnets=(NetworkSubnet(subnet="10.98.0.0/24", gateway="10.98.0.1"),),
            options=self.options,
        )

    def compose(self, hook: Hooks, definition: NetworkDefinition, host: FakeHost, directory: str) -> str:
        """The conflist that core would write, except that host-local keeps its leases below ``directory``."""
        chain = json.loads(hook.compose_network(definition=definition, host=host))
        for plugin in chain:
            if plugin.get("ipam", {}).get("type") == "host-local":
                plugin["ipam"].setdefault("dataDir", f"{directory}/composed-leases")
        whole = {"cniVersion": "1.0.0", "name": definition.name, "nerdctlID": definition.network_id, "plugins": chain}
        return json.dumps(whole)

    def test_a_composed_chain_is_a_list_of_cni_plugins(
        self, arena: Arena, hook: Hooks, definition: NetworkDefinition, host: FakeHost
    ) -> None:
        if not hook.has("compose_network"):
            return
        text = hook.compose_network(definition=definition, host=host)
        chain = json.loads(text)
        assert isinstance(chain, list) and chain
        assert all(isinstance(plugin, dict) and isinstance(plugin.get("type"), str) for plugin in chain)

    def test_composing_changes_nothing(self, arena: Arena, hook: Hooks, definition: NetworkDefinition, host: FakeHost) -> None:
        if not hook.has("compose_network"):
            return
        before = arena.links(), arena.rules()
        first = hook.compose_network(definition=definition, host=host)
        assert (arena.links(), arena.rules()) == before
        assert hook.compose_network(definition=definition, host=host) == first

    def test_an_option_nobody_knows_is_refused(
        self, arena: Arena, hook: Hooks, definition: NetworkDefinition, host: FakeHost
    ) -> None:
        if not hook.has("compose_network"):
            return
        strange = definition.replace(options=(*definition.options, ("no-such-option-anywhere", "1")))
        with pytest.raises(InvalidArgumentError, match="no-such-option-anywhere"):
            hook.compose_network(definition=strange, host=host)

    def test_a_composed_network_connects_a_container(
        self, arena: Arena, hook: Hooks, connector: object, definition: NetworkDefinition, host: FakeHost, tmp_path: Any
    ) -> None:
        if not hook.has("compose_network"):
            return
        connecting = Hooks(connector)
        request = NetworkRequest(
            container_id="c" * 64,
            container_name="composed-one",
            namespace=FakeHost.namespace,
            network=definition.name,
            interface="eth0",
            netns_path=f"{tmp_path}/run/netns/{FakeHost.namespace}-{'c' * 64}",
            conflist=self.compose(hook, definition, host, str(tmp_path)),
        )
        attachment = arena.connect(connecting, request, host)
        inside = arena.addresses(request.netns_path, attachment.interface)
        for one in definition.subnets:
            mine = [text for text in attachment.addresses if ip_interface(text).network == ip_network(one.subnet)]
            assert mine and set(mine) <= set(inside)
        connecting.cleanup(undo_token=connecting.plan_network(request=request, host=host).undo_token, host=host)
        arena.release(request.netns_path)
