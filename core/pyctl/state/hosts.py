"""/etc/hosts of every container, kept together in one store so that peers on a network find each other by name.

nerdctl's store and format: ``etchosts/<namespace>/<id>/{hosts,meta.json}`` under a lock on the namespace's directory.
"""

from __future__ import annotations

import os

from pyctl.keeper.names import addresses
from pyctl.state.hosts_file import Peers, region, write_region
from pyctl.state.locks import lock_directory, make_private, read_whole, sweep, write_atomic
from pyctl_hookspecs import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_META = "meta.json"
_LEAVING = ".tmp-leaving"  # a ``meta.json`` that counts no more, until no peer's file has it either
_ENTERING = ".tmp-entering"  # stands beside it until every peer's file has it


class HostsEntry(Record):
    """One container in the store. ``networks`` pairs a network's name with its CNI result as JSON text.

    ``extra_hosts`` pairs a host name with its address, ``aliases`` a network's name with one more name for peers there.
    """

    container_id: str
    container_name: str
    hostname: str
    domainname: str = ""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    networks: tuple[tuple[str, str], ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()


class HostsStore:
    """The store of one containerd namespace under a data store.

    A change rewrites the hosts files of everybody on the same networks, in the order of the IDs, under the lock. Many
    changes at once share their rewriting: whoever gets the lock and finds its own change in the last file is done.
    """

    def __init__(self, data_store: str, namespace: str) -> None:
        self._root = os.path.join(data_store, "etchosts", namespace)

    def prepare(self, container_id: str, content: str = "") -> str:
        """Make the hosts file (0644) that will be mounted, and return its path; an existing one keeps its content.

        A mounted file is known by its inode: from now on it is only ever rewritten in place.
        """
        directory = os.path.join(self._root, container_id)
        path = os.path.join(directory, "hosts")
        make_private(directory)
        if not os.path.exists(path):
            write_atomic(path, content, mode=0o644, durable=False)
        return path

    def acquire(self, entry: HostsEntry) -> None:
        """Enter a container with its addresses: its own file and its peers' now know it. Repeating it replaces.

        Who still stands there with one of these addresses is gone, or it would have kept it: it is taken out.
        """
        networks = {name: _loads(result) for name, result in entry.networks if result}
        meta: dict[str, Any] = {
            "ID": entry.container_id,
            "Networks": networks,
            "Hostname": entry.hostname,
            "ExtraHosts": dict(entry.extra_hosts),
            "Name": entry.container_name,
            "Domainname": entry.domainname,
        }
        aliases: dict[str, list[str]] = {}
        for network, alias in entry.aliases:
            aliases.setdefault(network, []).append(alias)
        if aliases:
            meta["Aliases"] = aliases  # ours: nerdctl passes over it
        path = self.prepare(entry.container_id)
        old = self._meta(entry.container_id) or self._meta(entry.container_id, _LEAVING)
        if old is None:
            write_region(path, "")  # what it knew when it last ran must not be taken for somebody's rewriting
        was_broken_off = not self.is_settled(entry.container_id)
        write_atomic(f"{self._root}/{entry.container_id}/{_ENTERING}", b"", durable=False)
        self._save(entry.container_id, meta)  # before the lock, so that whoever has it may enter it along with theirs
        with lock_directory(self._root):
            if was_broken_off or old is not None or not self._is_done(meta, is_in=True):
                metas = self.metas()
                touched = {*networks, *(old or {}).get("Networks", ())}
                if was_broken_off:  # which networks it had before is not known any more
                    touched |= _all_networks(metas)
                for container_id in self._evict(metas, entry.container_id, networks):
                    touched.update(metas[container_id].get("Networks") or ())
                self._rewrite(metas, touched, entry.container_id)
            for done in (_LEAVING, _ENTERING):
                self._unlink(entry.container_id, done)
            sweep(f"{self._root}/{entry.container_id}")

    def is_settled(self, container_id: str) -> bool:
        """False when one who entered the container, or changed its networks, was killed: peers' files may not agree."""
        return not os.path.exists(f"{self._root}/{container_id}/{_ENTERING}")

    def release(self, container_id: str, along: Iterable[str] = ()) -> None:
        """The container has no addresses any more: its peers forget it, its own hosts file stays.

        ``along``: others that are over as well. One rewriting takes all of them out, and theirs finds nothing left to do.
        """
        meta = self._meta(container_id)
        if meta is not None:
            self._rename(container_id, _META, _LEAVING)
        else:
            meta = self._meta(container_id, _LEAVING)  # somebody was killed in the middle of this
        if meta is None:
            sweep(f"{self._root}/{container_id}")
            return
        with lock_directory(self._root):
            self._rename(container_id, _META, _LEAVING)  # once more: one who had the lock may just have changed it
            # Where one was killed while it entered this container, some of the files have it and the last may not.
            is_settled = self.is_settled(container_id)
            if not is_settled or not self._is_done(meta, is_in=False):
                leaving = {container_id: meta}
                for other in along:
                    theirs = self._leave_along(other)
                    if theirs is not None:
                        leaving[other] = theirs
                metas = self.metas()
                self._rewrite(metas, _all_networks(leaving) | (set() if is_settled else _all_networks(metas)))
                for other in leaving:
                    self._unlink(other, _LEAVING)
            for done in (_ENTERING, _LEAVING):
                self._unlink(container_id, done)
            sweep(f"{self._root}/{container_id}")

    def _leave_along(self, container_id: str) -> dict[str, Any] | None:
        """Its ``meta.json``, which counts no more; None if it has none, or has to see to all its peers itself."""
        meta = self._meta(container_id) if self.is_settled(container_id) else None
        if meta is not None:
            self._rename(container_id, _META, _LEAVING)
        return meta

    def _is_done(self, meta: Mapping[str, Any], *, is_in: bool) -> bool:
        """Has somebody who had the lock before written this container into its peers' files, or out of them?

        Seen from the files a rewriting reaches last, back to one that only a rewriting for this very network touches.
        For several networks at once there is no such file.
        """
        networks = set(meta.get("Networks") or ())
        mine = Peers((meta,)).lines()
        if len(networks) != 1 or not mine:
            return False
        has_peers = False
        for container_id in sorted(os.listdir(self._root), reverse=True):
            theirs = set((self._meta(container_id) or {}).get("Networks") or ())
            content = read_whole(f"{self._root}/{container_id}/hosts") if networks <= theirs else None
            if content is None:
                continue
            has_peers = True
            for line in mine:
                # Another line with the address is about one that is gone, and must go.
                if (line in content) != is_in or (is_in and content.count(b"\n" + line.split(b" ", 1)[0] + b" ") != 1):
                    return False
            if theirs == networks:
                return True
        return not has_peers and not is_in

    def _evict(self, metas: dict[str, dict[str, Any]], container_id: str, networks: Mapping[str, Any]) -> list[str]:
        """Take the addresses of ``networks`` away from everybody else; the IDs of those who had one."""
        taken = {(network, address) for network, result in networks.items() for address in addresses(result)}
        found = []
        for other, meta in metas.items():
            if other == container_id:
                continue
            for network, result in list((meta.get("Networks") or {}).items()):
                if any((network, address) in taken for address in addresses(result)):
                    del meta["Networks"][network]
                    self._save(other, meta)
                    found.append(other)
        return found

    def remove(self, container_id: str) -> None:
        """Forget a container altogether, its hosts file included. One that is not there counts as removed."""
        directory = os.path.join(self._root, container_id)
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return
        if _META in names or _LEAVING in names:
            self.release(container_id)
        with lock_directory(self._root):
            try:
                for leftover in os.listdir(directory):
                    os.unlink(os.path.join(directory, leftover))
                os.rmdir(directory)
            except FileNotFoundError:
                pass

    def entry(self, container_id: str) -> HostsEntry | None:
        """What was entered; None for a container that is not there. ``acquire`` it again to change it."""
        import json

        meta = self._meta(container_id)
        if meta is None:
            return None
        aliases = meta.get("Aliases") or {}
        return HostsEntry(
            container_id=container_id,
            container_name=meta.get("Name") or "",
            hostname=meta.get("Hostname") or "",
            domainname=meta.get("Domainname") or "",
            extra_hosts=tuple((meta.get("ExtraHosts") or {}).items()),
            networks=tuple((name, json.dumps(result)) for name, result in (meta.get("Networks") or {}).items()),
            aliases=tuple((network, alias) for network, names in aliases.items() for alias in names),
        )

    def metas(self) -> dict[str, dict[str, Any]]:
        """Every entered container's ``meta.json``, by container ID; unreadable ones are left out."""
        try:
            names = sorted(os.listdir(self._root))
        except FileNotFoundError:
            return {}
        found = ((name, self._meta(name)) for name in names)
        return {name: meta for name, meta in found if meta is not None}

    def networks_of(self, container_id: str) -> dict[str, dict[str, Any]]:
        """The CNI results of an entered container by network; empty for one that is not entered."""
        return dict((self._meta(container_id) or {}).get("Networks") or {})

    def _meta(self, container_id: str, name: str = _META) -> dict[str, Any] | None:
        try:
            meta = _loads(read_whole(f"{self._root}/{container_id}/{name}") or b"null")
        except ValueError:
            return None
        return meta if isinstance(meta, dict) else None

    def _save(self, container_id: str, meta: Mapping[str, Any]) -> None:
        import json

        path = os.path.join(self._root, container_id, _META)
        write_atomic(path, json.dumps(meta, separators=(",", ":")), durable=False)

    def _rename(self, container_id: str, old: str, new: str) -> None:
        try:
            os.rename(f"{self._root}/{container_id}/{old}", f"{self._root}/{container_id}/{new}")
        except FileNotFoundError:
            pass

    def _unlink(self, container_id: str, name: str) -> None:
        try:
            os.unlink(os.path.join(self._root, container_id, name))
        except FileNotFoundError:
            pass

    def _rewrite(self, metas: Mapping[str, Mapping[str, Any]], touched: set[str], container_id: str = "") -> None:
        """Write the files of everybody on the ``touched`` networks, and of ``container_id`` in any case."""
        peers = Peers(metas.values())
        for other in sorted(metas):
            meta = metas[other]
            if other == container_id or touched & set(meta.get("Networks") or ()):
                write_region(os.path.join(self._root, other, "hosts"), region(meta, peers))


def _all_networks(metas: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Every network that one of them is on."""
    return {name for meta in metas.values() for name in meta.get("Networks") or ()}


def _loads(text: str | bytes) -> Any:
    import json

    return json.loads(text)
