"""/etc/hosts of every container, kept together in one store so that peers on a network find each other by name.

nerdctl's store and format: ``etchosts/<namespace>/<id>/{hosts,meta.json}`` under a lock on the namespace's directory.
"""

from __future__ import annotations

import os

from pyctl.state.locks import lock_directory, write_atomic
from pyctl_hookspecs import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_BEGIN, _END = "# <nerdctl>", "# </nerdctl>"
_LOCALHOST = ("localhost", "localhost.localdomain")
_DEFAULT_NETWORK = "bridge"


class HostsEntry(Record):
    """One container in the store. ``networks`` pairs a network's name with its CNI result as JSON text.

    ``extra_hosts`` pairs a host name with its address.
    """

    container_id: str
    container_name: str
    hostname: str
    domainname: str = ""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    networks: tuple[tuple[str, str], ...] = ()


class HostsStore:
    """The store of one containerd namespace under a data store. Every change rewrites all hosts files there."""

    def __init__(self, data_store: str, namespace: str) -> None:
        self._root = os.path.join(data_store, "etchosts", namespace)

    def prepare(self, container_id: str, content: str = "") -> str:
        """Make the hosts file (0644) that will be mounted, and return its path; an existing one keeps its content.

        A mounted file is known by its inode: from now on it is only ever rewritten in place.
        """
        directory = os.path.join(self._root, container_id)
        path = os.path.join(directory, "hosts")
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if not os.path.exists(path):
            write_atomic(path, content, mode=0o644, durable=False)
        return path

    def acquire(self, entry: HostsEntry) -> None:
        """Enter a container with its addresses: its own file and its peers' now know it. Repeating it replaces."""
        import json

        networks = {name: json.loads(result) for name, result in entry.networks if result}
        meta = {
            "ID": entry.container_id,
            "Networks": networks,
            "Hostname": entry.hostname,
            "ExtraHosts": dict(entry.extra_hosts),
            "Name": entry.container_name,
            "Domainname": entry.domainname,
        }
        with lock_directory(self._root):
            self.prepare(entry.container_id)
            path = os.path.join(self._root, entry.container_id, "meta.json")
            write_atomic(path, json.dumps(meta, separators=(",", ":")), durable=False)
            self._rewrite()

    def release(self, container_id: str) -> None:
        """The container has no addresses any more: its peers forget it, its own hosts file stays."""
        with lock_directory(self._root):
            self._unlink(container_id, "meta.json")
            self._rewrite()

    def rename(self, container_id: str, container_name: str) -> None:
        """Give a container another name in everybody's file; one that is not entered is left out."""
        import json

        with lock_directory(self._root):
            meta = self._meta(container_id)
            if meta is None:
                return
            meta["Name"] = container_name
            path = os.path.join(self._root, container_id, "meta.json")
            write_atomic(path, json.dumps(meta, separators=(",", ":")), durable=False)
            self._rewrite()

    def remove(self, container_id: str) -> None:
        """Forget a container altogether, its hosts file included. One that is not there counts as removed."""
        if not os.path.isdir(os.path.join(self._root, container_id)):
            return
        with lock_directory(self._root):
            known = self._unlink(container_id, "meta.json")
            self._unlink(container_id, "hosts")
            directory = os.path.join(self._root, container_id)
            try:
                for leftover in os.listdir(directory):
                    os.unlink(os.path.join(directory, leftover))
                os.rmdir(directory)
            except FileNotFoundError:
                pass
            if known:
                self._rewrite()

    def metas(self) -> dict[str, dict[str, Any]]:
        """Every entered container's ``meta.json``, by container ID; unreadable ones are left out."""
        try:
            names = sorted(os.listdir(self._root))
        except FileNotFoundError:
            return {}
        found = ((name, self._meta(name)) for name in names)
        return {name: meta for name, meta in found if meta is not None}

    def _meta(self, container_id: str) -> dict[str, Any] | None:
        import json

        try:
            with open(os.path.join(self._root, container_id, "meta.json"), "rb") as file:
                meta = json.loads(file.read())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return meta if isinstance(meta, dict) else None

    def _unlink(self, container_id: str, name: str) -> bool:
        try:
            os.unlink(os.path.join(self._root, container_id, name))
        except FileNotFoundError:
            return False
        return True

    def _rewrite(self) -> None:
        metas = self.metas()
        peers = Peers(metas.values())
        for container_id, meta in metas.items():
            path = os.path.join(self._root, container_id, "hosts")
            try:
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # made with a hosts file of its own
            try:
                old = _read_all(fd)
                new = with_region(old.decode(errors="surrogateescape"), region(meta, peers)).encode(errors="surrogateescape")
                if new != old:
                    os.pwrite(fd, new, 0)  # one write, then cut: a reader never sees an empty file
                    os.ftruncate(fd, len(new))
            finally:
                os.close(fd)


class Peers:
    """The lines about everybody, made once per set of networks: with a hundred containers most sets are the same."""

    def __init__(self, metas: Iterable[Mapping[str, Any]]) -> None:
        self._lines: list[tuple[str, str]] = []
        for meta in metas:
            for network, result in (meta.get("Networks") or {}).items():
                text = "".join(_line(address, _names(meta, network)) for address in addresses(result))
                self._lines.append((network, text))
        self._known: dict[frozenset[str], str] = {}

    def of(self, networks: Iterable[str]) -> str:
        """The lines about every container that shares one of these networks."""
        key = frozenset(networks)
        if key not in self._known:
            self._known[key] = "".join(text for network, text in self._lines if network in key)
        return self._known[key]


def region(meta: Mapping[str, Any], peers: Peers) -> str:
    """The generated lines of one container's hosts file, without the markers."""
    lines = [_line("127.0.0.1", _LOCALHOST), _line("::1", _LOCALHOST)]
    lines += [_line(address, (host,)) for host, address in (meta.get("ExtraHosts") or {}).items()]
    return "".join(lines) + peers.of(meta.get("Networks") or {})


def with_region(text: str, generated: str) -> str:
    """Replace the marked region, or put it at the end; what stands outside is kept.

    A region whose end is missing (somebody wrote the file by hand) is taken to be as long as the file.
    """
    block = f"{_BEGIN}\n{generated}{_END}\n"
    before, begin, rest = text.partition(_BEGIN + "\n")
    if not begin:
        return text + ("" if not text or text.endswith("\n") else "\n") + block
    _old, end, after = rest.partition(_END)
    return before + block + (after.removeprefix("\n") if end else "")


def addresses(result: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The addresses in a CNI result, without their prefix lengths."""
    return tuple(ip["address"].partition("/")[0] for ip in (result or {}).get("ips") or ())


def _names(meta: Mapping[str, Any], network: str) -> tuple[str, ...]:
    hostname, domain, name = (meta.get(key) or "" for key in ("Hostname", "Domainname", "Name"))
    names = []
    if hostname:
        if domain:
            names.append(f"{hostname}.{domain}")
        names.append(hostname)
        if network != _DEFAULT_NETWORK:
            names.append(f"{hostname}.{network}")
    if name:
        names.append(name)
        if network != _DEFAULT_NETWORK:
            names.append(f"{name}.{network}")
    return tuple(dict.fromkeys(names))


def _line(address: str, names: Iterable[str]) -> str:
    return f"{address:<15} {' '.join(names)}\n"


def _read_all(fd: int) -> bytes:
    data = b""
    while piece := os.read(fd, 1 << 16):
        data += piece
    return data
