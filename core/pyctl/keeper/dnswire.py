"""DNS messages, as far as a server needs them that answers some names itself and passes the rest on unread."""

from __future__ import annotations

import struct
from _socket import AF_INET, AF_INET6, inet_pton

A, PTR, OPT, AAAA, IXFR, AXFR, ANY = 1, 12, 41, 28, 251, 252, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)

UDP_BYTES = 512  # what everybody takes
OUR_UDP_BYTES = 1232  # fits into one packet everywhere
_TTL_S = 0  # a container may be gone in the next moment
_IN, _ANY_CLASS = 1, 255
_QR, _AA, _TC, _RD, _RA, _CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0010
_OPCODE = 0x7800
_MOST_RECORDS = 16  # beside a question there stand an OPT, perhaps a signature


class Query:
    """One question. ``name`` is in lower case without the last dot; ``question`` are its bytes, to be repeated.

    ``udp_bytes`` is the longest answer the asker takes by UDP. ``rcode`` is what to answer to one that cannot be served.
    """

    __slots__ = ("flags", "has_edns", "is_internet", "name", "number", "question", "rcode", "type", "udp_bytes")

    def __init__(self, number: int, flags: int) -> None:
        self.number, self.flags = number, flags
        self.question = b""
        self.name = ""
        self.type = 0
        self.is_internet = False
        self.has_edns = False
        self.udp_bytes = UDP_BYTES
        self.rcode = NOERROR


def parse(data: bytes) -> Query | None:
    """Read a query. None is for what deserves no answer: too short, or an answer itself."""
    if len(data) < 12:
        return None
    number, flags, questions, answers, authorities, additional = struct.unpack_from(">6H", data)
    if flags & _QR:
        return None
    query = Query(number, flags)
    if flags & _OPCODE:
        query.rcode = NOTIMP
        return query
    if questions != 1 or answers or authorities > 1 or additional > _MOST_RECORDS:
        query.rcode = FORMERR
        return query
    try:
        query.name, at = _name(data, 12)
        query.type, kind = struct.unpack_from(">2H", data, at)
        query.question = data[12 : at + 4]
        query.is_internet = kind in (_IN, _ANY_CLASS)
        at += 4
        for _ in range(authorities + additional):
            at = _record(data, at, query)
    except (IndexError, struct.error):
        query.rcode = FORMERR
        return query
    if query.type in (AXFR, IXFR):
        query.rcode = REFUSED
    return query


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A name without compression (there is nothing before it to point to), and where it ends."""
    labels = []
    length = data[at]
    first = at
    while length:
        if length > 63 or at - first > 254:
            raise IndexError(at)
        label = data[at + 1 : at + 1 + length]
        # A dot within a label is no separator.
        labels.append(label.decode("latin-1").replace(".", "\\."))
        at += 1 + length
        length = data[at]
    return ".".join(labels).lower(), at + 1


def _record(data: bytes, at: int, query: Query) -> int:
    while data[at] and data[at] < 0xC0:
        at += 1 + data[at]
    is_root = data[at] == 0
    at += 1 if is_root else 2
    kind, size, _, length = struct.unpack_from(">HHIH", data, at)
    if kind == OPT and is_root:
        query.has_edns = True
        query.udp_bytes = max(UDP_BYTES, size)
    at += 10 + length
    if at > len(data):
        raise IndexError(at)
    return int(at)


def answer(query: Query, rcode: int, records: list[tuple[int, bytes]], *, longest: int, is_ours: bool = True) -> bytes:
    """The answer with these records (type and data) for the question's name; cut and marked when longer than ``longest``."""
    flags = _QR | _RA | (query.flags & (_OPCODE | _RD | _CD)) | rcode
    if is_ours:
        flags |= _AA
    tail = struct.pack(">BHHIH", 0, OPT, OUR_UDP_BYTES, 0, 0) if query.has_edns else b""
    has_question = 1 if query.question else 0
    body = [struct.pack(">HHHIH", 0xC00C, kind, _IN, _TTL_S, len(data)) + data for kind, data in records]
    room = longest - 12 - len(query.question) - len(tail)
    used = 0
    for count, piece in enumerate(body):
        used += len(piece)
        if used > room:
            body = body[:count]
            flags |= _TC
            break
    head = struct.pack(">6H", query.number, flags, has_question, len(body), 0, 1 if tail else 0)
    return b"".join((head, query.question, *body, tail))


def cut(query: Query, response: bytes, longest: int) -> bytes:
    """Somebody else's answer, if it fits; otherwise the beginning that says: ask again by TCP."""
    if len(response) <= longest:
        return response
    flags = struct.unpack_from(">H", response, 2)[0] | _TC
    tail = struct.pack(">BHHIH", 0, OPT, OUR_UDP_BYTES, 0, 0) if query.has_edns else b""
    return struct.pack(">6H", query.number, flags, 1, 0, 0, 1 if tail else 0) + query.question + tail


def renumber(data: bytes, number: int) -> bytes:
    return struct.pack(">H", number) + data[2:]


def is_answer_to(query: Query, number: int, response: bytes) -> bool:
    """Does this belong to the question as it was sent under ``number``?"""
    if len(response) < 12:
        return False
    got, flags, questions = struct.unpack_from(">3H", response)
    if got != number or not flags & _QR:
        return False
    if questions == 0:  # some servers repeat no question with an error
        return bool(flags & 15)
    return questions == 1 and response[12 : 12 + len(query.question)].lower() == query.question.lower()


def rcode_of(response: bytes) -> int:
    return response[3] & 15


def pack_address(address: str) -> tuple[int, bytes]:
    """Record type and data of an address.

    Raises:
        OSError: it is none.
    """
    if ":" in address:
        return AAAA, inet_pton(AF_INET6, address.partition("%")[0])
    return A, inet_pton(AF_INET, address)


def encode_name(name: str) -> bytes:
    """A name on the wire.

    Raises:
        ValueError: a part is empty or longer than 63 bytes, or the whole than 255.
    """
    pieces = []
    for label in name.encode("latin-1", "replace").split(b"."):
        if not 0 < len(label) < 64:
            raise ValueError(name)
        pieces.append(bytes((len(label),)) + label)
    whole = b"".join(pieces) + b"\0"
    if len(whole) > 255:
        raise ValueError(name)
    return whole


def encode_question(name: str, kind: int) -> bytes:
    """A whole query for one name, without EDNS."""
    return struct.pack(">6H", 0, _RD, 1, 0, 0, 0) + encode_name(name) + struct.pack(">2H", kind, _IN)


def reverse_address(name: str) -> bytes | None:
    """The address asked for by a name below ``in-addr.arpa`` or ``ip6.arpa``; None if it is no whole one."""
    labels = name.split(".")
    try:
        if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
            return bytes(int(label) for label in reversed(labels[:4]))
        if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34 and all(len(label) == 1 for label in labels[:32]):
            return bytes.fromhex("".join(reversed(labels[:32])))
    except ValueError:
        return None
    return None
