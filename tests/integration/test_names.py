"""Names: containers find one another while they live, by hosts files and by the keeper's resolver."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from binascii import crc32
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.dns_peer import AAAA, PTR, Upstream, ask
from tests.integration.conftest import Done, Pyctl
from tests.integration.engines import Engine
from tests.integration.waiting import until

from pyctl.keeper import client
from pyctl_plugins.network import _rtnetlink

pytestmark = pytest.mark.integration

OUTSIDE = {"outside.example": "192.0.2.80", "big.example": ",".join(["192.0.2.1"] * 100)}
FOREVER = ("sh", "-c", "trap exit TERM; while :; do sleep 1; done")


class Town:
    """A user network with pyctl told how names are to be resolved there."""

    def __init__(self, pyctl: Pyctl, engine: Engine, image: str, network: str, config: str) -> None:
        self.pyctl, self.engine, self.image, self.network, self.config = pyctl, engine, image, network, config

    def __call__(self, *args: str, ok: bool = True) -> Done:
        return self.pyctl(*args, env={"PYCTL_TOML": self.config}, ok=ok)

    def run(self, name: str, *flags: str, network: str = "") -> str:
        """A container that stays; its ID."""
        done = self("run", "-d", "--name", name, "--network", network or self.network, *flags, self.image, *FOREVER)
        return done.out

    def names(self, container: str) -> dict[str, set[str]]:
        """What the container's hosts file says, by address."""
        found: dict[str, set[str]] = {}
        for line in self("exec", container, "cat", "/etc/hosts").stdout.splitlines():
            if line and not line.startswith("#"):
                found.setdefault(line.split()[0], set()).update(line.split()[1:])
        return found

    def address(self, container: str, network: str = "") -> str:
        config = json.loads(self("inspect", container).stdout)[0]
        return str(config["NetworkSettings"]["Networks"][network or self.network]["IPAddress"])

    def pid(self, container: str) -> int:
        return int(json.loads(self("inspect", container).stdout)[0]["State"]["Pid"])

    def gateway(self, container: str) -> str:
        config = json.loads(self("inspect", container).stdout)[0]
        return str(config["NetworkSettings"]["Networks"][self.network]["Gateway"])

    def dial(self, container_id: str, server: str, *, tcp: bool = False) -> socket.socket:
        """A socket of the container's, connected to a name server."""
        fd = os.open(f"/run/pyctl/netns/{self.engine.namespace}-{container_id}", os.O_RDONLY)
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        try:
            sock = _rtnetlink.in_namespace(fd, lambda: socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM))
        finally:
            os.close(fd)
        sock.settimeout(10)
        sock.connect((server, 53))
        return sock

    @property
    def data_store(self) -> str:
        root = self.engine.data_root
        return next(f"{root}/{entry}" for entry in os.listdir(root) if os.path.isdir(f"{root}/{entry}/keeper"))

    def kill_keeper(self) -> None:
        answer = client.request_if_running(self.data_store, "/run/pyctl", "ping", {}, data_root=self.engine.data_root)
        assert answer, "no keeper runs"
        pidfd = os.pidfd_open(int(answer["pid"]))
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)

    def kill_process(self, container_id: str) -> None:
        """SIGKILL to the container's init, behind everybody's back."""
        for line in self.engine.ctr("tasks", "ls").splitlines():
            if line.startswith(container_id):
                os.kill(int(line.split()[1]), signal.SIGKILL)


@pytest.fixture
def network(pyctl: Pyctl, name: str) -> Iterator[str]:
    made = f"n{crc32(name.encode()):08x}"
    pyctl("network", "create", made)
    yield made
    pyctl("network", "rm", made, ok=False)


@pytest.fixture
def town(pyctl: Pyctl, engine: Engine, busybox: str, network: str, workshop: str) -> Iterator[Town]:
    """Names by hosts files."""
    yield from _town(pyctl, engine, busybox, network, f"{workshop}/home/pyctl.toml")


@pytest.fixture
def city(pyctl: Pyctl, engine: Engine, busybox: str, network: str, workshop: str) -> Iterator[Town]:
    """Names by the resolver."""
    path = f"{workshop}/home/resolver.toml"
    with open(path, "w") as file:
        file.write('[network]\ndns = "resolver"\n')
    yield from _town(pyctl, engine, busybox, network, path)


def _town(pyctl: Pyctl, engine: Engine, image: str, network: str, config: str) -> Iterator[Town]:
    made = Town(pyctl, engine, image, network, config)
    yield made
    containers = made("ps", "-aq").stdout.split()
    if containers:
        made("rm", "-f", *containers)


@pytest.fixture
def upstream(outside: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The host's name server, on a loopback address as systemd-resolved's is; its resolv.conf has a search list too."""
    path = tmp_path_factory.mktemp("etc") / "resolv.conf"
    path.write_text("search corp.example\nnameserver 127.0.0.77\noptions ndots:1\n")
    subprocess.run(["mount", "--bind", str(path), "/etc/resolv.conf"], check=True)
    try:
        with Upstream(OUTSIDE, "127.0.0.77", 53) as server:
            yield server
    finally:
        subprocess.run(["umount", "/etc/resolv.conf"], check=True)


def test_peers_are_in_the_hosts_file_by_all_their_names(town: Town) -> None:
    town.run("web")
    db = town.run("db", "--hostname", "store", "--network-alias", "data")
    words = ("store", "db", db[:12], "data")
    expected = {*words, *(f"{word}.{town.network}" for word in words)}
    assert town.names("web")[town.address("db")] == expected
    assert town("exec", "web", "ping", "-c1", f"data.{town.network}").code == 0


def test_a_name_goes_with_the_container_whatever_ends_it(town: Town) -> None:
    town.run("web")
    for end in (
        lambda container: town("stop", "-t", "0", container),
        town.kill_process,
        lambda container: town("rm", "-f", container),
    ):
        container = town.run("db")
        address = town.address("db")
        assert "db" in town.names("web")[address]
        end(container)
        until(lambda address=address: address not in town.names("web"))  # type: ignore[misc]
        town("rm", "-f", "db", ok=False)


def test_a_name_goes_even_when_the_keeper_was_killed_first(town: Town) -> None:
    town.run("web")
    container = town.run("db")
    address = town.address("db")
    town.kill_keeper()
    town.kill_process(container)
    until(lambda: address not in town.names("web"))


def test_a_crowd_knows_itself_and_forgets_whoever_left(town: Town) -> None:
    members = [f"c{number}" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(town.run, members))
    files = [town("exec", member, "cat", "/etc/hosts").stdout for member in members]
    assert len({file.partition("# <nerdctl>")[2] for file in files}) == 1
    assert all(f" {member} " in files[0] for member in members)
    town("rm", "-f", *members[4:])
    assert all(f" {member} " not in town("exec", "c0", "cat", "/etc/hosts").stdout for member in members[4:])


def test_the_resolver_answers_for_peers_and_passes_the_rest_on(city: Town, upstream: Upstream) -> None:
    web = city.run("web")
    db = city.run("db", "--hostname", "store", "--network-alias", "data", "--network-alias", "pool")
    city.run("two", "--network-alias", "pool")
    gateway = city.gateway("web")
    assert "nameserver" in city("exec", "web", "cat", "/etc/resolv.conf").stdout
    looked_up = city("exec", "web", "nslookup", f"data.{city.network}").stdout
    assert city.address("db") in looked_up and gateway in looked_up
    assert "192.0.2.80" in city("exec", "web", "nslookup", "outside.example").stdout
    assert city("exec", "web", "nslookup", "nowhere.example", ok=False).code != 0
    for tcp in (False, True):
        with city.dial(web, gateway, tcp=tcp) as sock:
            for name in ("store", "db", db[:12], "DATA", f"db.{city.network}"):
                assert ask(sock, name).records == (city.address("db"),)
            assert set(ask(sock, "pool").records) == {city.address("db"), city.address("two")}
            assert ask(sock, "db", AAAA) == ask(sock, "db", AAAA)
            assert ask(sock, "db", AAAA).rcode == 0
            backwards = ".".join(reversed(city.address("db").split("."))) + ".in-addr.arpa"
            assert ask(sock, backwards, PTR).records == (f"db.{city.network}",)
            assert ask(sock, "outside.example", edns=1232).records == ("192.0.2.80",)
            assert len(ask(sock, "big.example").records) == (100 if tcp else 0)


def test_search_and_options_stay_and_nothing_stays_when_it_ends(city: Town, upstream: Upstream) -> None:
    container = city.run("web")
    text = city("exec", "web", "cat", "/etc/resolv.conf").stdout
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == ["search corp.example", "options ndots:1", f"nameserver {city.gateway('web')}"]
    city("stop", "-t", "0", "web")
    path = f"{city.data_store}/containers/{city.engine.namespace}/{container}/resolv.conf"
    with open(path) as file:
        assert "nameserver" not in file.read()
    assert not _listens(53)
    city("start", "web")
    assert city("exec", "web", "cat", "/etc/resolv.conf").stdout == text
    assert "192.0.2.80" in city("exec", "web", "nslookup", "outside.example").stdout


def _listens(port: int) -> list[str]:
    """Local addresses with this port that are not the tests' own."""
    found = []
    for table in ("tcp", "udp"):
        with open(f"/proc/net/{table}") as file:
            for line in file.readlines()[1:]:
                address, _, number = line.split()[1].partition(":")
                if int(number, 16) == port and not address.endswith("7F"):
                    found.append(address)
    return found


def test_a_killed_keeper_is_followed_by_one_that_answers(city: Town, upstream: Upstream) -> None:
    web = city.run("web")
    city.run("db")
    gateway, address = city.gateway("web"), city.address("db")
    city.kill_keeper()

    def answers() -> bool:
        try:
            with city.dial(web, gateway) as sock:
                sock.settimeout(0.2)
                return ask(sock, "db").records == (address,)
        except OSError:
            return False

    until(answers)
    db = next(line.split()[0] for line in city("ps", "-q", "--no-trunc", "--filter", "name=db").stdout.splitlines())
    city.kill_keeper()
    city.kill_process(db)
    until(lambda: not answers() and _rcode(city, web, gateway, "db") == 3)
    assert _rcode(city, web, gateway, "web") == 0


def _rcode(city: Town, container: str, server: str, name: str) -> int:
    try:
        with city.dial(container, server) as sock:
            sock.settimeout(0.5)
            return ask(sock, name).rcode
    except OSError:
        return -1


def test_a_dead_container_is_not_resolved(city: Town, upstream: Upstream) -> None:
    web = city.run("web")
    db = city.run("db")
    with city.dial(web, city.gateway("web")) as sock:
        assert ask(sock, "db").records == (city.address("db"),)
        city.kill_process(db)
        until(lambda: ask(sock, "db").rcode == 3)
        again = city.run("again", "--restart", "always")
        pid = city.pid("again")
        city.kill_process(again)
        until(lambda: city.pid("again") not in (0, pid))
        until(lambda: ask(sock, "again").records == (city.address("again"),))
    assert "\nnameserver " in city("exec", "again", "cat", "/etc/resolv.conf").stdout


def test_the_first_question_of_a_short_life_is_answered(city: Town, upstream: Upstream) -> None:
    done = city("run", "--rm", "--network", city.network, city.image, "nslookup", "outside.example")
    assert "192.0.2.80" in done.stdout
    assert done.stderr == ""
    assert not _listens(53)


def test_the_users_servers_are_asked(city: Town, upstream: Upstream) -> None:
    with Upstream({"mine.example": "192.0.2.81"}, "127.0.0.78", 53):
        subprocess.run(["ip", "addr", "add", "198.51.100.53/32", "dev", "lo"], check=True)
        try:
            with Upstream({"mine.example": "192.0.2.82"}, "198.51.100.53", 53):
                web = city.run("web", "--dns", "198.51.100.53")
                with city.dial(web, city.gateway("web")) as sock:
                    assert ask(sock, "mine.example").records == ("192.0.2.82",)
                    assert ask(sock, "outside.example").rcode == 3
        finally:
            subprocess.run(["ip", "addr", "del", "198.51.100.53/32", "dev", "lo"], check=True)


def test_a_port_that_is_taken_is_told_and_hosts_files_serve(city: Town, upstream: Upstream) -> None:
    city.pyctl("run", "-d", "--name", "first", "--network", city.network, city.image, *FOREVER)  # makes the bridge
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((city.gateway("first"), 53))
        done = city("run", "-d", "--name", "web", "--network", city.network, city.image, *FOREVER)
        assert "WARNING: no resolver (port 53 of " in done.stderr
        assert "no name server can be reached" in done.stderr
        city.run("db")
        assert "db" in city.names("web")[city.address("db")]
        assert "nameserver" not in city("exec", "web", "cat", "/etc/resolv.conf").stdout.replace("#", "")


def test_a_firewall_before_the_resolver_is_told_and_hosts_files_serve(city: Town, upstream: Upstream) -> None:
    rules = "table inet drops { chain input { type filter hook input priority 0; iifname != lo udp dport 53 drop; }; }"
    subprocess.run(["nft", rules], check=True)
    try:
        done = city("run", "-d", "--name", "web", "--network", city.network, city.image, *FOREVER)
        assert "cannot be reached from the container: does a firewall" in done.stderr
        assert not _listens(53)
    finally:
        subprocess.run(["nft", "delete table inet drops"], check=True)


def test_ipv6_has_its_own_socket_and_names(city: Town, upstream: Upstream) -> None:
    if not os.path.exists("/proc/net/if_inet6"):
        return  # this kernel has none, and nothing to listen on
    both = f"{city.network}six"
    city("network", "create", "--ipv6", "--subnet", "fd00:5e::/64", both)
    try:
        web = city.run("web", network=both)
        city.run("db", network=both)
        found = json.loads(city("inspect", "db").stdout)[0]["NetworkSettings"]["Networks"][both]
        for server in ("fd00:5e::1", found["IPAddress"].rpartition(".")[0] + ".1"):
            with city.dial(web, server) as sock:
                assert ask(sock, "db", AAAA).records == (found["GlobalIPv6Address"],)
                assert ask(sock, "db").records == (found["IPAddress"],)
        with city.dial(web, "fd00:5e::1", tcp=True) as sock:
            assert ask(sock, "outside.example").records == ("192.0.2.80",)
    finally:
        city("rm", "-f", "web", "db")
        city("network", "rm", both)


def test_an_internal_network_has_names_and_no_way_out(city: Town, upstream: Upstream) -> None:
    inner = f"{city.network}i"
    city("network", "create", "--internal", inner)
    try:
        city.run("web", network=inner)
        city.run("db", network=inner)
        assert "db" in city.names("web")[city.address("db", inner)]
        assert city("exec", "web", "nslookup", "outside.example", ok=False).code != 0
        assert upstream.asked == []
    finally:
        city("rm", "-f", "web", "db")
        city("network", "rm", inner)


def test_a_network_joined_later_is_resolved(city: Town, upstream: Upstream) -> None:
    second = f"{city.network}b"
    city("network", "create", second)
    try:
        web = city.run("web")
        city.run("far", network=second)
        with city.dial(web, city.gateway("web")) as sock:
            assert ask(sock, "far").rcode == 3
            city("network", "connect", second, "web")
            assert ask(sock, "far").records == (city.address("far", second),)
            assert city("exec", "web", "cat", "/etc/resolv.conf").stdout.count("\nnameserver ") == 2
            city("network", "disconnect", second, "web")
            assert ask(sock, "far").rcode == 3
        city("network", "disconnect", city.network, "web")
        assert "\nnameserver " not in city("exec", "web", "cat", "/etc/resolv.conf").stdout
    finally:
        city("rm", "-f", "web", "far")
        city("network", "rm", second)


def test_without_a_server_the_user_is_told_once(town: Town, upstream: Upstream) -> None:
    done = town("run", "--rm", town.image, "cat", "/etc/resolv.conf")
    assert done.stderr.count("WARNING: ") == 1
    assert "127.0.0.77" in done.stderr and "use --dns" in done.stderr
    assert "nameserver" not in done.stdout
    assert "8.8.8.8" not in done.stdout
