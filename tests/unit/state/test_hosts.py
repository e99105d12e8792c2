"""The store of hosts files."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyctl.state import hosts
from pyctl.state.hosts import HostsEntry, HostsStore
from pyctl.state.hosts_file import Peers, region, with_region


def _result(address: str) -> str:
    return json.dumps({"cniVersion": "1.0.0", "ips": [{"address": address, "gateway": "10.4.0.1"}]})


def _entry(container_id: str, name: str, **networks: str) -> HostsEntry:
    pairs = tuple((network, _result(address)) for network, address in networks.items())
    return HostsEntry(container_id=container_id, container_name=name, hostname=container_id[:12], networks=pairs)


def _lines(path: str) -> list[list[str]]:
    with open(path) as file:
        return [line.split() for line in file if not line.startswith("#")]


def test_peers_of_a_network_know_each_other(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    one = store.prepare("a" * 64)
    store.acquire(_entry("a" * 64, "web", front="10.4.1.2/24"))
    store.acquire(_entry("b" * 64, "db", front="10.4.1.3/24"))
    assert ["10.4.1.3", "b" * 12, "b" * 12 + ".front", "db", "db.front"] in _lines(one)


def test_containers_of_different_networks_do_not(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    one = store.prepare("a" * 64)
    store.acquire(_entry("a" * 64, "web", front="10.4.1.2/24"))
    store.acquire(_entry("b" * 64, "db", back="10.4.2.2/24"))
    assert not any("db" in line for line in _lines(one))


def test_the_default_bridge_has_no_network_suffix(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    path = store.prepare("a" * 64)
    store.acquire(_entry("a" * 64, "web", bridge="10.4.0.2/24"))
    assert ["10.4.0.2", "a" * 12, "web"] in _lines(path)


def test_the_file_keeps_its_inode_and_what_stands_outside_the_region(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    path = store.prepare("a" * 64, "# mine\n10.9.9.9 elsewhere\n")
    inode = os.stat(path).st_ino
    store.acquire(_entry("a" * 64, "web", bridge="10.4.0.2/24"))
    store.acquire(_entry("b" * 64, "db", bridge="10.4.0.3/24"))
    store.release("b" * 64)
    assert os.stat(path).st_ino == inode
    assert Path(path).read_text().startswith("# mine\n10.9.9.9 elsewhere\n# <nerdctl>\n")
    assert not any("db" in line for line in _lines(path))


def test_extra_hosts_and_the_domain_are_written(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    path = store.prepare("a" * 64)
    entry = _entry("a" * 64, "web", bridge="10.4.0.2/24").replace(
        hostname="www", domainname="example.org", extra_hosts=(("gw", "192.0.2.1"),)
    )
    store.acquire(entry)
    assert ["192.0.2.1", "gw"] in _lines(path)
    assert ["10.4.0.2", "www.example.org", "www", "web"] in _lines(path)


def test_a_container_without_addresses_has_localhost(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    path = store.prepare("a" * 64)
    store.acquire(HostsEntry(container_id="a" * 64, container_name="web", hostname="web"))
    assert _lines(path) == [[address, "localhost", "localhost.localdomain"] for address in ("127.0.0.1", "::1")]


def test_meta_has_nerdctls_shape(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    store.acquire(_entry("a" * 64, "web", bridge="10.4.0.2/24"))
    meta = json.loads((tmp_path / "etchosts" / "default" / ("a" * 64) / "meta.json").read_text())
    assert set(meta) == {"ID", "Networks", "Hostname", "ExtraHosts", "Name", "Domainname"}
    assert meta["Networks"]["bridge"]["ips"][0]["address"] == "10.4.0.2/24"


def test_releasing_and_removing_twice_succeed(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    store.acquire(_entry("a" * 64, "web", bridge="10.4.0.2/24"))
    for _ in range(2):
        store.release("a" * 64)
        store.remove("a" * 64)
    assert os.listdir(tmp_path / "etchosts" / "default") == []


def test_aliases_and_the_short_id_are_names_on_a_user_network(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    path = store.prepare("a" * 64)
    entry = _entry("a" * 64, "web", front="10.4.1.2/24", back="10.4.2.2/24")
    store.acquire(entry.replace(hostname="www", aliases=(("front", "api"), ("front", "v1"))))
    assert _lines(path)[2:] == [
        ["10.4.1.2", "www", "www.front", "web", "web.front", "a" * 12, "a" * 12 + ".front", "api", "api.front", "v1", "v1.front"],
        ["10.4.2.2", "www", "www.back", "web", "web.back", "a" * 12, "a" * 12 + ".back"],
    ]


def test_who_gets_an_address_takes_it_from_one_that_is_gone(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    path = store.prepare("a" * 64)
    store.acquire(_entry("a" * 64, "web", front="10.4.1.2/24"))
    store.acquire(_entry("b" * 64, "crashed", front="10.4.1.3/24", back="10.4.2.3/24"))
    store.acquire(_entry("c" * 64, "db", front="10.4.1.3/24"))
    assert [line[3] for line in _lines(path) if line[0] == "10.4.1.3"] == ["db"]
    assert list(store.metas()["b" * 64]["Networks"]) == ["back"]


def test_a_container_that_comes_back_with_the_same_address_is_entered_again(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    path = store.prepare("a" * 64)
    store.acquire(_entry("a" * 64, "web", front="10.4.1.2/24"))
    for _ in range(2):
        store.acquire(_entry("b" * 64, "db", front="10.4.1.3/24"))
        assert any("db" in line for line in _lines(path))
        store.release("b" * 64)
        assert not any("db" in line for line in _lines(path))


def test_many_at_once_all_know_each_other(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    ids = [f"{number:064x}" for number in range(16)]

    def enter(container_id: str) -> None:
        store.acquire(_entry(container_id, f"c{container_id[-2:]}", front=f"10.4.1.{int(container_id, 16) + 2}/24"))

    def crowd(work: Callable[[str], None], members: list[str]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, members))

    crowd(enter, ids)
    texts = {Path(store.prepare(container_id)).read_text() for container_id in ids}
    assert len(texts) == 1
    assert texts.pop().count(".front") == 2 * len(ids)
    crowd(store.release, ids[4:])
    texts = {Path(store.prepare(container_id)).read_text() for container_id in ids[:4]}
    assert len(texts) == 1
    assert texts.pop().count(".front") == 2 * 4


def test_whatever_happens_at_once_everybody_ends_up_knowing_everybody(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    chance = random.Random(7)
    wishes = {f"{number:064x}": chance.sample(["a", "b", "c"], chance.choice((1, 1, 1, 2, 3))) for number in range(24)}

    def live(container_id: str) -> None:
        number = int(container_id, 16)
        entry = _entry(container_id, f"c{number}", **{net: f"10.4.{ord(net)}.{number + 2}/24" for net in wishes[container_id]})
        for _ in range(3):
            store.acquire(entry)
            if number % 3:
                store.release(container_id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(live, wishes))
    metas = store.metas()
    assert sorted(metas) == [container_id for container_id in wishes if int(container_id, 16) % 3 == 0]
    for container_id, meta in metas.items():
        assert region(meta, Peers(metas.values())) in Path(store.prepare(container_id)).read_text()


@pytest.mark.parametrize("then", ["release", "remove", "acquire"])
def test_a_release_that_was_killed_is_finished_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    store = HostsStore(str(tmp_path), "default")
    path = store.prepare("a" * 64)
    store.acquire(_entry("a" * 64, "web", front="10.4.1.2/24"))
    store.acquire(_entry("b" * 64, "db", front="10.4.1.3/24"))
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(store, "_rewrite", die)
        with pytest.raises(KeyboardInterrupt):
            store.release("b" * 64)
    assert list(store.metas()) == ["a" * 64]
    if then == "acquire":
        store.acquire(_entry("b" * 64, "db", front="10.4.1.9/24"))
    else:
        getattr(store, then)("b" * 64)
    assert [line[0] for line in _lines(path) if "db" in line] == (["10.4.1.9"] if then == "acquire" else [])
    left = os.listdir(tmp_path / "etchosts" / "default" / ("b" * 64)) if then != "remove" else []
    assert not any(name.startswith(".tmp") for name in left)


def test_an_entering_that_was_killed_half_way_leaves_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = HostsStore(str(tmp_path), "default")
    paths = [store.prepare(letter * 64) for letter in "ac"]
    for letter in "ac":
        store.acquire(_entry(letter * 64, letter, front=f"10.4.1.{ord(letter)}/24"))
    before = [Path(path).read_text() for path in paths]
    written: list[str] = []
    original = hosts.write_region

    def die_at_the_third(path: str, generated: str) -> None:
        written.append(path)
        if len(written) == 3:  # its own is emptied, the first peer's is written
            raise KeyboardInterrupt
        original(path, generated)

    with monkeypatch.context() as patch:
        patch.setattr(hosts, "write_region", die_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            store.acquire(_entry("b" * 64, "db", front="10.4.1.3/24"))
    assert any("db" in line for line in _lines(paths[0]))
    store.release("b" * 64)
    assert [Path(path).read_text() for path in paths] == before


def test_somebody_elses_rewriting_counts_only_if_it_reached_the_last_file(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    paths = [store.prepare(letter * 64) for letter in "ab"]
    store.acquire(_entry("a" * 64, "web", front="10.4.1.2/24"))
    store.acquire(_entry("b" * 64, "db", front="10.4.1.3/24"))
    whole = Path(paths[0]).read_text()
    store.release("a" * 64)
    Path(paths[0]).write_text(whole)  # one was killed when it had written the first file, and not the second
    store.acquire(_entry("a" * 64, "web", front="10.4.1.2/24"))
    assert [Path(path).read_text() for path in paths] == [whole, whole]


def test_a_region_without_an_end_does_not_double() -> None:
    once = with_region("x\n", "1\n")
    assert with_region(once, "2\n") == "x\n# <nerdctl>\n2\n# </nerdctl>\n"
    assert with_region("x\n# <nerdctl>\nold\n", "2\n") == "x\n# <nerdctl>\n2\n# </nerdctl>\n"


def test_what_a_killed_write_left_goes_with_the_next_change(tmp_path: Path) -> None:
    store = HostsStore(str(tmp_path), "default")
    store.prepare("a" * 64)
    torn = tmp_path / "etchosts" / "default" / ("a" * 64) / ".tmp-meta.json0123456789ab"
    for change in (lambda: store.release("a" * 64), lambda: store.acquire(_entry("a" * 64, "web", bridge="10.4.0.2/24"))):
        torn.write_text('{"ID":')
        change()
        assert not torn.exists()
    torn.write_text('{"ID":')
    store.release("a" * 64)
    assert sorted(path.name for path in torn.parent.iterdir()) == ["hosts"]


@pytest.mark.parametrize("goes_on_with", ["acquire", "release"])
def test_a_network_that_was_being_left_forgets_the_container_whoever_goes_on(tmp_path: Path, goes_on_with: str) -> None:
    store = HostsStore(str(tmp_path), "default")
    peer = store.prepare("b" * 64)
    store.acquire(_entry("a" * 64, "web", one="10.1.0.2/24", two="10.2.0.2/24"))
    store.acquire(_entry("b" * 64, "db", two="10.2.0.3/24"))
    assert any(line[0] == "10.2.0.2" for line in _lines(peer))
    # Somebody is killed who has stored that it is on one network only, and rewritten nothing.
    home = tmp_path / "etchosts" / "default" / ("a" * 64)
    meta = json.loads((home / "meta.json").read_text())
    del meta["Networks"]["two"]
    (home / "meta.json").write_text(json.dumps(meta))
    (home / ".tmp-entering").touch()
    assert not store.is_settled("a" * 64)
    if goes_on_with == "acquire":
        store.acquire(_entry("a" * 64, "web", one="10.1.0.2/24"))
    else:
        store.release("a" * 64)
    assert store.is_settled("a" * 64)
    assert not any(line[0] == "10.2.0.2" for line in _lines(peer))


def test_those_that_are_over_leave_with_one_rewriting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = HostsStore(str(tmp_path), "default")
    ids = [letter * 64 for letter in "abcd"]
    files = [store.prepare(one) for one in ids]
    for number, one in enumerate(ids):
        back = {"back": f"10.4.2.{number + 2}/24"} if number > 1 else {}
        store.acquire(_entry(one, f"c{number}", front=f"10.4.1.{number + 2}/24", **back))
    store.release(ids[0], along=[ids[0], ids[2], "e" * 64])  # one that is not there is no matter
    assert [line[0] for line in _lines(files[1]) if line[0].startswith("10.")] == ["10.4.1.3", "10.4.1.5"]
    assert [line[0] for line in _lines(files[3]) if line[0].startswith("10.")] == ["10.4.1.3", "10.4.1.5", "10.4.2.5"]
    assert sorted(store.metas()) == [ids[1], ids[3]]

    monkeypatch.setattr(hosts, "write_region", lambda *_: pytest.fail("written again"))
    store.release(ids[2])
    store.remove(ids[2])
    assert not os.path.exists(os.path.dirname(files[2]))


def test_one_taken_along_by_somebody_who_was_killed_leaves_in_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = HostsStore(str(tmp_path), "default")
    ids = [letter * 64 for letter in "abc"]
    files = [store.prepare(one) for one in ids]
    for number, one in enumerate(ids):
        store.acquire(_entry(one, f"c{number}", front=f"10.4.1.{number + 2}/24"))
    with monkeypatch.context() as killed:
        killed.setattr(hosts, "write_region", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.release(ids[0], along=ids[:2])
    store.release(ids[1])
    store.release(ids[0])
    assert [line[0] for line in _lines(files[2]) if line[0].startswith("10.")] == ["10.4.1.4"]


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
