from __future__ import annotations

import json
import struct
from typing import Any

import msgspec
import pytest

from ingest.fluentbit import messagepack
from ingest.fluentbit.messagepack import Entry, MalformedError

TIME = b"\xd7\x00" + struct.pack(">II", 1_763_799_301, 123_457_790)
RECORD = msgspec.msgpack.encode({"log": "x" * 300, "n": [1, -1, 1.5, None, True, 2**40, -(2**40)]})
NEW = b"\x92\x92" + TIME + b"\x80" + RECORD
OLD = b"\x92" + TIME + RECORD


def records(body: bytes) -> list[Any]:
    return [entry and bytes(entry.record) for entry in messagepack.entries(body)]


@pytest.mark.parametrize(
    "body",
    [
        NEW * 3,
        OLD * 3,
        RECORD * 3,
        b"\xdd\x00\x00\x00\x02\xdc\x00\x02" + TIME + b"\xdf\x00\x00\x00\x00" + RECORD + NEW + OLD,
        b"\x93" + NEW * 3,
        b"\x93" + OLD * 3,
        b"\x93" + RECORD * 3,
        b"\xdd\x00\x00\x00\x03" + NEW * 3,
        b"\x92\xce\x69\x21\x71\x05" + RECORD + b"\x92\xcb" + struct.pack(">d", 1.5) + RECORD + OLD,
    ],
)
def test_every_shape_of_entry_is_read(body: bytes) -> None:
    assert records(body) == [RECORD] * 3


@pytest.mark.parametrize("body", [NEW * 3, OLD * 3])
def test_the_count_of_entries_is_guessed_from_the_first(body: bytes) -> None:
    assert list(messagepack.counts(body)) == [3, 3]
    array = messagepack.array_of(body, 3)
    assert len(msgspec.msgpack.decode(array, type=list[msgspec.Raw])) == 3


def test_records_that_start_otherwise_are_found_by_the_second_guess() -> None:
    other = NEW.replace(b"\xa3log", b"\xa3msg")
    assert list(messagepack.counts(NEW + other + NEW)) == [2, 3]


@pytest.mark.parametrize("body", [RECORD, b"", b"\xd7\x00", b"\x92"])
def test_without_a_first_entry_that_has_a_time_nothing_is_guessed(body: bytes) -> None:
    assert list(messagepack.counts(body)) == []


@pytest.mark.parametrize(
    "broken",
    [
        NEW[:-1],
        NEW[:40],
        NEW[1:],
        NEW.replace(b"\xda\x01\x2c", b"\xda\x02\x2c"),
        NEW.replace(b"\xda\x01\x2c", b"\xda\x01\x20"),
        NEW.replace(b"\xda\x01\x2c", b"\xc1\x01\x2c"),
        NEW.replace(b"\x80\x82", b"\x80\x84"),
        NEW.replace(b"\x80\x82", b"\x80\x92"),
        b"\x92\x92" + TIME + b"\x80\xdd\xff\xff\xff\xff",
    ],
)
def test_a_broken_entry_costs_no_neighbour(broken: bytes) -> None:
    assert broken != NEW
    pieces = records(NEW * 2 + broken + NEW * 2)
    assert pieces[:2] == pieces[-2:] == [RECORD] * 2
    assert None in pieces


@pytest.mark.parametrize("body", [b"", b"\xdc", b"\xdc\x00", b"\x91", b"\x90", b"\xc1", b"\x93\x01\x02\x03"])
def test_what_holds_no_entry_yields_none(body: bytes) -> None:
    assert [piece for piece in records(body) if piece is not None] == []


@pytest.mark.parametrize("unit", [b"\x91", b"\x92", b"\xdd\xff\xff\xff\xff", b"\x92\x92\xd7\x00", OLD[:11] + b"\x91"])
def test_hostile_bodies_are_given_up(unit: bytes) -> None:
    assert [piece for piece in records(unit * 400_000) if piece is not None] == []


def test_nesting_takes_no_recursion() -> None:
    deep = b"\x81\xa1a" * 50_000 + b"\xc0"
    body = b"\x92" + TIME + b"\x82\xa3log\xa1x\xa1d" + deep
    [entry] = messagepack.entries(body)
    assert entry is not None
    assert json.loads(messagepack.as_json(bytes(entry.record)))["log"] == "x"


@pytest.mark.parametrize(
    ("head", "parts"),
    [
        (TIME, (1_763_799_301, 123_457_790)),
        (b"\x92" + TIME + b"\x80", (1_763_799_301, 123_457_790)),
        (b"\xc7\x08" + TIME[1:], (1_763_799_301, 123_457_790)),
        (b"\xce\x69\x21\x71\x05", 1_763_799_301),
        (b"\xcb" + struct.pack(">d", 1.5), 1.5),
        (b"\x05", 5),
        (b"\xa1a", None),
        (b"\x90", None),
        (b"\xc0", None),
        (b"\xd7\x01" + bytes(8), None),
    ],
)
def test_a_time_is_an_extension_or_a_number(head: bytes, parts: object) -> None:
    assert messagepack.time_parts(msgspec.Raw(head)) == parts
    assert messagepack.time_parts(None) is None


def test_group_markers_are_known_by_their_time() -> None:
    start, end = (b"\x92\xd7\x00" + struct.pack(">iI", seconds, 0) + b"\x80" for seconds in (-1, -2))
    assert messagepack.is_group_marker(msgspec.Raw(start))
    assert messagepack.is_group_marker(msgspec.Raw(end))
    assert not messagepack.is_group_marker(msgspec.Raw(b"\x92" + TIME + b"\x80"))
    assert not messagepack.is_group_marker(None)


@pytest.mark.parametrize(
    ("packed", "value"),
    [
        (msgspec.msgpack.encode({"a": [1, "é", None, 1.5, False]}), {"a": [1, "é", None, 1.5, False]}),
        (b"\x81\xa1a\xc4\x02hi", {"a": "hi"}),
        (b"\x81\xc4\x01a\xa1\xff", {"a": "\ufffd"}),
        (b"\x81\xa1a\xa6\xed\xa0\xbd\xed\xb8\x80", {"a": "😀"}),
        (b"\x82\x01\xc3\xc0\xc2", {"1": True, "None": False}),
        (b"\x81\xa1a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", {"a": None}),
        (b"\x81\xa1\xff\xd4\x05\x00", {"\ufffd": None}),
        (b"\x83\xa1\xff\xff\xa1a\x90\xa1b\x91\xd0\x80", {"\ufffd": -1, "a": [], "b": [-128]}),
        (b"\x82\xa1a\x01\xa1a\x02", {"a": 2}),
    ],
)
def test_a_record_becomes_json(packed: bytes, value: object) -> None:
    assert json.loads(messagepack.as_json(packed)) == value


@pytest.mark.parametrize("packed", [b"", b"\x81", b"\x81\xa1", b"\x81\xa1a\xcb\x00", b"\xdc", b"\xdd" + b"\x00" * 2])
def test_half_a_record_is_malformed(packed: bytes) -> None:
    with pytest.raises(MalformedError):
        messagepack.as_json(packed)


def test_a_record_of_too_many_values_is_malformed() -> None:
    with pytest.raises(MalformedError) as refused:
        messagepack.as_json(b"\xdd\x00\x0f\x42\x40" + b"\xc0" * 1_000_000)
    assert str(refused.value) == "not MessagePack after 200000 values"


def test_an_entry_keeps_its_time_and_its_record_apart() -> None:
    [entry] = messagepack.entries(OLD)
    assert entry == Entry(msgspec.Raw(TIME), msgspec.Raw(RECORD))
