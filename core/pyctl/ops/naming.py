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
_PATIENCE_S, _TRIES = 2.0, 5  # a busy machine's answer takes its time; a firewall's never comes
_DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")


def resolv_conf(session: Session, options: ContainerOptions, planned: Sequence[PlannedNetwork], kind: str) -> ResolvConf:
    """resolv.conf of a new container. Without a name server that is left, a notice says so.

    ``kind`` is its first endpoint's: empty for networks on disk. With ``dns = "resolver"`` the file is marked, so that
    ``serve`` may put the resolver in front; not before a loopback server the user chose, which is the container's own.

    Raises:
        InvalidArgumentError: a server that is no address, a search domain that is none.
    """
    from pyctl.state.resolv import check_domain, is_loopback, marked, read_host, render

    for domain in options.dns_search:
        check_domain(domain)
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

    To be called after every change of a running container's networks; does nothing unless ``dns = "resolver"``. If the
    container cannot be served (somebody else has port 53 of the gateway, a firewall is in between), its file becomes what
    it was and a notice says why: peers are in the hosts file as well.
    """
    if session.settings.network_dns != "resolver":
        return
    from pyctl.state.hosts import HostsStore
    from pyctl.state.resolv import upstreams, with_resolver, without_resolver

    paths = session.paths
    path = f"{paths.state_dir(container_id)}/resolv.conf"
    text = _text(path)
    servers = upstreams(text)
    if servers is None:
        return
    results = HostsStore(paths.data_store, session.namespace).networks_of(container_id)
    leads_out = any(_leads_out(result) for result in results.values())
    served, problem = _ask_keeper(session, container_id, tuple(results.values()), servers, leads_out=leads_out)
    if served:
        _rewrite(path, text, with_resolver(text, served))
        return
    unserve(session, container_id)
    plain = without_resolver(text)
    _rewrite(path, text, plain)
    if problem:
        session.notices.append(f"WARNING: no resolver ({problem}): the container finds its peers through its hosts file only")
    if leads_out and not any(line.startswith("nameserver") for line in plain.splitlines()):
        session.notices.append(f"WARNING: {_NO_SERVER}")


def _ask_keeper(
    session: Session, container_id: str, results: Sequence[Mapping[str, Any]], servers: Sequence[str], *, leads_out: bool
) -> tuple[list[str], str]:
    """The addresses that serve the container, one for each network, or why there are none.

    An address that is not on this host (an internal network's, a router's) is no reason to complain.
    """
    from pyctl.keeper import client as keeper
    from pyctl_hookspecs.errors import PyctlError

    gateways = [gateway for result in results for gateway in _gateways(result)]
    if not gateways:
        return [], ""
    payload = {
        "namespace": session.namespace,
        "container": container_id,
        "gateways": gateways,
        "upstreams": list(servers),
        "forward": leads_out,
    }
    paths = session.paths
    try:
        reply = keeper.request(paths.data_store, paths.runtime_dir, "serve_names", payload, data_root=paths.data_root)
    except PyctlError as error:
        return [], str(error)
    served = [next((one for one in _gateways(result) if one in reply["served"]), "") for result in results]
    served = [gateway for gateway in served if gateway]
    if not served:
        return [], ", ".join(f"port 53 of {one}: {why.lower()}" for one, why in reply["failed"].items() if why != "absent")
    for result in results:
        if served[0] in _gateways(result) and not _reaches(paths.netns(container_id), result, served[0]):
            return [], f"port 53 of {served[0]} cannot be reached from the container: does a firewall filter what comes in?"
    return served, ""


def _reaches(netns_path: str, result: Mapping[str, Any], gateway: str) -> bool:
    """Ask the resolver from within the container what the container itself is called: the host may filter its input."""
    from _socket import AF_INET, SOCK_DGRAM, socket

    from pyctl.keeper.dnswire import PTR, encode_question
    from pyctl.state.netns import inside

    mine = [str(ip["address"]).partition("/")[0] for ip in result.get("ips") or () if ip.get("gateway") == gateway]
    if ":" in gateway or not mine:
        return True  # an IPv6 address is being checked for doubles in this moment, and nothing would come through
    question = encode_question(".".join(reversed(mine[0].split("."))) + ".in-addr.arpa", PTR)
    heard: list[bytes] = []

    def ask() -> None:
        sock = socket(AF_INET, SOCK_DGRAM, 0)
        try:
            sock.settimeout(_PATIENCE_S / _TRIES)
            sock.connect((gateway, 53))
            for _ in range(_TRIES):
                sock.send(question)
                try:
                    heard.append(sock.recv(512))
                    return
                except TimeoutError:
                    continue
        except OSError:
            return  # refused: that is an answer too
        finally:
            sock.close()

    try:
        inside(netns_path, ask)
    except FileNotFoundError:
        return True  # the container ended in this moment
    return bool(heard)


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
