"""host-local's pool of a chain's network, as far as a runtime may look at it."""

from __future__ import annotations

import os

from pyctl_plugins.network._addresses import canonical
from pyctl_plugins.network._leases import DEFAULT_DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_plugins.network._cni_config import Chain


def directories(chain: Chain) -> tuple[str, ...]:
    """Where host-local keeps the leases of this chain, once for each of its plug-ins that asks it for addresses."""
    ipams = [plugin.get("ipam") or {} for plugin in chain.plugins]
    return tuple(
        os.path.join(ipam.get("dataDir") or DEFAULT_DIRECTORY, chain.name) for ipam in ipams if ipam.get("type") == "host-local"
    )


def is_taken(chain: Chain, address: str, owner: str) -> bool:
    """Does somebody but ``owner`` hold this address?"""
    for directory in directories(chain):
        try:
            with open(os.path.join(directory, canonical(address)), "rb") as file:
                holder = file.read()
        except FileNotFoundError:
            continue
        if holder.split(b"\n")[0].strip() != owner.encode():
            return True
    return False
