"""A network leaves the host: its bridge, its part of the table, its accepts and its pool of addresses."""

from __future__ import annotations

from pyctl_hookspecs import PyctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctl_hookspecs import Host


def remove(network: str, conflist: str, host: Host) -> None:
    """Take it all away; what others still use (a port on the bridge, an address of the pool) stays with what it needs.

    Raises:
        PyctlError: the kernel or nft refused.
    """
    from pyctl_plugins.network import _cni_rules, _conflist, _leases, _nft, _records, _wiring
    from pyctl_plugins.network import _rtnetlink as rt

    config = _conflist.read(conflist)
    try:
        with _wiring.new_socket() as route:
            link = rt.find_link(route, config.bridge)
            ports = [one for one in rt.links(route) if one.master == link.index] if link is not None else []
            # By another containerd namespace, or by an interface of the host's own.
            is_used = any(not _is_dying(port.alias, network, host) for port in ports)
            if link is not None and link.kind == "bridge" and config.is_own and not is_used:
                _wiring.remove(route, link)
        if not is_used:
            table = _nft.Table(host.runtime_dir)
            try:
                table.forget(config)
                table.stop_forwarding(config.bridge)
                if table.is_isolated_by_cni(config.bridge):
                    _cni_rules.remove_bridge(config.bridge)
            finally:
                table.close()
        _leases.remove(network, lambda owner: _records.is_own(owner, host), config.data_dir)
    except OSError as error:
        raise PyctlError(f"failed to remove what network {network} has on this host: {error.strerror or error}") from error


def _is_dying(alias: str, network: str, host: Host) -> bool:
    """Was this port ours? The kernel takes interfaces away some time after the namespace they led to."""
    from pyctl_plugins.network import _records

    token, _, store = alias.rpartition("@")
    parts = token.split("/")
    is_known = store == _records.store(host) and len(parts) > 2
    return is_known and parts[0] == network and _records.is_own(parts[1], host)
