"""Header blocks of answers, read without the hpack library, mean what the library says they mean."""

from __future__ import annotations

import random
import subprocess
import sys

import hpack
from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from pyctl.containerd.header_block import plain_fields

_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F))


def _string(text: str, *, is_coded: bool) -> bytes:
    raw = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(text.encode()) if is_coded else text.encode()
    size = encode_integer(len(raw), 7)
    size[0] |= 0x80 if is_coded else 0
    return bytes(size) + raw


def _block(*fields: tuple[str, str], is_coded: bool = True) -> bytes:
    return b"".join(b"\0" + _string(name, is_coded=is_coded) + _string(value, is_coded=is_coded) for name, value in fields)


def _by_the_library(block: bytes) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in hpack.Decoder().decode(block, raw=True)}


def test_every_character_and_length_is_read_as_the_library_reads_it() -> None:
    chance = random.Random(4)
    texts = ["", "x" * 126, "x" * 127, "x" * 128, "y" * 20_000, _PRINTABLE, *_PRINTABLE]
    texts += ["".join(chance.choices(_PRINTABLE, k=chance.randrange(300))) for _ in range(300)]
    for text in texts:
        for is_coded in (True, False):
            block = _block(("grpc-status", "5"), ("grpc-message", text), is_coded=is_coded)
            assert plain_fields(block) == {"grpc-status": "5", "grpc-message": text} == _by_the_library(block)


def test_what_go_writes_before_the_status_is_passed_over() -> None:
    start = bytes.fromhex("880f108b1d75d0620d263d4c4d6564")  # :status 200, content-type application/grpc
    block = start + _block(("grpc-status", "12"), ("grpc-message", "unknown service"))
    for whole in (block, b"\x20" + block):
        assert plain_fields(whole) == {"grpc-status": "12", "grpc-message": "unknown service"}
    assert _by_the_library(block)["content-type"] == "application/grpc"


def test_what_is_written_otherwise_is_left_to_the_library() -> None:
    good = _block(("grpc-message", "gone"))
    assert plain_fields(b"\x40" + good[1:]) is None  # to be put in the table
    assert plain_fields(b"\x10" + good[1:]) is None  # never to be put in one
    assert plain_fields(b"\x3f\xe1\x1f" + good) is None  # a table with room
    assert plain_fields(b"\xff\x00" + good) is None  # an entry behind the static ones
    assert plain_fields(_block(("grpc-message", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"))) is None
    assert plain_fields(_block(("grpc-message", "line\n"))) is None


def test_a_damaged_block_is_left_to_the_library() -> None:
    block = _block(("grpc-message", "no such thing"))
    for end in range(1, len(block)):
        assert plain_fields(block[:end]) is None
    assert plain_fields(b"\0\x81\xff\x01x") is None  # a whole byte of padding


def test_no_such_task_is_understood_without_the_library() -> None:
    code = (
        "import sys; from pyctl.containerd.h2 import Connection; c = Connection.__new__(Connection); "
        f"c.trailers = bytes.fromhex({_block(('grpc-status', '5'), ('grpc-message', 'no %C3%A4 100%25')).hex()!r}); "
        "print(ascii(c.status()), 'hpack' in sys.modules, 'logging' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "(5, 'no \\xe4 100%') False False\n"
