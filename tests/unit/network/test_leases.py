"""Address leases in host-local's files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pyctl_hookspecs import ConflictError, InvalidArgumentError, PyctlError
from pyctl_plugins.network import _leases
from pyctl_plugins.network._addresses import Range
from pyctl_plugins.network._leases import Leases

POOL = [Range("10.4.0.0/29")]


def _take(directory: Path, owner: str, wanted: str = "", interface: str = "eth0", pool: list[Range] = POOL) -> str:
    with Leases("net", str(directory)) as leases:
        return leases.take(owner, interface, pool, wanted=wanted)[0]


def test_a_lease_is_what_host_local_writes(tmp_path: Path) -> None:
    assert _take(tmp_path, "default-abc") == "10.4.0.2"
    assert (tmp_path / "net" / "10.4.0.2").read_bytes() == b"default-abc\r\neth0"
    assert (tmp_path / "net" / "last_reserved_ip.0").read_text() == "10.4.0.2"
    assert (tmp_path / "net" / "lock").exists()


def test_addresses_go_round_and_the_gateway_is_left_out(tmp_path: Path) -> None:
    taken = []
    for turn in range(7):
        taken.append(_take(tmp_path, f"c{turn}"))
        _leases.release("net", f"c{turn}", "eth0", str(tmp_path))
    assert taken == [f"10.4.0.{n}" for n in (2, 3, 4, 5, 6, 2, 3)]


def test_what_host_local_reserved_last_is_honoured(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "last_reserved_ip.0").write_text("10.4.0.4")
    (tmp_path / "net" / "10.4.0.5").write_bytes(b"default-other\r\neth0")
    assert _take(tmp_path, "default-abc") == "10.4.0.6"


def test_the_same_interface_keeps_its_address(tmp_path: Path) -> None:
    assert _take(tmp_path, "c1") == _take(tmp_path, "c1") == "10.4.0.2"
    assert _take(tmp_path, "c1", interface="eth1") == "10.4.0.3"


def test_another_wish_gives_the_old_address_back(tmp_path: Path) -> None:
    _take(tmp_path, "c1")
    assert _take(tmp_path, "c1", wanted="10.4.0.5") == "10.4.0.5"
    assert not (tmp_path / "net" / "10.4.0.2").exists()


def test_wishes_that_cannot_be_met_say_why(tmp_path: Path) -> None:
    _take(tmp_path, "c1", wanted="10.4.0.5")
    with pytest.raises(ConflictError, match="Address already in use"):
        _take(tmp_path, "c2", wanted="10.4.0.5")
    with pytest.raises(InvalidArgumentError, match="no configured subnet"):
        _take(tmp_path, "c2", wanted="10.5.0.5")
    with pytest.raises(InvalidArgumentError, match="gateway"):
        _take(tmp_path, "c2", wanted="10.4.0.1")


def test_a_full_subnet_is_a_clear_error(tmp_path: Path) -> None:
    for number in range(5):
        _take(tmp_path, f"c{number}")
    with pytest.raises(PyctlError, match=r"no available IPv4 addresses on this network's address pools: net"):
        _take(tmp_path, "c6")


def test_releasing_leaves_others_alone_and_may_happen_twice(tmp_path: Path) -> None:
    _take(tmp_path, "c1")
    _take(tmp_path, "c2")
    for _ in range(2):
        _leases.release("net", "c1", "eth0", str(tmp_path))
    assert not (tmp_path / "net" / "10.4.0.2").exists()
    assert (tmp_path / "net" / "10.4.0.3").exists()


def test_releasing_in_a_network_that_never_was_makes_nothing(tmp_path: Path) -> None:
    _leases.release("net", "c1", "eth0", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_threads_never_get_the_same_address(tmp_path: Path) -> None:
    taken: list[str] = []
    pool = [Range("10.4.0.0/24")]

    def work(number: int) -> None:
        taken.append(_take(tmp_path, f"c{number}", pool=pool))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 30


def test_several_ranges_of_one_set_are_used_in_turn(tmp_path: Path) -> None:
    pool = [
        Range("10.4.0.0/24", start="10.4.0.10", end="10.4.0.11"),
        Range("10.4.0.0/24", start="10.4.0.20", end="10.4.0.20"),
    ]
    taken = [_take(tmp_path, f"c{number}", pool=pool) for number in range(3)]
    assert taken == ["10.4.0.10", "10.4.0.11", "10.4.0.20"]


def test_ipv6_ranges_work_alike(tmp_path: Path) -> None:
    assert _take(tmp_path, "c1", pool=[Range("fd00::/64")]) == "fd00::2"


@pytest.mark.parametrize("subnet", ["10.4.0.0", "10.4.0.0/31", "10.4.0.0/x"])
def test_a_subnet_without_room_is_refused(subnet: str) -> None:
    with pytest.raises(ValueError, match="has no room"):
        Range(subnet)


def test_a_pool_goes_when_nobody_else_has_an_address(tmp_path: Path) -> None:
    subnet = [Range("10.0.0.0/29")]
    with Leases("n", str(tmp_path)) as leases:
        leases.take("mine-a", "eth0", subnet)
        leases.take("theirs-b", "eth0", subnet)
    _leases.remove("n", lambda owner: owner.startswith("mine-"), str(tmp_path))
    with Leases("n", str(tmp_path)) as leases:
        assert leases.held() == [("theirs-b", "eth0")]
    _leases.remove("n", lambda owner: True, str(tmp_path))
    assert _leases.networks(str(tmp_path)) == []
    _leases.remove("n", lambda owner: True, str(tmp_path))


def test_a_pool_that_goes_while_it_is_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, removed = os.mkdir, []

    def mkdir(path: str, mode: int = 0o777) -> None:
        """The pool is there at first; whoever removes it is done before anybody can look."""
        if not removed:
            removed.append(path)
            raise FileExistsError(path)
        make(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with Leases("n", str(tmp_path)) as leases:
        assert leases.take("b", "eth0", [Range("10.0.0.0/29")])[0] == "10.0.0.2"
    assert removed == [str(tmp_path / "n")]


def test_a_pool_that_went_while_we_waited_for_it_is_made_again(tmp_path: Path) -> None:
    taken: list[str] = []

    def take() -> None:
        with Leases("n", str(tmp_path)) as leases:
            taken.append(leases.take("b", "eth0", [Range("10.0.0.0/29")])[0])

    with Leases("n", str(tmp_path)) as leases:
        thread = threading.Thread(target=take)
        thread.start()
        leases.remove(lambda owner: True)
    thread.join()
    assert taken == ["10.0.0.2"]
    assert (tmp_path / "n/10.0.0.2").exists()


def test_a_pool_that_others_look_into_goes_all_the_same(tmp_path: Path) -> None:
    """A repair, or the late release of a container: neither keeps the directory, nor makes it again."""
    directory, is_over = str(tmp_path), threading.Event()

    def meddle() -> None:
        while not is_over.is_set():
            _leases.release("n", "b", "eth0", directory)
            Leases("n", directory).held()

    threads = [threading.Thread(target=meddle) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            with Leases("n", directory) as leases:
                leases.take("a", "eth0", [Range("10.0.0.0/29")])
            _leases.remove("n", lambda owner: True, directory)
            assert not (tmp_path / "n").exists()
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_removal_left_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / ".net.77.1").mkdir()
    (tmp_path / ".net.77.1" / "lock").touch()
    _take(tmp_path, "c1")
    assert _leases.networks(str(tmp_path)) == ["net"]
    _leases.remove("net", lambda owner: True, str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_address_in_use_is_entered_again_unless_somebody_has_it(tmp_path: Path) -> None:
    with Leases("n", str(tmp_path)) as leases:
        assert leases.renew("a", "eth0", "10.0.0.5")
        assert not leases.renew("a", "eth0", "10.0.0.5")
        assert not leases.renew("b", "eth0", "10.0.0.5")
        assert leases.held() == [("a", "eth0")]


def test_two_sets_of_one_family_give_an_address_each(tmp_path: Path) -> None:
    with Leases("n", str(tmp_path)) as leases:
        for _ in range(2):
            addresses = [
                leases.take("a", "eth0", [Range(s)], position=n)[0] for n, s in enumerate(("10.0.0.0/29", "10.1.0.0/29"))
            ]
            assert addresses == ["10.0.0.2", "10.1.0.2"]


def test_a_lease_whose_taker_was_killed_while_writing_is_given_back_with_the_next(tmp_path: Path) -> None:
    assert _take(tmp_path, "mine") == "10.4.0.2"
    (tmp_path / "net" / "10.4.0.3").touch()
    assert _take(tmp_path, "other") == "10.4.0.4"
    _leases.release("net", "mine", "eth0", str(tmp_path))
    assert sorted(path.name for path in (tmp_path / "net").glob("10.*")) == ["10.4.0.4"]


def test_what_was_seen_in_other_hands_is_given_back_all_the_same(tmp_path: Path) -> None:
    for owner in ("c1", "c2"):
        _take(tmp_path, owner)
    _leases.release("net", "c1", "eth0", str(tmp_path))  # sees that 10.4.0.3 is c2's
    (tmp_path / "net" / "10.4.0.3").write_bytes(b"c3\r\neth0")  # another process: c2 gave it back, c3 took it
    _leases.release("net", "c3", "eth0", str(tmp_path))
    assert not (tmp_path / "net" / "10.4.0.3").exists()


def test_what_another_process_gave_back_is_no_fault(tmp_path: Path) -> None:
    for owner in ("c1", "c2"):
        _take(tmp_path, owner)
    _leases.release("net", "c1", "eth0", str(tmp_path))
    (tmp_path / "net" / "10.4.0.3").unlink()
    _leases.release("net", "c2", "eth0", str(tmp_path))
    assert _take(tmp_path, "c2", wanted="10.4.0.3") == "10.4.0.3"
    _leases.release("net", "c2", "eth0", str(tmp_path))
    assert not (tmp_path / "net" / "10.4.0.3").exists()


def test_an_address_taken_again_by_this_process_is_given_back(tmp_path: Path) -> None:
    _take(tmp_path, "c1", wanted="10.4.0.2")
    _take(tmp_path, "c2", wanted="10.4.0.3")
    _leases.release("net", "c1", "eth0", str(tmp_path))
    _leases.release("net", "c2", "eth0", str(tmp_path))
    _take(tmp_path, "c1", wanted="10.4.0.3")
    _take(tmp_path, "c1", interface="eth1", wanted="10.4.0.4")
    _leases.release("net", "c1", "eth1", str(tmp_path))
    _leases.release("net", "c1", "eth0", str(tmp_path))
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == ["last_reserved_ip.0", "lock"]
