"""Protocol buffers, as far as containerd's services need them: messages as plain objects, and their bytes.

The classes themselves are written by ``hatch_build.py`` from the .proto files. Their few methods have the names of
Google's runtime, which is the oracle of our tests; at run time it would cost every command 20 ms of import.
Encoding and field presence are proto3's: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from struct import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar, Self

# What a field holds; numbers in a row come packed, or one by one (LOOSE), and are written packed.
TEXT, TEXTS, BYTES, BYTES_LIST, MESSAGE, MESSAGES, TEXT_MAP, MESSAGE_MAP = range(8)
UNSIGNED, UNSIGNED_ROW, SIGNED, SIGNED_ROW, BOOL, DOUBLE, LOOSE_UNSIGNED, LOOSE_SIGNED = range(8, 16)

_VARINT, _FIXED64, _BLOCK, _FIXED32 = 0, 1, 2, 5
_KEY, _VALUE = 0x0A, 0x12  # the tags of a map entry


class Message:
    """Base of all messages. A field that was not set reads as its zero value; an unset message as an empty one.

    What such a read returns is not part of the message: set fields by assignment.
    """

    FIELDS: ClassVar[dict[int, tuple[str, int, Any]]] = {}  # tag -> name, kind, class of the message inside

    def __init__(self, **fields: Any) -> None:
        values = self.__dict__
        for name, value in fields.items():
            if value is not None:
                values[name] = value

    def __getattr__(self, name: str) -> Any:
        for field, kind, inner in self.FIELDS.values():
            if field == name:
                return _zero(kind, inner)
        raise AttributeError(f"{type(self).__name__} has no field {name}")

    def HasField(self, name: str) -> bool:
        """Was this message inside the message set, empty or not?"""
        return name in self.__dict__

    def SerializeToString(self) -> bytes:
        """The wire's bytes. Fields of zero value are left out."""
        out: list[bytes] = []
        values = self.__dict__
        for tag, (name, kind, _) in self.FIELDS.items():
            value = values.get(name)
            if value and kind < LOOSE_UNSIGNED:
                _encode(out, tag, kind, value)
        return b"".join(out)

    @classmethod
    def FromString(cls, data: bytes) -> Self:
        """Read the wire's bytes. Fields we do not know are skipped.

        Raises:
            PyctlError: this is no such message.
        """
        try:
            message: Self = _decode(cls, data)
        except (IndexError, ValueError) as error:
            from pyctl_hookspecs.errors import PyctlError  # hatch_build.py reads this module where there is no pyctl

            raise PyctlError(f"containerd sent a broken {cls.__name__}: {error}") from error
        return message

    def set_fields(self) -> Mapping[str, Any]:
        """The fields that are not zero, by name."""
        return {name: value for name, value in self.__dict__.items() if value or isinstance(value, Message)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and type(self) is type(other) and self.set_fields() == other.set_fields()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.set_fields().items())})"


class Enumeration:
    """Base of the enumerations: names of numbers. Numbers without a name are possible, newer daemons send them."""

    NAMES: ClassVar[dict[int, str]] = {}

    @classmethod
    def Name(cls, value: int) -> str:
        return cls.NAMES.get(value, str(value))


def _zero(kind: int, inner: Any) -> Any:
    if kind == MESSAGE:
        return inner()
    if kind in (TEXT_MAP, MESSAGE_MAP):
        return {}
    if kind in (TEXT, BYTES, BOOL, DOUBLE, UNSIGNED, SIGNED):
        return {TEXT: "", BYTES: b"", BOOL: False, DOUBLE: 0.0}.get(kind, 0)
    return []


def _decode(cls: type[Message], data: bytes) -> Any:
    message = cls.__new__(cls)
    values = message.__dict__
    fields = cls.FIELDS
    at, end, size = 0, len(data), 0
    while at < end:
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = _varint(data, at - 1)
        wire = tag & 7
        raw: Any
        if wire == _BLOCK:
            size = data[at]
            at += 1
            if size > 127:
                size, at = _varint(data, at - 1)
            stop = at + size
            raw = data[at:stop]
        elif wire == _VARINT:
            raw = data[at]
            stop = at + 1
            if raw > 127:
                raw, stop = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            stop = at + (8 if wire == _FIXED64 else 4)
            raw = data[at:stop]
        else:
            raise ValueError(f"wire type {wire}")
        if stop > end:
            raise ValueError("it is cut short")
        at = stop
        field = fields.get(tag)
        if field is None:
            continue
        name, kind, inner = field
        if kind == TEXT:  # these three are most of what a list of containers is made of: without a call
            values[name] = raw.decode()
        elif kind == BYTES:
            values[name] = raw
        elif kind == TEXT_MAP:
            middle = raw[1] + 2 if size > 2 and raw[0] == _KEY and raw[1] < 128 else size
            if middle + 2 <= size and raw[middle] == _VALUE and raw[middle + 1] < 128 and middle + 2 + raw[middle + 1] == size:
                pairs = values.get(name)
                if pairs is None:
                    pairs = values[name] = {}
                pairs[raw[2:middle].decode()] = raw[middle + 2 :].decode()
            else:
                key, value = _entry(raw)
                values.setdefault(name, {})[key.decode()] = value.decode()
        else:
            _store(values, name, kind, inner, raw)
    return message


def _store(values: dict[str, Any], name: str, kind: int, inner: Any, raw: Any) -> None:
    if kind == UNSIGNED:
        values[name] = raw
    elif kind == MESSAGE:
        known = values.get(name)  # a message that comes in parts is merged
        values[name] = _decode(inner, raw if known is None else known.SerializeToString() + raw)
    elif kind == SIGNED:
        values[name] = _signed(raw)
    elif kind == BOOL:
        values[name] = raw != 0
    elif kind == DOUBLE:
        values[name] = unpack("<d", raw)[0]
    elif kind == MESSAGE_MAP:
        key, value = _entry(raw)
        values.setdefault(name, {})[key.decode()] = _decode(inner, value)
    else:
        _append(values.setdefault(name, []), kind, inner, raw)


def _append(row: list[Any], kind: int, inner: Any, raw: Any) -> None:
    if kind == MESSAGES:
        row.append(_decode(inner, raw))
    elif kind == TEXTS:
        row.append(raw.decode())
    elif kind in (BYTES_LIST, LOOSE_UNSIGNED):
        row.append(raw)
    elif kind == LOOSE_SIGNED:
        row.append(_signed(raw))
    else:
        at = 0
        while at < len(raw):
            number, at = _varint(raw, at)
            row.append(number if kind == UNSIGNED_ROW else _signed(number))


def _entry(raw: bytes) -> tuple[bytes, bytes]:
    """Key and value of a map entry; either may be missing, and then is empty."""
    parts = {_KEY: b"", _VALUE: b""}
    at = 0
    while at < len(raw):
        tag = raw[at]
        size, start = _varint(raw, at + 1)
        at = start + size
        if tag not in parts or at > len(raw):
            raise ValueError("a map entry is broken")
        parts[tag] = raw[start:at]
    return parts[_KEY], parts[_VALUE]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends. Ten bytes at most; what goes beyond 64 bits is dropped."""
    number = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError("a number does not end")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _encode(out: list[bytes], tag: int, kind: int, value: Any) -> None:
    if kind == TEXT:
        _block(out, tag, value.encode())
    elif kind == BYTES:
        _block(out, tag, value)
    elif kind in (UNSIGNED, SIGNED):
        out += (_number(tag), _number(value))
    elif kind == MESSAGE:
        _block(out, tag, value.SerializeToString())
    elif kind == TEXT_MAP:
        for key, text in value.items():
            _block(out, tag, _pair(key, text.encode()))
    elif kind == MESSAGE_MAP:
        for key, message in value.items():
            _block(out, tag, _pair(key, message.SerializeToString()))
    elif kind == BOOL:
        out += (_number(tag), b"\x01")
    elif kind == DOUBLE:
        out += (_number(tag), pack("<d", value))
    elif kind in (UNSIGNED_ROW, SIGNED_ROW):
        _block(out, tag, b"".join(_number(one) for one in value))
    else:
        for one in value:
            _block(out, tag, one.encode() if kind == TEXTS else one.SerializeToString() if kind == MESSAGES else one)


def _block(out: list[bytes], tag: int, raw: bytes) -> None:
    out += (_number(tag), _number(len(raw)), raw)


def _pair(key: str, raw: bytes) -> bytes:
    name = key.encode()
    return b"".join((b"\x0a", _number(len(name)), name, b"\x12", _number(len(raw)), raw))


def _number(value: int) -> bytes:
    if 0 <= value < 128:
        return bytes((value,))
    value &= 0xFFFFFFFFFFFFFFFF  # a negative number is written as 64 bits
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
