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


def test_ipv6_servers_are_kept_for_a_network_that_has_it_but_not_one_behind_an_interface_of_the_host() -> None:
    host = resolv.parse("nameserver fd00::53\nnameserver ::1\nnameserver fe80::1%eth0\n")
    assert resolv.render(host, ipv6=True).text == "nameserver fd00::53\n"
    assert resolv.render(host, keep_loopback=True).text.count("nameserver") == 3


def test_the_resolver_stands_before_the_servers_and_goes_without_a_trace() -> None:
    made = resolv.marked(resolv.render(HOST), is_own=False)
    with_it = resolv.with_resolver(resolv.with_resolver(made.text, ["10.4.9.1"]), ["10.4.1.1", "fd01::1"])
    assert resolv.parse(with_it) == resolv.parse(made.text).replace(nameservers=("10.4.1.1", "fd01::1"))
    assert resolv.without_resolver(with_it) == made.text == resolv.without_resolver(made.text)


def test_the_resolver_asks_the_servers_the_user_chose() -> None:
    text = resolv.marked(resolv.render(HOST, dns=["192.0.2.7"]), is_own=True).text
    assert resolv.upstreams(resolv.with_resolver(text, ["10.4.1.1"])) == ("192.0.2.7",)
    assert resolv.upstreams(resolv.marked(resolv.render(HOST), is_own=False).text) == ()


def test_a_file_of_the_users_own_is_left_alone() -> None:
    assert resolv.upstreams("nameserver 192.0.2.7\n") is None


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


def test_search_domains_are_those_docker_takes() -> None:
    for good in ("a", "1a", ".", "a.b.", "corp.example", "x-1.example"):
        resolv.check_domain(good)
    for bad in ("", "1.1.1.1", "a_b.c", "a-.b", "-a", "a..b", "a b", "ä.b", "a\nnameserver b"):
        with pytest.raises(InvalidArgumentError, match="is not a valid domain"):
            resolv.check_domain(bad)


def test_behind_the_systemd_stub_the_real_file_counts(tmp_path: Path) -> None:
    etc, stub = tmp_path / "etc", tmp_path / "stub"
    etc.write_text("nameserver 127.0.0.53\n")
    stub.write_text("nameserver 192.0.2.1\n")
    assert resolv.read_host(etc_path=str(etc), stub_path=str(stub)).nameservers == ("192.0.2.1",)


def test_a_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    assert resolv.read_host(etc_path=str(tmp_path / "no"), stub_path=str(tmp_path / "no")) == resolv.Resolver()
