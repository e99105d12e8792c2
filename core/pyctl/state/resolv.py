"""resolv.conf of a container: the host's, without what only works on the host, and with what the user asked for."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_STUB = ("127.0.0.53", "/run/systemd/resolve/resolv.conf")
_MOST = 3  # name servers the C library looks at
_LONGEST_DOMAIN = 254
_MARK = "# pyctl's resolver stands before these while the container runs, and asks "
_OWN, _HOST = "them", "the host's"
_ACTIVE = "# pyctl's resolver:"


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


def check_domain(text: str) -> None:
    """
    Raises:
        InvalidArgumentError: Docker would not take it for ``--dns-search``.
    """
    name = text.strip()
    if name == ".":
        return
    has_labels = all(
        label.strip("-") == label and label.replace("-", "a").isalnum() for label in name.removesuffix(".").split(".")
    )
    if not (has_labels and name.isascii() and any(map(str.isalpha, name)) and len(name) <= _LONGEST_DOMAIN):
        raise InvalidArgumentError(
            f'invalid argument "{text}" for "--dns-search" flag: {text} is not a valid domain', exit_code=125
        )


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

    Loopback name servers of the host are left out, and IPv6 ones without ``ipv6`` or with a zone, which is an interface
    of the host; ``keep_loopback`` (host network) keeps them all. When none is left none is written, and the warning says
    so: names then fail at once, because the C library asks the container's own loopback. A public resolver that nobody
    asked for would see every name.

    Raises:
        InvalidArgumentError: a ``dns`` that is no address.
    """
    for server in dns:
        if not _family(server):
            raise InvalidArgumentError(f"{server} is not an ip address", exit_code=125)
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


def marked(conf: ResolvConf, *, is_own: bool) -> ResolvConf:
    """The same file, which may later name a resolver of ours; ``is_own`` says that the user chose the servers."""
    return ResolvConf(text=f"{_MARK}{_OWN if is_own else _HOST}\n{conf.text}", warning=conf.warning)


def upstreams(text: str) -> tuple[str, ...] | None:
    """Whom a resolver asks for the container of a marked file, empty for the host's servers; None without the mark.

    A file without it is the user's own, or was made when there was no resolver.
    """
    for line in text.splitlines():
        if line.startswith(_MARK):
            own = parse(without_resolver(text)).nameservers
            return own if line.removeprefix(_MARK).strip() == _OWN else ()
    return None


def with_resolver(text: str, gateways: Sequence[str]) -> str:
    """The marked file with our resolver at ``gateways`` as its only name server; search and options stay."""
    lines = [f"#{line}" if line.startswith("nameserver") else line for line in without_resolver(text).splitlines()]
    lines += [_ACTIVE, *(f"nameserver {gateway}" for gateway in gateways[:_MOST])]
    return "".join(line + "\n" for line in lines)


def without_resolver(text: str) -> str:
    """The file as it was before ``with_resolver``, if that was ever called."""
    lines = text.splitlines()
    if _ACTIVE not in lines:
        return text
    kept = [line for line in lines if line != _ACTIVE and not line.startswith("nameserver")]
    return "".join((line[1:] if line.startswith("#nameserver") else line) + "\n" for line in kept)


def is_loopback(server: str) -> bool:
    return server.startswith("127.") or server == "::1"


def _usable(server: str, *, ipv6: bool) -> bool:
    family = _family(server)
    if family == 6:
        return ipv6 and not is_loopback(server) and "%" not in server
    return family == 4 and not is_loopback(server)


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
