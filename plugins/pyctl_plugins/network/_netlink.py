"""Netlink messages and sockets: the framing that routes, links, rules and connections all speak."""

from __future__ import annotations

import os
import sys
from _socket import AF_NETLINK, SOCK_RAW, socket  # socket is 11 ms of import
from struct import pack, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Self

ROUTE, NETFILTER = 0, 12
ORDER = sys.byteorder
REQUEST, ACK, DUMP, CREATE, EXCL = 0x1, 0x4, 0x300, 0x400, 0x200
_SOL_NETLINK, _EXT_ACK = 270, 11
_NOOP, _ERROR, _DONE = 1, 2, 3
_CAPPED, _ACK_TLVS = 0x100, 0x200
_NESTED = 0x8000


class Message:
    """One request: type, flags beyond REQUEST, and the body without the netlink header."""

    __slots__ = ("body", "flags", "kind")

    def __init__(self, kind: int, flags: int, body: bytes) -> None:
        self.kind, self.flags, self.body = kind, flags, body


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def text(kind: int, value: str) -> bytes:
    """A NUL-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """A 32 bit number in host order."""
    return attribute(kind, pack("=I", value))


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Attributes by type, the nested flag left out; of repeated ones the last."""
    found = {}
    while offset + 4 <= len(data):
        size, kind = unpack_from("=HH", data, offset)
        if size < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + size]
        offset += size + 3 & ~3
    return found


class Netlink:
    """A socket of one netlink family, in the network namespace of the thread that made it, from then on.

    The kernel handles a request while it is sent, so nothing here waits for long and nothing needs a time-out.
    """

    __slots__ = ("_sequence", "_socket")

    def __init__(self, family: int) -> None:
        self._socket = socket(AF_NETLINK, SOCK_RAW, family)
        self._sequence = 0
        try:
            self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)  # errors with a sentence
        except OSError:
            pass
        self._socket.bind((0, 0))

    def close(self) -> None:
        """Close the socket; again counts as success."""
        self._socket.close()

    def close_aside(self) -> None:
        """Close in a thread of its own: after nftables deleted something, closing waits up to 20 ms for readers."""
        from _thread import start_new_thread

        start_new_thread(self._socket.close, ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def change(self, *messages: Message) -> None:
        """Carry out requests in order, all in one system call; those before a refused one stay done.

        Raises:
            OSError: the first refusal, with the kernel's sentence.
        """
        failures = [error for error in self.attempt(*messages) if error is not None]
        if failures:
            raise failures[0]

    def attempt(self, *messages: Message) -> list[OSError | None]:
        """Like ``change``, for requests that do not depend on each other: what became of each."""
        first = self._sequence + 1
        self._send([Message(m.kind, m.flags | ACK, m.body) for m in messages])
        outcome: dict[int, OSError | None] = {}
        while len(outcome) < len(messages):
            for kind, flags, sequence, body in self._receive():
                if kind == _ERROR and sequence >= first:
                    outcome[sequence] = _failure(flags, body)
        return [outcome[first + position] for position in range(len(messages))]

    def transaction(self, begin: Message, messages: Sequence[Message], end: Message) -> None:
        """Carry out requests together or not at all (netfilter's batches).

        Raises:
            OSError: the first refusal; nothing was changed.
        """
        first = self._sequence + 2
        self._send([begin, *(Message(m.kind, m.flags | ACK, m.body) for m in messages), end])
        failure: OSError | None = None
        waiting = set(range(first, first + len(messages)))
        while waiting:
            for kind, flags, sequence, body in self._receive():
                if kind == _ERROR and sequence >= first - 1:
                    failure = failure or _failure(flags, body)
                    if sequence not in waiting:
                        waiting.clear()  # the frame itself was refused
                    waiting.discard(sequence)
        if failure is not None:
            raise failure

    def dump(self, message: Message) -> list[bytes]:
        """The bodies of every answer to a request for many.

        Raises:
            OSError: refused.
        """
        self._send([Message(message.kind, message.flags | DUMP, message.body)])
        bodies: list[bytes] = []
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                if kind == _ERROR:
                    failure = _failure(flags, body)
                    if failure is not None:
                        raise failure
                elif kind == _DONE:
                    return bodies
                else:
                    bodies.append(body)

    def get(self, message: Message) -> bytes | None:
        """The body of the one answer, or None when there is no such object.

        Raises:
            OSError: refused for another reason.
        """
        self._send([Message(message.kind, message.flags | ACK, message.body)])
        found: bytes | None = None
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                if kind != _ERROR:
                    found = body
                    continue
                failure = _failure(flags, body)
                if failure is None:
                    return found
                if failure.errno in (2, 19):  # ENOENT, ENODEV
                    return None
                raise failure

    def _send(self, messages: Sequence[Message]) -> None:
        data = b""
        for message in messages:
            self._sequence += 1
            header = pack("=IHHII", len(message.body) + 16, message.kind, message.flags | REQUEST, self._sequence, 0)
            data += header + message.body + b"\0" * (-len(message.body) % 4)
        self._socket.send(data)

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        data = self._socket.recv(1 << 17)
        offset = 0
        while offset + 16 <= len(data):
            size, kind, flags, sequence, _pid = unpack_from("=IHHII", data, offset)
            if size < 16:
                return
            if kind != _NOOP:
                yield kind, flags, sequence, data[offset + 16 : offset + size]
            offset += size + 3 & ~3


def _failure(flags: int, body: bytes) -> OSError | None:
    (code,) = unpack_from("=i", body)
    if code == 0:
        return None
    sentence = ""
    if flags & _ACK_TLVS:
        skip = 20 if flags & _CAPPED else 4 + unpack_from("=I", body, 4)[0]
        sentence = attributes(body, skip + 3 & ~3).get(1, b"").rstrip(b"\0").decode(errors="replace")
    reason = os.strerror(-code)
    return OSError(-code, f"{reason} ({sentence})" if sentence else reason)
