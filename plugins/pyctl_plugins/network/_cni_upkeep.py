"""What a chain of CNI plug-ins needs besides connecting: repair, leftovers, and the end of a network."""

from __future__ import annotations

from pyctl_hookspecs import NotFoundError, PyctlError
from pyctl_plugins.network import _cni_cache, _cni_chain, _cni_config, _cni_lock, _cni_pool, _cni_result, _cni_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctl_hookspecs import ConnectedNetwork, Host
    from pyctl_plugins.network._cni_cache import Cached
    from pyctl_plugins.network._cni_chain import Runner

_ID_LENGTH = 64


def repair(one: ConnectedNetwork, asked: Cached, host: Host) -> list[str]:
    """Have the plug-ins look at a connection, and those do their part again that miss something.

    ``asked`` is what would be asked if the container were connected now, with the addresses it has.

    Raises:
        PyctlError: a plug-in's own message; the connection is no worse than before.
    """
    says: list[str] = []
    name = one.request.container_name or one.request.container_id[:12]
    with _cni_lock.Turn(host.runtime_dir, asked.owner) as turn:
        cached = _cni_cache.read(asked.network, asked.owner, asked.interface)
        if cached is None or not cached.result:
            version = _cni_config.read(asked.config).version
            cached = asked.replace(result=_cni_result.from_1_0(one.attachment.cni_result, version))
            _cni_cache.write(cached)
            says.append(f"noted for other users of CNI how {name} is connected to {asked.network}")
        runner = _cni_chain.Runner(_cni_config.read(cached.config), host, turn, more=cached.directories)
        wrong = _wrong(runner, cached)
        if 0 in wrong:
            _reconnect(runner, cached, asked)
            return [*says, f"connected {name} to {asked.network} again"]
        for position in sorted(wrong):
            runner.delete_one(position, cached, cached.netns)
            runner.add_one(position, cached)
        still = _wrong(runner, cached) if wrong else {}
        kinds = runner.chain.kinds
        says += [f"plug-in {kinds[at]} again for {name} on {asked.network}" for at in wrong if still.get(at) != wrong[at]]
    return says


def remove_leftovers(is_alive: Callable[[str], bool], undo: Callable[[Cached], None], host: Host) -> list[str]:
    """Disconnect what belongs to containers of this namespace that are no more; what others connected is left alone."""
    says = []
    for cached in list(_cni_cache.everything()):
        container_id = cached.owner.removeprefix(f"{host.namespace}-")
        if _is_ours(cached, host) and not is_alive(container_id):
            undo(cached)
            says.append(f"disconnected {container_id[:12]}, which is no more, from {cached.network}")
    return says


def remove_network(conflist: str, undo: Callable[[Cached], None], host: Host) -> None:
    """Take away connections that were forgotten, then the bridge with its rules, then an empty pool.

    Raises:
        PyctlError: a plug-in's or iptables' own message.
    """
    chain = _cni_config.read(conflist)
    for cached in list(_cni_cache.everything()):
        if cached.network == chain.name and _is_ours(cached, host):
            undo(cached)
    with _cni_lock.Turn(host.runtime_dir) as turn:
        # Another namespace may have a network of this name, with a pool that both share.
        others = [(one.owner, one.interface) for one in _cni_cache.everything() if one.network == chain.name]
        try:
            _cni_chain.Runner(chain, host, turn).collect(others)
        except NotFoundError:
            pass  # a network can be removed when its plug-ins are no longer installed
        for plugin in chain.plugins:
            if plugin["type"] == "bridge":
                _remove_bridge(plugin.get("bridge") or "cni0")
        _cni_pool.remove_empty(chain)


def _wrong(runner: Runner, cached: Cached) -> dict[int, str]:
    """What the plug-ins miss, by position; where it is known that one does not look properly, we look ourselves."""
    wrong = {position: str(error) for position, error in runner.check(cached)}
    for position, plugin in enumerate(runner.chain.plugins):
        # portmap before 1.5 always misses the IPv6 rules of a container that has no IPv6 address.
        if position in wrong and plugin["type"] == "portmap" and _cni_rules.has_ports(cached.network, cached.owner):
            del wrong[position]
    main = runner.chain.plugins[0]
    if (
        main.get("ipMasq")
        and main.get("ipMasqBackend", "iptables") == "iptables"
        and not _cni_rules.has_masquerade(cached.network, cached.owner)
    ):
        wrong[0] = "no masquerading"  # no plug-in looks after it
    return dict(sorted(wrong.items()))


def _reconnect(runner: Runner, cached: Cached, asked: Cached) -> None:
    runner.delete(cached, cached.netns)
    again = asked.replace(config=cached.config)
    _cni_cache.write(again)
    result = runner.add(again, _cni_cache.write).result
    before, now = (_cni_result.Facts(_cni_result.as_1_0(r), asked.interface).addresses for r in (cached.result, result))
    if before != now:
        raise PyctlError(f"network {asked.network} gave {', '.join(now)} instead of {', '.join(before)}")


def _remove_bridge(name: str) -> None:
    from pyctl_plugins.network import _netlink, _rtnetlink

    with _netlink.Netlink(_netlink.ROUTE) as route:
        link = _rtnetlink.find_link(route, name)
        if link is not None:
            if link.kind != "bridge" or any(one.master == link.index for one in _rtnetlink.links(route)):
                return  # somebody else's, or shared with another network
            for failure in route.attempt(_rtnetlink.delete_link(link.index)):
                if failure is not None and failure.errno != 19:  # ENODEV
                    raise failure
    _cni_rules.remove_bridge(name)


def _is_ours(cached: Cached, host: Host) -> bool:
    """nerdctl's containers have IDs like ours, but their namespaces are pinned elsewhere or not at all."""
    container_id = cached.owner.removeprefix(f"{host.namespace}-")
    return len(container_id) == _ID_LENGTH and cached.netns.startswith(f"{host.runtime_dir}/netns/")
