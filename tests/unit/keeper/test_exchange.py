"""Requests and replies over one connection."""

from __future__ import annotations

import _socket
import threading

import pytest

from pyctl.keeper.wire import KeeperGoneError, exchange


def _answer(sock: _socket.socket, count: int) -> None:
    data = b""
    while data.count(b"\n") < count:
        data += sock.recv(7)
    for line in data.splitlines():
        sock.send(line[::-1])
        sock.send(b"\n")
    sock.close()


@pytest.mark.parametrize("request_lines", [b"abc\n", b"abc\ndef\nghi\n", b"x" * 300_000 + b"\nyz\n"])
def test_each_line_gets_its_reply(request_lines: bytes) -> None:
    ours, theirs = _socket.socketpair()
    server = threading.Thread(target=_answer, args=(theirs, request_lines.count(b"\n")))
    server.start()
    reply = exchange(ours, request_lines, (), 30)
    server.join()
    assert reply.splitlines() == [line[::-1] for line in request_lines.splitlines()]


def test_one_that_leaves_before_the_last_reply_is_gone() -> None:
    ours, theirs = _socket.socketpair()
    theirs.send(b"one\n")
    theirs.shutdown(_socket.SHUT_WR)
    with pytest.raises(KeeperGoneError):
        exchange(ours, b"1\n2\n", (), 30)
