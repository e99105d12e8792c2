"""The resolver, its loop turned by the test: containers are loopback addresses, and so is the server it passes on to."""

from __future__ import annotations

import json
import os
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.dns_peer import AAAA, PTR, TXT, Answer, Upstream, question, read

from pyctl.keeper import dnsforward, dnslisten
from pyctl.keeper.dns import Resolvers
from pyctl.keeper.loop import Loop
from pyctl.state.hosts import HostsEntry, HostsStore

GATEWAY, WEB, DB, FAR, STRANGER = (f"127.0.66.{n}" for n in (1, 2, 3, 4, 9))


def result(*addresses: str) -> str:
    return json.dumps({"cniVersion": "1.0.0", "ips": [{"address": f"{address}/24", "gateway": GATEWAY} for address in addresses]})


class Place:
    """A data store with resolvers on it, served one turn at a time."""

    def __init__(self, base: Path, upstream: Upstream) -> None:
        self.base, self.upstream = base, upstream
        self.store = HostsStore(str(base), "ns")
        self.notes: list[str] = []
        self.open()

    def open(self, port: int = 0) -> None:
        """A keeper begins."""
        self.loop = Loop()
        self.resolvers = Resolvers(
            self.loop, f"{self.base}/names", str(self.base), self.notes.append, port=port, upstream_port=self.upstream.port
        )
        self.resolvers.host_servers = lambda: (self.upstream.address,)

    def enter(self, container_id: str, name: str, address: str, network: str = "front", *aliases: str, more: str = "") -> None:
        self.store.acquire(
            HostsEntry(
                container_id=container_id,
                container_name=name,
                hostname=f"h-{name}",
                networks=((network, result(*filter(None, (address, more)))),),
                aliases=tuple((network, alias) for alias in aliases),
            )
        )

    def serve(self, container_id: str, **fields: object) -> tuple[list[str], dict[str, str]]:
        answers: list[tuple[list[str], dict[str, str]]] = []
        record = {"namespace": "ns", "container": container_id, "gateways": [GATEWAY], **fields}
        self.resolvers.serve(f"ns-{container_id}", record, lambda *answer: answers.append(answer))
        self.turn(lambda: bool(answers))
        return answers[0]

    def turn(self, is_done: Callable[[], bool], limit_s: float = 10.0) -> None:
        give_up = time.monotonic() + limit_s
        while not is_done():
            assert time.monotonic() < give_up, "the resolver does not answer"
            self.loop.turn(0.01)

    @property
    def port(self) -> int:
        return self.resolvers._listeners[GATEWAY].port

    def dial(self, source: str, *, tcp: bool = False) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        sock.settimeout(10)
        sock.bind((source, 0))
        sock.connect((GATEWAY, self.port))
        return sock

    def exchange(self, sock: socket.socket, data: bytes) -> bytes:
        sock.sendall(struct.pack(">H", len(data)) + data if sock.type == socket.SOCK_STREAM else data)
        self.turn(lambda: bool(select.select([sock], [], [], 0)[0]))
        if sock.type == socket.SOCK_DGRAM:
            return sock.recv(65535)
        reply = b""
        while len(reply) < 2 or len(reply) < 2 + int.from_bytes(reply[:2], "big"):
            self.turn(lambda: bool(select.select([sock], [], [], 0)[0]))
            piece = sock.recv(65535)
            assert piece, "the connection ended"
            reply += piece
        return reply[2:]

    def ask(self, source: str, name: str, kind: int = 1, *, tcp: bool = False, edns: int = 0) -> Answer:
        with self.dial(source, tcp=tcp) as sock:
            data = question(name, kind, number=random.randrange(65536), edns=edns)
            reply = self.exchange(sock, data)
            assert reply[:2] == data[:2]
            return read(reply)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    names = {"outside.example": "192.0.2.80", "six.example": "2001:db8::1", "big.example": ",".join(["192.0.2.1"] * 100)}
    with Upstream(names) as upstream:
        made = Place(tmp_path, upstream)
        made.enter("w" * 64, "web", WEB)
        made.enter("d" * 64, "db", DB, "front", "data", "v1")
        made.enter("f" * 64, "far", FAR, "back")
        made.serve("w" * 64)
        yield made
        for listener in made.resolvers._listeners.values():
            listener.close()


@pytest.mark.parametrize(
    "name", ["db", "DB", "db.front", "h-db", "h-db.front", "d" * 12, "d" * 12 + ".front", "data", "v1.front"]
)
def test_a_peer_is_found_by_each_of_its_names(place: Place, name: str) -> None:
    assert place.ask(WEB, name) == Answer(0, (DB,), is_authoritative=True, ttls=(0,))
    assert place.upstream.asked == []


def test_a_container_on_another_network_is_not(place: Place) -> None:
    assert place.ask(WEB, "far").rcode == 3
    assert place.upstream.asked == ["far"]


def test_a_known_name_without_such_an_address_has_no_data(place: Place) -> None:
    for kind in (AAAA, TXT):
        assert place.ask(WEB, "db", kind) == Answer(0, (), is_authoritative=True)
    assert place.upstream.asked == []


def test_both_families_are_answered(place: Place) -> None:
    place.enter("6" * 64, "six", "127.0.66.6", more="fd00:66::6")
    assert place.ask(WEB, "six", AAAA).records == ("fd00:66::6",)
    assert place.ask(WEB, "six").records == ("127.0.66.6",)


def test_one_alias_of_several_containers_has_several_answers_in_turn(place: Place) -> None:
    for number in range(10, 13):
        place.enter(f"{number}" * 32, f"c{number}", f"127.0.66.{number}", "front", "pool")
    answers = [place.ask(WEB, "pool").records for _ in range(3)]
    assert all(sorted(records) == ["127.0.66.10", "127.0.66.11", "127.0.66.12"] for records in answers)
    assert len({records[0] for records in answers}) == 3


def test_addresses_have_names(place: Place) -> None:
    assert place.ask(WEB, "3.66.0.127.in-addr.arpa", PTR).records == ("db.front",)
    assert place.ask(WEB, "4.66.0.127.in-addr.arpa", PTR).rcode == 3  # of another network: passed on
    assert place.upstream.asked == ["4.66.0.127.in-addr.arpa"]


def test_a_name_appears_with_its_container_and_goes_with_it(place: Place) -> None:
    for _ in range(3):
        assert place.ask(WEB, "new").rcode == 3
        place.enter("n" * 64, "new", "127.0.66.7")
        place.resolvers._names.expire()
        assert place.ask(WEB, "new").records == ("127.0.66.7",)
        place.store.release("n" * 64)
        place.resolvers._names.expire()


def test_a_dead_container_is_hidden_until_it_is_entered_again(place: Place) -> None:
    place.resolvers.hide("ns-" + "d" * 64)
    assert place.ask(WEB, "db").rcode == 3
    place.enter("d" * 64, "db", DB)
    place.resolvers._names.expire()
    assert place.ask(WEB, "db").records == (DB,)


def test_other_names_are_passed_on_and_answers_come_back_as_they_are(place: Place) -> None:
    for tcp in (False, True):
        assert place.ask(WEB, "outside.example", tcp=tcp, edns=1232) == Answer(0, ("192.0.2.80",), has_edns=True, ttls=(60,))
    assert place.ask(WEB, "six.example", AAAA).records == ("2001:db8::1",)
    assert place.ask(WEB, "nowhere.example").rcode == 3


def test_a_long_answer_is_asked_for_again_by_tcp(place: Place) -> None:
    assert place.ask(WEB, "big.example").is_cut
    assert len(place.ask(WEB, "big.example", tcp=True).records) == 100


def test_a_long_list_of_peers_is_cut_and_complete_by_tcp(place: Place) -> None:
    for number in range(100, 140):
        place.enter(f"{number:064d}", f"c{number}", f"127.0.66.{number}", "front", "crowd")
    assert place.ask(WEB, "crowd").is_cut
    assert len(place.ask(WEB, "crowd", tcp=True).records) == 40


def test_strangers_are_refused(place: Place) -> None:
    assert place.ask(STRANGER, "db").rcode == 5
    with place.dial(STRANGER, tcp=True) as sock, pytest.raises((AssertionError, ConnectionResetError, BrokenPipeError)):
        place.exchange(sock, question("db"))


def test_without_forwarding_nothing_outside_exists(place: Place) -> None:
    place.serve("w" * 64, forward=False)
    assert place.ask(WEB, "outside.example").rcode == 3
    assert place.ask(WEB, "db").records == (DB,)
    assert place.upstream.asked == []


def test_a_containers_own_servers_are_asked_for_it(place: Place) -> None:
    place.resolvers.host_servers = lambda: ("127.0.66.250",)
    place.serve("w" * 64, upstreams=[place.upstream.address])
    assert place.ask(WEB, "outside.example").records == ("192.0.2.80",)


def test_a_server_that_is_not_there_is_followed_by_the_next(place: Place) -> None:
    place.resolvers.host_servers = lambda: ("127.0.66.250", "nonsense", place.upstream.address)
    for tcp in (False, True):
        assert place.ask(WEB, "outside.example", tcp=tcp).records == ("192.0.2.80",)


def test_a_silent_server_is_followed_by_the_next(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsforward._Flight, "patience_s", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.66.251", place.upstream.port))
        place.resolvers.host_servers = lambda: ("127.0.66.251", place.upstream.address)
        assert place.ask(WEB, "outside.example").records == ("192.0.2.80",)
        place.resolvers.host_servers = lambda: ("127.0.66.251",)
        assert place.ask(WEB, "outside.example").rcode == 2
    assert len(place.resolvers._forwarder) == 0


def test_without_any_server_it_fails_at_once(place: Place) -> None:
    place.resolvers.host_servers = lambda: ()
    assert place.ask(WEB, "outside.example").rcode == 2


def test_it_never_asks_itself(place: Place) -> None:
    place.resolvers.host_servers = lambda: (GATEWAY,)
    assert place.ask(WEB, "outside.example").rcode == 2


def test_an_answer_from_elsewhere_or_to_another_question_does_not_count(place: Place) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:

        def forge(sock: socket.socket, data: bytes, source: tuple[str, int]) -> None:
            wrong = data[:2] + struct.pack(">5H", 0x8180, 1, 0, 0, 0) + data[12:]
            forger.sendto(wrong, source)  # from another port
            sock.sendto(bytes((data[0] ^ 1,)) + wrong[1:], source)  # another number
            sock.sendto(wrong[:13] + b"x" + wrong[14:], source)  # another name

        place.upstream.before = forge
        assert place.ask(WEB, "outside.example").records == ("192.0.2.80",)


def test_several_are_under_way_at_once_and_a_flood_is_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsforward, "AT_ONCE_EACH", 8)
    with place.dial(WEB) as flood, place.dial(DB) as other:
        for number in range(12):
            flood.send(question("mute.example", number=number))
        place.turn(lambda: bool(select.select([flood], [], [], 0)[0]))
        assert read(flood.recv(65535)).rcode == 2  # one too many
        assert len(place.resolvers._forwarder) == 8
        place.serve("d" * 64)
        assert read(place.exchange(other, question("outside.example"))).records == ("192.0.2.80",)


def test_garbage_does_not_stop_it(place: Place) -> None:
    chance = random.Random(5)
    with place.dial(WEB) as sock:
        for _ in range(300):
            sock.send(chance.randbytes(chance.randrange(1, 80)))
        place.loop.turn(0.1)
    for _ in range(20):
        with place.dial(WEB, tcp=True) as sock:
            sock.sendall(chance.randbytes(chance.randrange(1, 80)))
            place.loop.turn(0.01)
    assert place.ask(WEB, "db").records == (DB,)
    assert place.ask(WEB, "db", tcp=True).records == (DB,)


def test_one_connection_carries_many_questions(place: Place) -> None:
    with place.dial(WEB, tcp=True) as sock:
        both = b"".join(struct.pack(">H", len(q)) + q for q in (question("outside.example", number=1), question("db", number=2)))
        sock.sendall(both[:7])
        place.loop.turn(0.05)
        sock.sendall(both[7:])
        data = b""
        while data.count(b"outside") + data.count(b"\x02db") < 2:
            place.turn(lambda: bool(select.select([sock], [], [], 0)[0]))
            data += sock.recv(65535)
        first = int.from_bytes(data[:2], "big")
        assert read(data[2 : 2 + first]).records == ("192.0.2.80",)
        assert read(data[4 + first :]).records == (DB,)


def test_idle_connections_are_closed_and_one_container_has_only_a_few(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnslisten, "_IDLE_S", 0.2)
    socks = [place.dial(WEB, tcp=True) for _ in range(dnslisten._MOST_CLIENTS_EACH + 1)]
    place.turn(lambda: bool(select.select([socks[-1]], [], [], 0)[0]))
    assert socks[-1].recv(1) == b""
    place.turn(lambda: len(select.select(socks, [], [], 0)[0]) == len(socks))
    for sock in socks:
        sock.close()


def test_the_sockets_go_with_the_last_container(place: Place) -> None:
    place.serve("d" * 64)
    port = place.port
    place.resolvers.forget("ns-" + "w" * 64)
    assert place.ask(DB, "web").records == (WEB,)
    place.resolvers.forget("ns-" + "d" * 64)
    assert not place.resolvers
    assert place.resolvers.status() == {}
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((GATEWAY, port))
    assert os.listdir(place.base / "names") == []


def test_the_next_keeper_goes_on(place: Place) -> None:
    place.serve("w" * 64, upstreams=[place.upstream.address])
    port = place.port
    old = place.resolvers._listeners.pop(GATEWAY)
    place.open(port)  # while the old sockets are still there
    place.resolvers.host_servers = lambda: ()
    place.resolvers.load()
    place.loop.turn(0.01)
    assert place.resolvers.status() == {}
    old.close()
    place.turn(lambda: GATEWAY in place.resolvers.status())
    assert place.ask(WEB, "db").records == (DB,)
    assert place.ask(WEB, "outside.example").records == ("192.0.2.80",)


def test_after_a_reboot_it_listens_before_the_address_is_there(place: Place) -> None:
    place.resolvers._listeners.pop(GATEWAY).close()
    path = place.base / "names" / f"ns-{'w' * 64}.json"
    path.write_text(path.read_text().replace(GATEWAY, "192.0.2.1"))
    (place.base / "names" / "ns-x.json").write_text("{")
    place.open()
    place.resolvers.load()
    place.turn(lambda: "192.0.2.1" in place.resolvers.status())
    assert "ns-x.json are damaged and dropped" in place.notes[0]
    place.resolvers.forget("ns-" + "w" * 64)


def test_an_exit_nobody_saw_hides_the_name_before_it_is_asked_for(place: Place) -> None:
    port = place.port
    place.resolvers._listeners.pop(GATEWAY).close()
    place.open(port)
    place.resolvers.load()
    place.loop.later(0.0, lambda: place.resolvers.hide("ns-" + "d" * 64))  # as the watch of a dead container does
    place.turn(lambda: GATEWAY in place.resolvers.status())
    assert place.ask(WEB, "db").rcode == 3


def test_a_container_that_left_the_store_meanwhile_is_not_served_again(place: Place) -> None:
    place.resolvers._listeners.pop(GATEWAY).close()
    place.store.remove("w" * 64)
    place.open()
    place.resolvers.load()
    assert not place.resolvers
    assert os.listdir(place.base / "names") == []


def test_a_port_somebody_else_has_is_told_and_nothing_is_kept(place: Place) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.66.5", 0))
        place.resolvers._port = other.getsockname()[1]
        served, failed = place.serve("d" * 64, gateways=["127.0.66.5"])
    assert (served, list(failed)) == ([], ["127.0.66.5"])
    assert "in use" in failed["127.0.66.5"]
    assert os.listdir(place.base / "names") == [f"ns-{'w' * 64}.json"]


def test_an_address_that_is_not_here_is_absent(place: Place) -> None:
    assert place.serve("d" * 64, gateways=[GATEWAY, "192.0.2.1", "2001:db8::1"]) == (
        [GATEWAY],
        {"192.0.2.1": "absent", "2001:db8::1": "absent"},
    )


@pytest.mark.parametrize("fields", [{"gateways": "x"}, {"gateways": ["x"]}, {"upstreams": 1}, {"gateways": None}])
def test_a_malformed_wish_is_refused(place: Place, fields: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        place.serve("d" * 64, **fields)


def test_the_hosts_servers_are_read_again_when_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsforward, "_RECHECK_S", 0.0)
    path = tmp_path / "resolv.conf"
    servers = dnsforward.HostServers(str(path))
    assert servers() == ()
    path.write_text("# x\nnameserver 127.0.0.53\nnameserver bad\nnameserver fe80::1%lo\n")
    assert servers() == ("127.0.0.53", "fe80::1%lo")
    path.write_text("nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n")
    assert servers() == ("192.0.2.1", "192.0.2.2", "192.0.2.3")


def test_ipv6_is_listened_on(place: Place) -> None:
    if (
        not Path("/proc/net/if_inet6").exists()
        or "00000000000000000000000000000001" not in Path("/proc/net/if_inet6").read_text()
    ):
        assert place.serve("d" * 64, gateways=["::1"])[1] == {"::1": "absent"}
        return
    place.enter("6" * 64, "six", "127.0.66.6", more="::1")
    assert place.serve("6" * 64, gateways=["::1"]) == (["::1"], {})
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.connect(("::1", place.resolvers._listeners["::1"].port))
        assert read(place.exchange(sock, question("six", AAAA))).records == ("::1",)
