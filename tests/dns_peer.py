"""Both sides of DNS for tests, written apart from the code under test: one who asks, and a name server to be asked."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

A, PTR, TXT, OPT, AAAA = 1, 12, 16, 41, 28
FAMILIES = {A: socket.AF_INET, AAAA: socket.AF_INET6}


@dataclass(frozen=True)
class Answer:
    """What came back. ``records`` are texts: addresses, or names of PTR records, in the order they came."""

    rcode: int
    records: tuple[str, ...]
    is_cut: bool = False
    is_authoritative: bool = False
    has_edns: bool = False
    ttls: tuple[int, ...] = ()


def question(name: str, kind: int = A, *, number: int = 0, edns: int = 0, flags: int = 0x0100) -> bytes:
    packed = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".") if label) + b"\0"
    tail = struct.pack(">BHHIH", 0, OPT, edns, 0, 0) if edns else b""
    return struct.pack(">6H", number, flags, 1, 0, 0, 1 if edns else 0) + packed + struct.pack(">2H", kind, 1) + tail


def _skip_name(data: bytes, at: int) -> int:
    while data[at]:
        if data[at] >= 0xC0:
            return at + 2
        at += 1 + data[at]
    return at + 1


def _read_name(data: bytes, at: int) -> str:
    labels = []
    while data[at]:
        if data[at] >= 0xC0:
            at = int.from_bytes(data[at : at + 2], "big") & 0x3FFF
            continue
        labels.append(data[at + 1 : at + 1 + data[at]].decode())
        at += 1 + data[at]
    return ".".join(labels)


def read(data: bytes) -> Answer:
    _, flags, questions, answers, authorities, additional = struct.unpack_from(">6H", data)
    assert flags & 0x8000, "no answer"
    at = 12
    for _ in range(questions):
        at = _skip_name(data, at) + 4
    records, ttls, has_edns = [], [], False
    for index in range(answers + authorities + additional):
        at = _skip_name(data, at)
        kind, _, ttl, length = struct.unpack_from(">HHIH", data, at)
        at += 10
        if index < answers and kind in FAMILIES:
            records.append(socket.inet_ntop(FAMILIES[kind], data[at : at + length]))
            ttls.append(ttl)
        elif index < answers and kind == PTR:
            records.append(_read_name(data, at))
            ttls.append(ttl)
        has_edns = has_edns or kind == OPT
        at += length
    assert at == len(data)
    return Answer(flags & 15, tuple(records), bool(flags & 0x200), bool(flags & 0x400), has_edns, tuple(ttls))


def exchange(sock: socket.socket, data: bytes) -> bytes:
    """One question and its answer over a connected socket, UDP or TCP."""
    if sock.type == socket.SOCK_DGRAM:
        sock.send(data)
        return sock.recv(65535)
    sock.sendall(struct.pack(">H", len(data)) + data)
    return _receive(sock, int.from_bytes(_receive(sock, 2), "big"))


def _receive(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = sock.recv(length - len(data))
        if not piece:
            raise EOFError("the connection ended")
        data += piece
    return data


def ask(sock: socket.socket, name: str, kind: int = A, *, edns: int = 0) -> Answer:
    """Ask over a connected socket; the answer must carry the question's number and the question itself."""
    number = int.from_bytes(os.urandom(2), "big")
    data = question(name, kind, number=number, edns=edns)
    reply = exchange(sock, data)
    assert reply[:2] == data[:2]
    assert reply[12:].startswith(data[12 : _skip_name(data, 12) + 4])
    return read(reply)


def _bound(family: int, address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on one port; without a wish, one that is free for both."""
    refused: list[socket.socket] = []  # kept until the end, so that the kernel chooses another one each time
    try:
        while True:
            udp, tcp = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_STREAM)
            udp.bind((address, port))
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tcp.bind((address, udp.getsockname()[1]))
            except OSError:
                refused += (udp, tcp)
                if port or len(refused) > 100:
                    raise
                continue
            return udp, tcp
    finally:
        for sock in refused:
            sock.close()


class Upstream:
    """A name server with these names (address, or several with commas); everything else does not exist.

    ``asked`` are the names it was asked for, in order. A name starting with ``mute`` gets no answer; for ``big`` UDP has
    only the beginning. ``before`` may send something first.
    """

    def __init__(self, names: Mapping[str, str], address: str = "127.0.0.1", port: int = 0) -> None:
        self.names = {name.lower(): value for name, value in names.items()}
        self.asked: list[str] = []
        self.before: Callable[[socket.socket, bytes, tuple[str, int]], None] = lambda sock, data, source: None
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._udp, self._tcp = _bound(family, address, port)
        self.address, self.port = address, self._udp.getsockname()[1]
        self._tcp.listen(16)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._udp, self._tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread
            except OSError:
                pass
            sock.close()
        for thread in self._threads:
            thread.join(5)

    def _serve_udp(self) -> None:
        while True:
            try:
                data, source = self._udp.recvfrom(65535)
                if not data:
                    return
                self.before(self._udp, data, source)
                reply = self._reply(data, by_tcp=False)
                if reply:
                    self._udp.sendto(reply, source)
            except OSError:
                return

    def _serve_tcp(self) -> None:
        while True:
            try:
                sock, _ = self._tcp.accept()
                with sock:
                    data = _receive(sock, int.from_bytes(_receive(sock, 2), "big"))
                    reply = self._reply(data, by_tcp=True)
                    if reply:
                        sock.sendall(struct.pack(">H", len(reply)) + reply)
            except EOFError:
                continue
            except OSError:
                return

    def _reply(self, data: bytes, *, by_tcp: bool) -> bytes:
        end = _skip_name(data, 12) + 4
        name, kind = _read_name(data, 12).lower(), int.from_bytes(data[end - 4 : end - 2], "big")
        self.asked.append(name)
        if name.startswith("mute"):
            return b""
        values = [value for value in self.names.get(name, "").split(",") if value]
        packed = [socket.inet_pton(FAMILIES[kind], value) for value in values if (":" in value) == (kind == AAAA)]
        is_cut = name.startswith("big") and not by_tcp
        body = [] if is_cut else [struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(one)) + one for one in packed]
        flags = 0x8180 | (0 if name in self.names else 3) | (0x200 if is_cut else 0)
        has_edns = data[10:12] != b"\0\0"
        tail = struct.pack(">BHHIH", 0, OPT, 4096, 0, 0) if has_edns else b""
        head = data[:2] + struct.pack(">5H", flags, 1, len(body), 0, 1 if has_edns else 0)
        return head + data[12:end] + b"".join(body) + tail
