"""host-local's pool of a chain's network, as far as a runtime may look at it."""

from __future__ import annotations

import errno
import fcntl
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


def families(chain: Chain) -> tuple[bool, ...]:
    """Is it IPv6? For each family that host-local gives addresses of; IPv4 alone where nobody can know."""
    found = set()
    for plugin in chain.plugins:
        ipam = plugin.get("ipam") or {}
        for group in [[ipam], *(ipam.get("ranges") or ())] if ipam.get("type") == "host-local" else ():
            found |= {":" in one["subnet"] for one in group if "subnet" in one}
    return tuple(sorted(found)) or (False,)


def remove_empty(chain: Chain) -> None:
    """Remove the pool of a network that is no more, unless somebody still has an address of it."""
    for directory in directories(chain):
        try:
            lock = os.open(os.path.join(directory, "lock"), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            names = os.listdir(directory)
            if all(name == "lock" or name.startswith("last_reserved_ip.") for name in names):
                for name in names:
                    os.unlink(os.path.join(directory, name))
                os.rmdir(directory)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):  # somebody was faster, or takes an address this moment
                raise
        finally:
            os.close(lock)


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
