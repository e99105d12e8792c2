"""``network create --driver macvlan``: composes the chain; driver ``cni`` connects containers to it."""

from __future__ import annotations

from pyctl_hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs import NetworkDefinition


@hookimpl
def compose_network(definition: NetworkDefinition) -> str:
    import json

    from pyctl_plugins.network import _compose_vlan

    return json.dumps(_compose_vlan.vlan_chain("macvlan", definition))
