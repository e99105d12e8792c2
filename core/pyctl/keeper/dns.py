"""The name servers of networks: port 53 of each gateway address, while a container that was told of it is served.

Names of peers come from the store of hosts files; everything else is passed on to the host's name servers, or to those
the container was given. A container is known by its address; a stranger is refused.
"""

from __future__ import annotations

import _socket
import errno
import json
import os
import time

from . import dnswire
from .directory import Directory
from .dnsforward import Forwarder, HostServers, address_of
from .dnslisten import Listener
from .wire import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .directory import Asker
    from .dnslisten import Reply
    from .dnswire import Query
    from .loop import Loop

    Served = Callable[[list[str], dict[str, str]], None]

_AGAIN_S, _AGAIN_TIMES = 0.05, 20  # a dying keeper's sockets are closed in the next moment
_LATER_S = 5.0
_TIDY_S = 30.0


class Wish:
    """A container to be served: on which addresses, and whom to ask for it (nobody in particular: the host's)."""

    __slots__ = ("container", "forwards", "gateways", "namespace", "upstreams")

    def __init__(self, record: Mapping[str, object]) -> None:
        """Raises ValueError, KeyError or TypeError for a malformed record."""
        self.namespace, self.container = str(record["namespace"]), str(record["container"])
        self.gateways = _texts(record["gateways"])
        self.upstreams = _texts(record.get("upstreams", []))
        self.forwards = bool(record.get("forward", True))
        if any(address_of(text, 53) is None for text in (*self.gateways, *self.upstreams)):
            raise ValueError("gateways and upstreams must be addresses")

    def encode(self) -> bytes:
        record = {"namespace": self.namespace, "container": self.container, "gateways": self.gateways}
        return json.dumps({**record, "upstreams": self.upstreams, "forward": self.forwards}).encode()


class Resolvers:
    """All of a data store. Keys are ``<namespace>-<container>``; every wish is a file in ``directory``, for the next keeper."""

    def __init__(
        self, loop: Loop, directory: str, data_store: str, note: Callable[[str], None], *, port: int = 53, upstream_port: int = 53
    ) -> None:
        self._loop, self._directory, self._note, self._port = loop, directory, note, port
        self._names = Directory(data_store)
        self._forwarder = Forwarder(loop, port=upstream_port)
        self.host_servers: Callable[[], tuple[str, ...]] = HostServers()
        self._wishes: dict[str, Wish] = {}
        self._listeners: dict[str, Listener] = {}
        self._turn = 0
        self._born = time.monotonic()
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def __bool__(self) -> bool:
        return bool(self._wishes)

    def status(self) -> dict[str, list[str]]:
        """The addresses listened on, with the containers served there."""
        return {address: sorted(k for k, w in self._wishes.items() if address in w.gateways) for address in self._listeners}

    def serve(self, key: str, record: Mapping[str, object], answer: Served) -> None:
        """Listen for a container; ``answer`` gets the addresses that serve it and, for each other one, why not.

        Those reasons are ``absent`` (the address is not on this host) or what the kernel said. With no address at all
        the container is not served. The same call again replaces.

        Raises:
            ValueError, KeyError, TypeError: a malformed record.
        """
        wish = Wish(record)
        self._names.include(wish.namespace)
        is_young = time.monotonic() - self._born < _AGAIN_S * _AGAIN_TIMES
        self._serve(key, wish, answer, _AGAIN_TIMES if is_young else 0)

    def _serve(self, key: str, wish: Wish, answer: Served, tries: int) -> None:
        failures: dict[str, str] = {}
        is_taken = False
        for gateway in wish.gateways:
            if gateway in self._listeners:
                continue
            if not _is_here(gateway):
                failures[gateway] = "absent"
                continue
            try:
                # Freely, because an IPv6 address that was added just now is not quite there yet.
                self._listeners[gateway] = Listener(self._loop, gateway, self._port, self, freely=True)
            except OSError as error:
                failures[gateway] = error.strerror or str(error)
                is_taken = is_taken or error.errno == errno.EADDRINUSE
        if is_taken and tries:
            self._loop.later(_AGAIN_S, lambda: self._serve(key, wish, answer, tries - 1))
            return
        wish.gateways = [gateway for gateway in wish.gateways if gateway in self._listeners]
        if wish.gateways:
            write_file(f"{self._directory}/{key}.json", wish.encode())
            if not self._wishes:
                self._loop.later(_TIDY_S, self._tidy)
            self._wishes[key] = wish
        else:
            self.forget(key)
        self._close_unused()
        answer(wish.gateways, failures)

    def forget(self, key: str) -> None:
        """Serve a container no longer; the last one's sockets are closed. Not served is fine."""
        self._wishes.pop(key, None)
        try:
            os.unlink(f"{self._directory}/{key}.json")
        except FileNotFoundError:
            pass
        self._close_unused()
        self._names.expire()

    def hide(self, key: str) -> None:
        """A container's process has ended: nobody finds it any more, whenever it is taken out of the store."""
        self._names.hide(key)

    def load(self) -> None:
        """Serve whom the keeper before this one served."""
        for name in os.listdir(self._directory):
            if not name.endswith(".json"):
                continue
            path = f"{self._directory}/{name}"
            try:
                with open(path, "rb") as file:
                    wish = Wish(json.loads(file.read()))
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._note(f"names {name} are damaged and dropped: {error!r}")
                os.unlink(path)
                continue
            self._wishes[name.removesuffix(".json")] = wish
            self._names.include(wish.namespace)
        self._tidy()
        # Not before the exits that nobody saw have been noticed: they are timers of the same turn.
        self._loop.later(0.0, lambda: self._listen_again(_AGAIN_TIMES))

    def _listen_again(self, tries: int) -> None:
        """After a keeper was killed, or the host started anew and its bridges are not there yet."""
        failures = {}
        for gateway in {gateway for wish in self._wishes.values() for gateway in wish.gateways}:
            if gateway not in self._listeners:
                try:
                    self._listeners[gateway] = Listener(self._loop, gateway, self._port, self, freely=True)
                except OSError as error:
                    failures[gateway] = error.strerror or str(error)
        if not failures:
            return
        if tries == 0:
            self._note(f"cannot serve names yet: {failures}")
        self._loop.later(_AGAIN_S if tries > 0 else _LATER_S, lambda: self._listen_again(tries - 1))

    def _tidy(self) -> None:
        """Containers somebody else removed from the store are not served for ever."""
        for key, wish in list(self._wishes.items()):
            if not self._names.is_entered(wish.namespace, wish.container):
                self.forget(key)
        if self._wishes:
            self._loop.later(_TIDY_S, self._tidy)

    def _close_unused(self) -> None:
        used = {gateway for wish in self._wishes.values() for gateway in wish.gateways}
        for address in [address for address in self._listeners if address not in used]:
            self._listeners.pop(address).close()
        self._names.retain({wish.namespace for wish in self._wishes.values()})

    # What a listener asks.

    def is_known(self, source: str) -> bool:
        return self._asker(source) is not None

    def handle(self, query: Query, data: bytes, source: str, reply: Reply, *, by_tcp: bool) -> None:
        """Answer one question, now or when another server has."""
        longest = 65535 if by_tcp else min(query.udp_bytes, dnswire.OUR_UDP_BYTES)

        def say(rcode: int, records: list[tuple[int, bytes]], *, is_ours: bool = True) -> None:
            reply(dnswire.answer(query, rcode, records, longest=longest, is_ours=is_ours))

        asker = self._asker(source)
        if asker is None:
            say(dnswire.REFUSED, [], is_ours=False)
        elif query.rcode:
            say(query.rcode, [], is_ours=False)
        elif (records := self._known(asker, query)) is not None:
            say(dnswire.NOERROR, records)
        else:
            self._pass_on(asker, query, data, reply, say, by_tcp=by_tcp)

    def _asker(self, source: str) -> Asker | None:
        return self._names.find_asker(dnswire.pack_address(source)[1])

    def _known(self, asker: Asker, query: Query) -> list[tuple[int, bytes]] | None:
        """The answer, empty for a name we know without what was asked for; None when others have to be asked."""
        if not query.is_internet:
            return None
        found = self._names.find(asker, query.name)
        if found is not None:
            records = [record for record in found if query.type in (record[0], dnswire.ANY)]
            self._turn += 1
            start = self._turn % len(records) if records else 0
            return records[start:] + records[:start]  # each of several is first at times
        address = dnswire.reverse_address(query.name)
        name = self._names.find_name(asker, address) if address else ""
        if not name:
            return None
        if query.type not in (dnswire.PTR, dnswire.ANY):
            return []
        try:
            return [(dnswire.PTR, dnswire.encode_name(name))]
        except ValueError:  # a name that only a hosts file can hold
            return None

    def _pass_on(self, asker: Asker, query: Query, data: bytes, reply: Reply, say: Callable[..., None], *, by_tcp: bool) -> None:
        wish = self._wishes.get(asker.key)
        if wish is None or not wish.forwards:
            # Not "refused": a C library that walks through its search list would stop there, before the plain name.
            say(dnswire.NXDOMAIN, [])
            return

        def done(response: bytes | None) -> None:
            if response is None:
                say(dnswire.SERVFAIL, [], is_ours=False)
            else:
                reply(response if by_tcp else dnswire.cut(query, response, max(query.udp_bytes, dnswire.UDP_BYTES)))

        servers = [server for server in wish.upstreams or self.host_servers() if server not in self._listeners]
        self._forwarder.ask(asker.key, query, data, tuple(servers), done, by_tcp=by_tcp)


def _is_here(address: str) -> bool:
    """Has this host the address? An IPv6 one counts while it is still being checked for a double."""
    if ":" in address:
        wanted = _socket.inet_pton(_socket.AF_INET6, address).hex()
        try:
            with open("/proc/net/if_inet6") as file:
                return any(line.startswith(wanted) for line in file)
        except FileNotFoundError:
            return False  # no IPv6 in this kernel
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC, 0)
    try:
        probe.bind((address, 0))
    except OSError:
        return False
    finally:
        probe.close()
    return True


def _texts(raw: object) -> list[str]:
    if isinstance(raw, str):
        raw = json.loads(raw)
    if not isinstance(raw, list):
        raise ValueError("a list is needed")
    return [str(text) for text in raw]
