"""How a container's names are resolved: its resolv.conf, and the keeper's resolver where the configuration wants it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from pyctl.ops.networking import PlannedNetwork
    from pyctl.ops.session import Session
    from pyctl.spec.options import ContainerOptions
    from pyctl.state.resolv import ResolvConf

_NO_SERVER = "no name server can be reached from the container: outside names will not resolve; use --dns"
_DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")


def resolv_conf(session: Session, options: ContainerOptions, planned: Sequence[PlannedNetwork], kind: str) -> ResolvConf:
    """resolv.conf of a new container. Without a name server that is left, a notice says so.

    ``kind`` is its first endpoint's: empty for networks on disk. With ``dns = "resolver"`` the file is marked, so that
    ``serve`` may put the resolver in front; not before a loopback server the user chose, which is the container's own.

    Raises:
        InvalidArgumentError: a server that is no address.
    """
    from pyctl.state.resolv import is_loopback, marked, read_host, render

    settings = session.settings
    host = read_host()
    own = options.dns or settings.dns
    has_ipv6_servers = any(":" in server for server in host.nameservers)
    conf = render(
        host,
        dns=own,
        search=options.dns_search or settings.dns_search,
        options=options.dns_option or settings.dns_opts,
        keep_loopback=kind == "host",
        ipv6=has_ipv6_servers and (kind == "ns" or any(_has_ipv6(p.request.conflist) for p in planned)),
    )
    if not kind and settings.network_dns == "resolver" and not any(is_loopback(server) for server in own):
        return marked(conf, is_own=bool(own))
    if conf.warning and kind not in ("none", "container"):
        session.notices.append(f"WARNING: {conf.warning}")
    return conf


def _has_ipv6(conflist: str) -> bool:
    import json

    for plugin in json.loads(conflist)["plugins"] if conflist else ():
        ipam = plugin.get("ipam") or {}
        ranges = [one for group in ipam.get("ranges") or () for one in group]
        if any(":" in one.get("subnet", "") for one in (*ranges, ipam)):
            return True
    return False


def serve(session: Session, container_id: str) -> None:
    """Have the keeper answer an entered container's questions, and put it into the container's resolv.conf.

    To be called with ``dns = "resolver"`` after every change of the container's networks. If the keeper cannot listen
    (somebody else has port 53 of the gateway), the file stays as it is and a notice says so: peers are in the hosts file.
    """
    from pyctl.keeper import client as keeper
    from pyctl.state.hosts import HostsStore
    from pyctl.state.resolv import upstreams, with_resolver, without_resolver
    from pyctl_hookspecs.errors import PyctlError

    paths = session.paths
    path = f"{paths.state_dir(container_id)}/resolv.conf"
    text = _text(path)
    servers = upstreams(text)
    if servers is None:
        return
    results = HostsStore(paths.data_store, session.namespace).networks_of(container_id)
    gateways = [gateway for result in results.values() for gateway in _gateways(result)]
    leads_out = any(_leads_out(result) for result in results.values())
    payload = {
        "namespace": session.namespace,
        "container": container_id,
        "gateways": gateways,
        "upstreams": list(servers),
        "forward": leads_out,
    }
    served: list[str] = []
    failed: dict[str, str] = {}
    if gateways:
        try:
            reply = keeper.request(paths.data_store, paths.runtime_dir, "serve_names", payload, data_root=paths.data_root)
            served, failed = reply["served"], reply["failed"]
        except PyctlError as error:
            failed = {gateways[0]: str(error)}
    if served:
        chosen = [next((g for g in _gateways(result) if g in served), "") for result in results.values()]
        _rewrite(path, text, with_resolver(text, [gateway for gateway in chosen if gateway]))
        return
    plain = without_resolver(text)
    _rewrite(path, text, plain)
    taken = ", ".join(f"port 53 of {address}: {why}" for address, why in failed.items() if why != "absent")
    if taken:
        session.notices.append(
            f"WARNING: the resolver cannot listen ({taken}): the container finds its peers through its hosts file only"
        )
    if leads_out and "nameserver" not in plain:
        session.notices.append(f"WARNING: {_NO_SERVER}")


def unserve(session: Session, container_id: str) -> None:
    """The opposite of ``serve``. Costs a look at the disk for a container that was not served; safe to repeat."""
    from pyctl.keeper.wire import keeper_dir

    paths = session.paths
    wish = f"{keeper_dir(paths.data_store)}/names/{session.namespace}-{container_id}.json"
    if not os.path.exists(wish):
        return
    from pyctl.keeper import client as keeper
    from pyctl.state.resolv import without_resolver
    from pyctl_hookspecs.errors import UnavailableError

    path = f"{paths.state_dir(container_id)}/resolv.conf"
    text = _text(path)
    _rewrite(path, text, without_resolver(text))
    payload = {"namespace": session.namespace, "container": container_id}
    try:
        keeper.request_if_running(paths.data_store, paths.runtime_dir, "forget_names", payload, data_root=paths.data_root)
    except UnavailableError:
        if os.path.exists(wish):  # nobody listens, and the next keeper shall not
            os.unlink(wish)


def _gateways(result: Mapping[str, Any]) -> list[str]:
    """The gateways in a CNI result, IPv4 first; none where the host's end has no interface to have the address on."""
    if not any(not interface.get("sandbox") for interface in result.get("interfaces") or ()):
        return []
    found = dict.fromkeys(ip["gateway"] for ip in result.get("ips") or () if ip.get("gateway"))
    return sorted(found, key=lambda gateway: ":" in gateway)


def _leads_out(result: Mapping[str, Any]) -> bool:
    return any(route.get("dst") in _DEFAULT_ROUTES for route in result.get("routes") or ())


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _rewrite(path: str, old: str, new: str) -> None:
    """In place: a mounted file is known by its inode. One write, then cut, so that nobody reads half a line."""
    if new == old:
        return
    data = new.encode(errors="surrogateescape")
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(fd, data + b"\n" * (len(old.encode(errors="surrogateescape")) - len(data)), 0)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)
