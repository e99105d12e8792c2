"""resolv.conf of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyctl.state import resolv
from pyctl_hookspecs import InvalidArgumentError

HOST = resolv.parse(
    "# comment\nsearch example.org lan\nnameserver 127.0.0.1\nnameserver 192.0.2.53\nnameserver fd00::53\noptions ndots:2\n"
)


def test_loopback_and_ipv6_servers_are_left_out() -> None:
    made = resolv.render(HOST)
    assert made.text == "search example.org lan\nnameserver 192.0.2.53\noptions ndots:2\n"
    assert not made.warning


def test_the_host_network_keeps_them() -> None:
    assert "nameserver 127.0.0.1\n" in resolv.render(HOST, keep_loopback=True).text


def test_each_flag_replaces_its_own_category() -> None:
    made = resolv.render(HOST, dns=["1.1.1.1"], options=["rotate"])
    assert made.text == "search example.org lan\nnameserver 1.1.1.1\noptions rotate\n"


def test_a_search_of_one_dot_empties_the_category() -> None:
    assert "search" not in resolv.render(HOST, search=["."]).text


def test_no_public_resolver_is_put_in_silently() -> None:
    made = resolv.render(resolv.parse("nameserver 127.0.0.53\n"))
    assert "nameserver" not in made.text
    assert "127.0.0.53" in made.warning


def test_a_server_that_is_no_address_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"dns\.example is not an ip address"):
        resolv.render(HOST, dns=["dns.example"])


def test_behind_the_systemd_stub_the_real_file_counts(tmp_path: Path) -> None:
    etc, stub = tmp_path / "etc", tmp_path / "stub"
    etc.write_text("nameserver 127.0.0.53\n")
    stub.write_text("nameserver 192.0.2.1\n")
    assert resolv.read_host(etc_path=str(etc), stub_path=str(stub)).nameservers == ("192.0.2.1",)


def test_a_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    assert resolv.read_host(etc_path=str(tmp_path / "no"), stub_path=str(tmp_path / "no")) == resolv.Resolver()
