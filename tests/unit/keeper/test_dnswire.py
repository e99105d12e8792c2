"""DNS messages."""

from __future__ import annotations

import random
import struct

import pytest
from tests.dns_peer import AAAA, OPT, A, question, read

from pyctl.keeper import dnswire


def parsed(data: bytes) -> dnswire.Query:
    query = dnswire.parse(data)
    assert query
    return query


def test_a_question_is_read_whatever_its_case() -> None:
    query = parsed(question("Web.Front", AAAA, number=7, edns=4096))
    assert (query.name, query.type, query.number, query.udp_bytes, query.rcode) == ("web.front", AAAA, 7, 4096, 0)
    assert query.question == question("Web.Front", AAAA)[12:]


def test_without_edns_an_answer_has_at_most_512_bytes() -> None:
    query = parsed(question("web"))
    records = [dnswire.pack_address(f"10.4.{n}.2") for n in range(100)]
    short = dnswire.answer(query, 0, records, longest=query.udp_bytes)
    assert len(short) <= 512
    assert read(short).is_cut
    assert read(short).records == tuple(f"10.4.{n}.2" for n in range(len(read(short).records)))
    whole = read(dnswire.answer(query, 0, records, longest=65535))
    assert (len(whole.records), whole.is_cut) == (100, False)


def test_edns_is_answered_with_edns() -> None:
    assert read(dnswire.answer(parsed(question("web", edns=1232)), 0, [], longest=1232)).has_edns
    assert not read(dnswire.answer(parsed(question("web")), 0, [], longest=512)).has_edns


def test_answers_and_scraps_get_no_answer() -> None:
    assert dnswire.parse(question("web", flags=0x8180)) is None
    assert dnswire.parse(b"") is None
    assert dnswire.parse(question("web")[:11]) is None


@pytest.mark.parametrize(
    ("data", "rcode"),
    [
        (question("web")[:-3], dnswire.FORMERR),
        (question("web", flags=0x2800), dnswire.NOTIMP),  # an update
        (question("web", 252), dnswire.REFUSED),  # a whole zone
        (struct.pack(">6H", 1, 0, 2, 0, 0, 0) + question("web")[12:] * 2, dnswire.FORMERR),
        (question("web")[:12] + b"\xc0\x0c\0\1\0\1", dnswire.FORMERR),  # points to itself
        (question("web")[:12] + b"\x3fx" * 40, dnswire.FORMERR),
    ],
)
def test_what_cannot_be_served_is_told_so(data: bytes, rcode: int) -> None:
    query = parsed(data)
    assert query.rcode == rcode
    assert read(dnswire.answer(query, rcode, [], longest=512)).rcode == rcode


def test_a_dot_within_a_label_is_no_separator() -> None:
    data = question("x")[:12] + b"\x09web.front\0\0\1\0\1"
    assert parsed(data).name != "web.front"


def test_garbage_never_raises() -> None:
    chance = random.Random(4)
    good = question("web.front.example", A, edns=1232)
    for _ in range(20000):
        data = bytearray(good[: chance.randrange(len(good) + 1)] + chance.randbytes(chance.choice((0, 0, 3, 40))))
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        query = dnswire.parse(bytes(data))
        if query:
            reply = dnswire.answer(query, query.rcode, [], longest=512)
            assert len(reply) <= 512
            dnswire.is_answer_to(query, query.number, bytes(data))
            dnswire.cut(query, reply + bytes(600), 512)
            dnswire.reverse_address(query.name)


def test_only_the_question_that_was_asked_is_answered() -> None:
    query = parsed(question("web", number=1))
    reply = dnswire.renumber(dnswire.answer(query, 0, [], longest=512), 9)
    assert dnswire.is_answer_to(query, 9, reply)
    assert not dnswire.is_answer_to(query, 8, reply)
    other = dnswire.renumber(dnswire.answer(parsed(question("xyz")), 0, [], longest=512), 9)
    assert not dnswire.is_answer_to(query, 9, other)
    assert not dnswire.is_answer_to(query, 9, dnswire.renumber(question("web"), 9))


def test_an_answer_that_is_too_long_is_cut_to_its_question() -> None:
    query = parsed(question("web", edns=1232))
    long = dnswire.answer(query, 0, [dnswire.pack_address("10.4.0.2")] * 200, longest=65535)
    short = read(dnswire.cut(query, long, 1232))
    assert (short.is_cut, short.records, short.has_edns) == (True, (), True)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("2.1.4.10.in-addr.arpa", bytes((10, 4, 1, 2))),
        ("1.4.10.in-addr.arpa", None),
        ("256.1.4.10.in-addr.arpa", None),
        ("x.1.4.10.in-addr.arpa", None),
        ("2." + "0." * 27 + "0.0.d.f.ip6.arpa", bytes((0xFD, *[0] * 14, 2))),
        ("web", None),
    ],
)
def test_reverse_names(name: str, address: bytes | None) -> None:
    assert dnswire.reverse_address(name) == address


def test_a_record_beyond_the_end_is_malformed() -> None:
    data = question("web", edns=1232)[:-2] + struct.pack(">H", 9)
    assert parsed(data).rcode == dnswire.FORMERR
    assert OPT == dnswire.OPT
