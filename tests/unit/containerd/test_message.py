"""Our messages against Google's runtime, for every message of every .proto file."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hatch_build import Writer, compiled

from pyctl.containerd import message as codec
from pyctl.containerd._api import common_pb2, containers_pb2, tasks_pb2
from pyctl.containerd.message import Message
from pyctl_hookspecs.errors import PyctlError

API = Path(codec.__file__).parent / "api"
NUMBERS = (1, 127, 128, 300, 2**31 - 1)
TEXTS = ("a", "ü" * 90, "x" * 127, "y" * 128, "z" * 20000)


def the_oracle() -> list[tuple[type[Message], Descriptor]]:
    pool, pairs = descriptor_pool.DescriptorPool(), []
    files = compiled(API)
    for name in sorted(files, key=lambda name: name != "common"):
        pool.Add(files[name])
        module = importlib.import_module(f"pyctl.containerd._api.{name}_pb2")
        described = pool.FindFileByName(files[name].name)
        pairs += [(getattr(module, kind), theirs) for kind, theirs in described.message_types_by_name.items()]
    return pairs


PAIRS = the_oracle()


def fill(theirs: Any, dice: random.Random, depth: int = 0) -> None:
    for field in theirs.DESCRIPTOR.fields:
        if depth > 3 or dice.random() < 0.2:
            continue
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            for key in ("", *dice.sample(TEXTS, 3)):
                if inner.fields_by_name["value"].message_type is None:
                    getattr(theirs, field.name)[key] = dice.choice(("", *TEXTS))
                else:
                    fill(getattr(theirs, field.name)[key], dice, depth + 1)
        elif field.is_repeated:
            for _ in range(dice.randint(0, 3)):
                if inner is None:
                    getattr(theirs, field.name).append(scalar(field, dice))
                else:
                    fill(getattr(theirs, field.name).add(), dice, depth + 1)
        elif inner is not None:
            getattr(theirs, field.name).SetInParent()
            fill(getattr(theirs, field.name), dice, depth + 1)
        else:
            setattr(theirs, field.name, scalar(field, dice))


def scalar(field: FieldDescriptor, dice: random.Random) -> Any:
    kinds = FieldDescriptor
    if field.type == kinds.TYPE_STRING:
        return dice.choice(TEXTS)
    if field.type == kinds.TYPE_BYTES:
        return dice.choice(TEXTS).encode() + b"\xff\x00"
    if field.type == kinds.TYPE_BOOL:
        return True
    if field.type == kinds.TYPE_DOUBLE:
        return dice.choice((0.5, -1e300))
    if field.type == kinds.TYPE_UINT64:
        return dice.choice((*NUMBERS, 2**64 - 1))
    if field.type == kinds.TYPE_INT64:
        return dice.choice((*NUMBERS, -1, -62135596800, 2**63 - 1, -(2**63)))
    if field.type == kinds.TYPE_INT32:
        return dice.choice((*NUMBERS, -1, -(2**31)))
    if field.type == kinds.TYPE_UINT32:
        return dice.choice((*NUMBERS, 2**32 - 1))
    assert field.enum_type is not None
    return dice.choice(list(field.enum_type.values_by_number))


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[theirs.full_name for _, theirs in PAIRS])
def test_the_oracle_agrees(ours: type[Message], theirs: Descriptor) -> None:
    dice = random.Random(theirs.full_name)
    oracle = message_factory.GetMessageClass(theirs)
    for _ in range(20):
        expected = oracle()
        fill(expected, dice)
        message = ours.FromString(expected.SerializeToString())
        assert oracle.FromString(message.SerializeToString()) == expected
        for field in theirs.fields:
            if field.message_type is None and not field.is_repeated:
                assert getattr(message, field.name) == getattr(expected, field.name)
            elif field.message_type is None:
                assert list(getattr(message, field.name)) == list(getattr(expected, field.name))
            elif not field.is_repeated:
                assert message.HasField(field.name) == expected.HasField(field.name)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[theirs.full_name for _, theirs in PAIRS])
def test_what_is_unset_reads_as_zero(ours: type[Message], theirs: Descriptor) -> None:
    message, expected = ours(), message_factory.GetMessageClass(theirs)()
    for field in theirs.fields:
        value = getattr(message, field.name)
        if field.message_type is None and not field.is_repeated:
            assert value == getattr(expected, field.name)
        else:
            assert not value or not value.SerializeToString()
    assert message.SerializeToString() == b""


def test_a_number_per_field_is_read_where_a_packed_row_is_expected() -> None:
    cgroups1_pb2 = importlib.import_module("pyctl.containerd._api.cgroups1_pb2")
    assert list(cgroups1_pb2.CPUUsage.FromString(b"\x20\x05\x20\xac\x02").per_cpu) == [5, 300]


def test_unknown_fields_are_skipped_and_parts_merged() -> None:
    known = tasks_pb2.Process(id="x", exited_at=common_pb2.Timestamp(seconds=5))
    strange = b"\xf8\x7f\x96\x01" + b"\xf9\x7f12345678" + b"\xfd\x7f1234" + b"\xfa\x7f\x03abc"
    more = tasks_pb2.Process(exited_at=common_pb2.Timestamp(nanos=7)).SerializeToString()
    read = tasks_pb2.Process.FromString(strange + known.SerializeToString() + more + strange)
    assert read == tasks_pb2.Process(id="x", exited_at=common_pb2.Timestamp(seconds=5, nanos=7))


@pytest.mark.parametrize("broken", [b"\x0a", b"\x0a\x05abc", b"\x0b", b"\x0a\x01\xff", b"\x18" + b"\xff" * 11, b"\x52\x02\x0a"])
def test_broken_bytes_are_an_error_of_ours(broken: bytes) -> None:
    with pytest.raises(PyctlError, match="broken Process"):
        tasks_pb2.Process.FromString(broken)


def test_a_map_entry_may_be_odd_but_not_broken() -> None:
    backwards = b"\x12\x07" + b"\x12\x01v" + b"\x0a\x02kk"
    assert containers_pb2.Container.FromString(backwards).labels == {"kk": "v"}
    with pytest.raises(PyctlError):
        containers_pb2.Container.FromString(b"\x12\x04\x0a\x09kk")


def test_a_name_that_is_no_field_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="Process has no field colour"):
        _ = tasks_pb2.Process().colour  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("message A { fixed32 n = 1; }", "does not know fields of this type"),
        ("message A { oneof o { string s = 1; } }", "oneofs are not supported"),
        ("message A { A inside = 1; }", "inside themselves"),
    ],
)
def test_what_the_codec_lacks_stops_the_build(tmp_path: Path, source: str, words: str) -> None:
    (tmp_path / "a.proto").write_text(f'syntax = "proto3";\npackage p;\n{source}\n')
    files = compiled(tmp_path)
    with pytest.raises(RuntimeError, match=words):
        Writer(Path(codec.__file__), list(files.values())).module(files["a"])
