"""Who is called what on which network: read from the store of hosts files, and read again as soon as that changes."""

from __future__ import annotations

import json
import os
import time

from .dnswire import pack_address
from .names import addresses, names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Signature = tuple[int, int, int]

_FRESH_S = 0.002  # several questions in one breath share a look at the store
_UNSETTLED_NS = 50_000_000  # a file's time is as fine as a clock tick: what changed just now may have changed again


class Asker:
    """Somebody who asks: a container, and the networks it is on."""

    __slots__ = ("key", "namespace", "networks")

    def __init__(self, namespace: str, key: str, networks: tuple[str, ...]) -> None:
        self.namespace, self.key, self.networks = namespace, key, networks


class Directory:
    """The entered containers of some containerd namespaces of one data store. Keys are ``<namespace>-<container>``."""

    def __init__(self, data_store: str) -> None:
        self._base = f"{data_store}/etchosts"
        self._stores: dict[str, _Store] = {}
        self._looked = 0.0

    def include(self, namespace: str) -> None:
        self._stores.setdefault(namespace, _Store(self._base, namespace))
        self._looked = 0.0

    def retain(self, namespaces: set[str]) -> None:
        """Leave out whom nobody asks for any more."""
        for namespace in set(self._stores) - namespaces:
            del self._stores[namespace]

    def expire(self) -> None:
        """Have the next question look at the store, however soon it comes."""
        self._looked = 0.0

    def hide(self, key: str) -> None:
        """A container's process is gone: until it is entered anew nobody finds it."""
        self._looked = 0.0
        for store in self._stores.values():
            store.hide(key)

    def find_asker(self, address: bytes) -> Asker | None:
        """The container with this address; if a dead one still stands there with it, the one entered last."""
        self._look()
        found = [(store.by_address[address], store.namespace) for store in self._stores.values() if address in store.by_address]
        if not found:
            return None
        (_, container_id), namespace = max(found)
        networks = tuple(self._stores[namespace].networks[container_id])
        return Asker(namespace, f"{namespace}-{container_id}", networks)

    def find(self, asker: Asker, name: str) -> list[tuple[int, bytes]] | None:
        """Record types and addresses of a name on the asker's networks; None if nobody there is called so."""
        self._look()
        store = self._stores.get(asker.namespace)
        found: dict[tuple[int, bytes], None] = {}
        for network in asker.networks if store else ():
            assert store
            found.update(dict.fromkeys(store.by_name.get((network, name), ())))
        return list(found) or None

    def find_name(self, asker: Asker, address: bytes) -> str:
        """The name of the container on the asker's networks that has this address, empty if none has."""
        self._look()
        store = self._stores.get(asker.namespace)
        reverse = store.reverse if store else {}
        return next((reverse[network, address] for network in asker.networks if (network, address) in reverse), "")

    def is_entered(self, namespace: str, container_id: str) -> bool:
        return os.path.exists(f"{self._base}/{namespace}/{container_id}/meta.json")

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < _FRESH_S:
            return
        for store in self._stores.values():
            store.look()
        self._looked = now


class _Store:
    def __init__(self, base: str, namespace: str) -> None:
        self.namespace = namespace
        self._root = f"{base}/{namespace}"
        self._root_time = -1
        self._members: list[str] = []
        self._metas: dict[str, tuple[Signature, dict[str, Any]]] = {}
        self._unsettled: set[str] = set()
        self._hidden: dict[str, Signature] = {}
        self.by_address: dict[bytes, tuple[int, str]] = {}
        self.by_name: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
        self.networks: dict[str, list[str]] = {}
        self.reverse: dict[tuple[str, bytes], str] = {}

    def hide(self, key: str) -> None:
        container_id = key.removeprefix(f"{self.namespace}-")
        self.look()
        if container_id in self._metas:
            self._hidden[container_id] = self._metas[container_id][0]
            self._index()

    def look(self) -> None:
        """Notice what changed. Costs a stat for each member, about a microsecond."""
        is_changed = self._list()
        for container_id in self._members:
            path = f"{self._root}/{container_id}/meta.json"
            try:
                signature = _signature(os.stat(path))
            except (FileNotFoundError, NotADirectoryError):
                is_changed = self._metas.pop(container_id, None) is not None or is_changed
                self._hidden.pop(container_id, None)
                continue
            known = self._metas.get(container_id)
            if known and known[0] == signature and container_id not in self._unsettled:
                continue
            if time.time_ns() - signature[0] < _UNSETTLED_NS:
                self._unsettled.add(container_id)
            else:
                self._unsettled.discard(container_id)
            meta = _read(path)
            if known and known[0] == signature and known[1] == meta:
                continue
            self._metas[container_id] = (signature, meta)
            is_changed = True
        if is_changed:
            self._index()

    def _list(self) -> bool:
        try:
            changed = os.stat(self._root).st_mtime_ns
            if changed == self._root_time:
                return False
            self._members = os.listdir(self._root)
        except FileNotFoundError:
            changed, self._members = -1, []
        self._root_time = changed if time.time_ns() - changed > _UNSETTLED_NS else -1
        gone = set(self._metas) - set(self._members)
        for container_id in gone:
            del self._metas[container_id]
            self._hidden.pop(container_id, None)
        self._unsettled &= set(self._members)
        return bool(gone)

    def _index(self) -> None:
        self.by_address, self.by_name, self.networks, self.reverse = {}, {}, {}, {}
        for container_id, (signature, meta) in self._metas.items():
            if container_id in self._hidden:
                if self._hidden[container_id] == signature:
                    continue
                del self._hidden[container_id]
            try:
                self._enter(container_id, signature[0], meta)
            except (OSError, KeyError, TypeError, AttributeError):
                continue  # damaged, or of a shape we do not know

    def _enter(self, container_id: str, when: int, meta: dict[str, Any]) -> None:
        networks = meta.get("Networks") or {}
        self.networks[container_id] = list(networks)
        for network, result in networks.items():
            found = [pack_address(address) for address in addresses(result)]
            names = [name.lower() for name in names_of(meta, network)]
            for name in names:
                self.by_name.setdefault((network, name), []).extend(found)
            plain = meta.get("Name") or meta.get("Hostname") or container_id[:12]
            shown = plain if network == "bridge" else f"{plain}.{network}"
            for _, address in found:
                self.by_address[address] = max(self.by_address.get(address, (0, "")), (when, container_id))
                self.reverse[network, address] = shown


def _signature(status: os.stat_result) -> Signature:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            meta = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}
