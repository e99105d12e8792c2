"""Where a registry name leads: ``hosts.toml`` mirrors, Docker-style certificates, and the default."""

from __future__ import annotations

from pyctl_hookspecs import InvalidArgumentError, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RESOLVE = "resolve"
PULL = "pull"
_ALL = ("pull", "resolve", "push")


class Endpoint(Record):
    """One place to ask. ``schemes`` are tried in order; ``path`` is what stands before ``/<repository>/manifests``.

    ``namespace`` is sent as ``?ns=`` to mirrors, so that one of them can serve several registries.
    """

    host: str
    path: str = "/v2"
    schemes: tuple[str, ...] = ("https",)
    capabilities: tuple[str, ...] = _ALL
    ca_files: tuple[str, ...] = ()
    client_certs: tuple[tuple[str, str], ...] = ()
    skip_verify: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    namespace: str = ""


def endpoints(domain: str, hosts_dirs: tuple[str, ...], *, insecure: bool = False) -> tuple[Endpoint, ...]:
    """Every place that may have images of ``domain``, in the order to ask them. Reads files, sends nothing.

    Keys nobody here knows are passed over: the files are containerd's, and newer ones than ours must keep working.

    Raises:
        InvalidArgumentError: a ``hosts.toml`` that cannot be understood; names the file.
    """
    import os

    folder = next((folder for directory in hosts_dirs for folder in _folders(domain, directory)), "")
    if not folder:
        return (_default(domain, insecure=insecure),)
    file = os.path.join(folder, "hosts.toml")
    if os.path.isfile(file):
        return _from_toml(domain, file, insecure=insecure)
    return (_with_docker_certs(_default(domain, insecure=insecure), folder),)


def is_configured(domain: str, hosts_dir: str) -> bool:
    """Does this directory say anything about ``domain``?"""
    return bool(_folders(domain, hosts_dir))


def is_loopback(host: str) -> bool:
    """Does ``host[:port]`` mean this machine? Only there is plain http no risk."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name == "localhost" or name.endswith(".localhost") or name.startswith("127.") or name == "::1"


def _folders(domain: str, hosts_dir: str) -> list[str]:
    import os

    folders = [os.path.join(hosts_dir, name) for name in _directory_names(domain)]
    return [folder for folder in folders if os.path.isdir(folder)]


def _directory_names(domain: str) -> list[str]:
    host, colon, port = domain.rpartition(":")
    names = [domain]
    if colon and port.isdigit():
        names = [f"{host}_{port}_", domain]
    elif not domain.endswith("]"):
        names.append(f"{domain}:443")
    return [*names, "_default"]


def _default(domain: str, *, insecure: bool) -> Endpoint:
    host = "registry-1.docker.io" if domain == "docker.io" else domain
    return Endpoint(host=host, schemes=_schemes(host, insecure=insecure), skip_verify=insecure)


def _schemes(host: str, *, insecure: bool) -> tuple[str, ...]:
    if insecure:
        return ("https", "http")
    return ("http", "https") if is_loopback(host) and not host.endswith(":443") else ("https",)


def _with_docker_certs(endpoint: Endpoint, folder: str) -> Endpoint:
    import os

    names = sorted(os.listdir(folder))
    path = {name: os.path.join(folder, name) for name in names}
    for name in names:
        stem, dot, kind = name.rpartition(".")
        if dot and kind in {"cert", "key"} and f"{stem}.cert" not in path:
            raise InvalidArgumentError(f"{path[name]}: the client certificate {stem}.cert is missing")
        if dot and kind in {"cert", "key"} and f"{stem}.key" not in path:
            hint = "certificates of authorities end in .crt"
            raise InvalidArgumentError(f"{path[name]}: its key {stem}.key is missing", hint=hint)
    pairs = tuple((path[name], path[f"{name[:-5]}.key"]) for name in names if name.endswith(".cert"))
    authorities = tuple(path[n] for n in names if n.endswith(".crt"))
    if not pairs and not authorities:
        return endpoint
    # Certificates say that TLS is meant, even on loopback.
    schemes = endpoint.schemes if endpoint.skip_verify else ("https",)
    return endpoint.replace(ca_files=authorities, client_certs=pairs, schemes=schemes)


def _from_toml(domain: str, file: str, *, insecure: bool) -> tuple[Endpoint, ...]:
    import tomllib

    try:
        with open(file, "rb") as stream:
            table = tomllib.load(stream)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidArgumentError(f"{file}: {error}") from error
    hosts = table.pop("host", {})
    if not isinstance(hosts, dict):
        raise InvalidArgumentError(f"{file}: host: must be a table")
    found = [_from_table(domain, url, host, file, insecure=insecure) for url, host in hosts.items()]
    server = table.pop("server", "")
    if not isinstance(server, str):
        raise InvalidArgumentError(f"{file}: server: must be a string")
    fallback = _default(domain, insecure=insecure)
    last = _from_table(domain, server or fallback.host, table, file, insecure=insecure)
    if not any(endpoint.host == last.host and endpoint.path == last.path for endpoint in found):
        found.append(last)
    return tuple(found)


def _from_table(domain: str, url: str, table: Any, file: str, *, insecure: bool) -> Endpoint:
    import os

    where = f'{file}: host "{url}"'
    if not isinstance(table, dict):
        raise InvalidArgumentError(f"{where}: must be a table")
    scheme, marker, rest = url.partition("://")
    if not marker:
        scheme, rest = "", url
    elif scheme not in {"http", "https"}:
        raise InvalidArgumentError(f"{where}: the scheme must be http or https")
    host, _, path = rest.partition("/")
    if not host:
        raise InvalidArgumentError(f"{where}: no host name")
    path = path.strip("/")
    if not _switch(table, "override_path", where) and path != "v2" and not path.endswith("/v2"):
        path = f"{path}/v2" if path else "v2"
    folder = os.path.dirname(file)
    skip_verify = _switch(table, "skip_verify", where) or insecure
    capabilities = _strings(table.get("capabilities", list(_ALL)), f"{where}: capabilities")
    if not set(capabilities) <= set(_ALL):
        raise InvalidArgumentError(f"{where}: capabilities: only pull, resolve and push are known")
    ca_files = tuple(os.path.join(folder, name) for name in _strings(table.get("ca", []), f"{where}: ca"))
    client_certs = _client_certs(table.get("client", []), folder, f"{where}: client")
    upstream = "registry-1.docker.io" if domain == "docker.io" else domain
    schemes: tuple[str, ...] = (scheme,)
    if not scheme:
        schemes = ("https",) if ca_files or client_certs else _schemes(host, insecure=insecure)
    return Endpoint(
        host=host,
        path=f"/{path}" if path else "",
        schemes=schemes,
        capabilities=capabilities,
        ca_files=ca_files,
        client_certs=client_certs,
        skip_verify=skip_verify,
        headers=_headers(table.get("header", {}), f"{where}: header"),
        namespace="" if host == upstream else domain,
    )


def _switch(table: dict[str, Any], name: str, where: str) -> bool:
    """Only true is true: the text "false" must not turn verification off."""
    value = table.get(name, False)
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{where}: {name}: must be true or false")
    return value


def _strings(value: Any, where: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise InvalidArgumentError(f"{where}: must be a string or a list of strings")
    return tuple(values)


def _client_certs(value: Any, folder: str, where: str) -> tuple[tuple[str, str], ...]:
    import os

    pairs = []
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        raise InvalidArgumentError(f"{where}: must be a file or a list of them")
    for item in values:
        pair = _strings(item, where)
        if len(pair) not in (1, 2):
            raise InvalidArgumentError(f"{where}: a certificate file, or a pair of certificate and key")
        certificate = os.path.join(folder, pair[0])
        pairs.append((certificate, os.path.join(folder, pair[1]) if len(pair) == 2 and pair[1] else certificate))
    return tuple(pairs)


def _headers(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"{where}: must be a table")
    return tuple((name, text) for name, texts in value.items() for text in _strings(texts, f"{where}: {name}"))
