"""resolv.conf of a container: the host's, without what only works on the host, and with what the user asked for."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_STUB = ("127.0.0.53", "/run/systemd/resolve/resolv.conf")


class Resolver(Record):
    """What a resolv.conf says."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class ResolvConf(Record):
    """The file's text, and a sentence for the user when names will not resolve (empty otherwise)."""

    text: str
    warning: str = ""


def parse(text: str) -> Resolver:
    """Read a resolv.conf; the last ``search`` or ``domain`` counts, as in the C library."""
    nameservers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        if words[0] == "nameserver" and len(words) > 1:
            nameservers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = words[1:]
        elif words[0] == "options":
            options += words[1:]
    return Resolver(nameservers=tuple(nameservers), searches=tuple(searches), options=tuple(options))


def read_host(*, etc_path: str = "/etc/resolv.conf", stub_path: str = _STUB[1]) -> Resolver:
    """The host's resolver; behind systemd-resolved's stub the real one. A missing file is an empty one."""
    resolver = parse(_text(etc_path))
    if resolver.nameservers == (_STUB[0],):
        behind = parse(_text(stub_path))
        if behind.nameservers:
            return behind
    return resolver


def render(
    host: Resolver,
    *,
    dns: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    keep_loopback: bool = False,
    ipv6: bool = False,
) -> ResolvConf:
    """The container's resolv.conf. Each of ``dns``, ``search``, ``options`` replaces its category; search ``.`` empties it.

    Loopback name servers of the host are left out unless ``keep_loopback`` (host network), IPv6 ones without ``ipv6``.
    When none is left none is written: a public resolver nobody asked for would see every name.

    Raises:
        InvalidArgumentError: a ``dns`` that is no address.
    """
    for server in dns:
        if not _family(server):
            raise InvalidArgumentError(f"{server} is not an ip address")
    warning = ""
    servers = tuple(dns)
    if not servers:
        servers = tuple(s for s in host.nameservers if keep_loopback or _usable(s, ipv6=ipv6))
        if not servers:
            why = "no name server is configured"
            if host.nameservers:
                why = f"the host's name servers ({', '.join(host.nameservers)}) cannot be reached from a container"
            warning = f"{why}: outside names will not resolve; use --dns"
    searches = tuple(search) or host.searches
    if searches == (".",):
        searches = ()
    opts = tuple(options) or host.options
    lines = []
    if searches:
        lines.append("search " + " ".join(searches))
    lines += [f"nameserver {server}" for server in servers]
    if opts:
        lines.append("options " + " ".join(opts))
    return ResolvConf(text="".join(line + "\n" for line in lines), warning=warning)


def _usable(server: str, *, ipv6: bool) -> bool:
    family = _family(server)
    if family == 6:
        return ipv6 and server != "::1"
    return family == 4 and not server.startswith("127.")


def _family(server: str) -> int:
    from _socket import AF_INET, AF_INET6, inet_pton  # socket is 11 ms of import

    address, _, _zone = server.partition("%")
    try:
        inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except OSError:
        return 0
    return 6 if ":" in address else 4


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, IsADirectoryError):
        return ""
