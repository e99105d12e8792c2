"""Docker's log lines: escaping, long lines, rotation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyctl.keeper.jsonlines import LINE_LIMIT, LogFile, encode, encode_block, size_bytes, split, timestamp, whole_lines


def test_an_unfinished_line_waits_for_its_rest() -> None:
    assert split(b"one\ntwo\nthr", final=False) == [b"one\n", b"two\n"]
    assert split(b"one\ntwo\nthr", final=True) == [b"one\n", b"two\n", b"thr"]
    assert split(b"", final=True) == []


def test_a_long_line_is_split_and_nothing_is_lost() -> None:
    data = b"a" * (2 * LINE_LIMIT + 100) + b"\nshort\n"
    entries = split(data, final=False)
    assert b"".join(entries) == data
    assert [len(entry) for entry in entries] == [LINE_LIMIT, LINE_LIMIT, 101, 6]


def test_a_line_without_end_does_not_pile_up() -> None:
    entries = split(b"a" * (LINE_LIMIT + 1), final=False)
    assert [len(entry) for entry in entries] == [LINE_LIMIT]


def test_splitting_tears_no_character() -> None:
    entries = split("é".encode() * LINE_LIMIT + b"\n", final=False) + split(b"x" + "€".encode() * LINE_LIMIT, final=True)
    for entry in entries:
        entry.decode()


@pytest.mark.parametrize(
    "text", ["plain", 'quotes " and \\ backslash \\n', "tab\tcr\rbell\x07nul\x00esc\x1b[1m", "ümläut €\u2028 𝄞", "", "</script>"]
)
def test_what_json_reads_back_is_what_was_written(text: str) -> None:
    (line,) = encode([text.encode() + b"\n"], "stderr", "T").splitlines(keepends=True)
    assert json.loads(line) == {"log": text + "\n", "stream": "stderr", "time": "T"}


@pytest.mark.parametrize(
    "text", ["a\n", "a\nb\n\n\nc\n", 'q " \\ \\n \\\\n\n\\\n', "t\t\r\x07\x00\x1bn\n", "ü€\u2028𝄞\n\ufffd\n", "\n", '"\n"n\n']
)
def test_the_fast_way_writes_what_the_slow_one_does(text: str) -> None:
    data = text.encode()
    assert encode_block(data, "stdout", "T") == encode(split(data, final=False), "stdout", "T")


def test_the_fast_way_declines_what_it_cannot_do() -> None:
    assert encode_block("\\ \ue000\n".encode(), "stdout", "T") is None
    assert encode_block("\ue000\n".encode(), "stdout", "T") == encode(["\ue000\n".encode()], "stdout", "T")


def test_whole_lines_end_before_a_long_or_an_unfinished_one() -> None:
    assert whole_lines(b"one\ntwo\nthr") == 8
    assert whole_lines(b"none") == 0
    assert whole_lines(b"one\n" + b"x" * LINE_LIMIT + b"\ntwo\n") == 4 + LINE_LIMIT + 1 + 4
    assert whole_lines(b"one\n" + b"x" * (LINE_LIMIT + 1) + b"\ntwo\n") == 4


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert json.loads(encode([b"a\xff\xc3\n"], "stdout", "T"))["log"] == "a\ufffd\ufffd\n"


def test_many_entries_are_one_line_each() -> None:
    lines = encode([b"a\n", b"b\n", b"c"], "stdout", "T").decode().splitlines()
    assert [json.loads(line)["log"] for line in lines] == ["a\n", "b\n", "c"]


def test_times_have_nanoseconds_and_do_not_go_back() -> None:
    first, second = timestamp(), timestamp()
    assert len(first) == len("2026-01-01T00:00:00.000000000Z")
    assert first <= second


def test_rotation_keeps_so_many_files(tmp_path: Path) -> None:
    log = LogFile(f"{tmp_path}/log", max_size_bytes=10, max_files=3)
    for text in (b"one", b"two", b"three", b"four"):
        log.append(text)
        log.rotate()
    log.append(b"five")
    log.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"log": b"five", "log.1": b"four", "log.2": b"three"}


def test_rotation_with_one_file_starts_it_anew(tmp_path: Path) -> None:
    log = LogFile(f"{tmp_path}/log", max_size_bytes=3)
    log.append(b"one")
    assert log.is_full
    log.rotate()
    assert not log.is_full
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(("text", "size"), [("10k", 10_000), ("1.5MB", 1_500_000), ("3GiB", 3_000_000_000), ("-1", 0), ("7", 7)])
def test_sizes_are_dockers(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "m", "ten", "-5m", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        size_bytes(text)
