"""Header blocks as Go's encoder writes them for a gRPC answer, read without the hpack library.

The library brings ``logging`` and ``typing`` along, 27 ms that every "not found" would cost; it stays for whatever is
written otherwise. Where the rules come from: RFC 7541 (numbers of sections below), for a table without dynamic entries.
"""

from __future__ import annotations

# Appendix B: the characters of each code length in bits, in the order of their codes, as far as gRPC leaves them as they
# are (what is not printable ASCII comes percent-encoded). NUL only keeps the place of a code.
_BY_LENGTH = {
    5: "012aceiost",
    6: " %-./3456789=A_bdfghlmnpru",
    7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: "&*,;XZ",
    10: '!"()?',
    11: "'+|",
    12: "#>",
    13: "\0$@[]~",
    14: "^}",
    15: "<`{",
    19: "\\",
}
_NEVER_FULL = 0x7F  # what a seven-bit number begins with if more bytes follow


def plain_fields(block: bytes) -> dict[str, str] | None:
    """The fields that are written out, name and value; None for a block that needs the library.

    Entries of the static table (``:status`` and ``content-type``) are left out.
    """
    fields: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            first = block[at]
            at += 1
            if first & 0x80:  # 6.1: an entry of the static table, whole
                if first == 0xFF:
                    return None
            elif first == 0x20:  # 6.3: the table has no room, as we asked
                continue
            elif first == 0x0F:  # 6.2.2: the name is entry 15 and more, that is one of the static table
                if block[at] & 0x80:
                    return None
                _, at = _text(block, at + 1)
            elif first == 0x00:  # 6.2.2: a new name
                name, at = _text(block, at)
                fields[name], at = _text(block, at)
            else:
                return None
    except (IndexError, KeyError, UnicodeDecodeError):
        return None
    return fields


def _text(block: bytes, at: int) -> tuple[str, int]:
    """A string of section 5.2, and where it ends."""
    size, is_coded = block[at] & 0x7F, block[at] & 0x80
    at += 1
    if size == _NEVER_FULL:  # 5.1
        shift = 0
        while True:
            size += (block[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not block[at - 1] & 0x80:
                break
    end = at + size
    if end > len(block):
        raise IndexError(end)
    raw = block[at:end]
    return (_decoded(raw) if is_coded else raw.decode("ascii")), end


def _decoded(raw: bytes) -> str:
    """Undo the Huffman code.

    Raises:
        KeyError: a character that is not in the table, or no end of the code.
    """
    characters = _table()
    text: list[str] = []
    code = 1  # the bits so far behind a leading one, so that 0 and 00 differ
    for byte in raw:
        for shift in (7, 6, 5, 4, 3, 2, 1, 0):
            code = code << 1 | byte >> shift & 1
            if code in characters:
                text.append(characters[code])
                code = 1
    if code + 1 & code or code >= 1 << 8:  # 5.2: less than a byte is left over, all ones
        raise KeyError(code)
    return "".join(text)


def _table() -> dict[int, str]:
    """The code is canonical: within a length it counts up, and a longer one goes on behind the last shorter one."""
    if not _known:
        table: dict[int, str] = {}
        code = length = 0
        for longer, characters in _BY_LENGTH.items():
            code <<= longer - length
            length = longer
            for character in characters:
                table[1 << length | code] = character
                code += 1
        _known.append(table)
    return _known[0]


_known: list[dict[int, str]] = []  # the table, once somebody needed it
