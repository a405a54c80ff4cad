from __future__ import annotations

import json
import struct
from typing import Any

import msgspec
import pytest

from ingest.fluentbit import packed

TIME = b"\xd7\x00" + struct.pack(">II", 1_763_799_301, 123_457_790)
SENT = "2025-11-22T08:15:01.123457790Z"


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (msgspec.msgpack.encode({"a": [1, "é", None, 1.5, False]}), {"a": [1, "é", None, 1.5, False]}),
        (b"\xa2hi", "hi"),
        (b"\xc4\x02hi", "hi"),
        (b"\xa1\xff", "\ufffd"),
        (b"\xa6\xed\xa0\xbd\xed\xb8\x80", "😀"),
        (b"\x81\xa1a\xc4\x02hi", {"a": "hi"}),
        (b"\x81\xc4\x01a\xa1\xff", {"a": "\ufffd"}),
        (b"\x81\xa1a\xa6\xed\xa0\xbd\xed\xb8\x80", {"a": "😀"}),
        (b"\x81\x01\xc3", {"1": True}),
        (b"\x81\xa1a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", {"a": None}),
        (b"\x81\xa1\xff\xd4\x05\x00", {"\ufffd": None}),
        (b"\x81\xa1a" + TIME, {"a": None}),
        (b"\x82\xa1a\xd6\xff" + bytes(4) + b"\xa1b\xa1\xff", {"a": None, "b": "\ufffd"}),
        (b"\x83\xa1\xff\xff\xa1a\x90\xa1b\x91\xd0\x80", {"\ufffd": -1, "a": [], "b": [-128]}),
        (b"\x82\xa1a\x01\xa1a\x02", {"a": 2}),
        (b"\x81\x91\x01\xa1x", {"[1]": "x"}),
    ],
)
def test_a_value_becomes_json(data: bytes, value: object) -> None:
    assert json.loads(packed.as_json(data)) == value


@pytest.mark.parametrize(
    "data", [b"", b"\x81", b"\x81\xa1", b"\x81\xa1a\xcb\x00", b"\xdc", b"\xdd" + b"\x00" * 2, b"\xc1"]
)
def test_half_a_value_becomes_null(data: bytes) -> None:
    assert packed.as_json(data) == b"null"


def test_a_large_value_is_left_out_unless_it_is_a_string() -> None:
    notice = b'"[logurt] 600005 bytes left out: the value is too large"'
    assert packed.as_json(msgspec.msgpack.encode(["x"] * 300_000)) == notice
    assert packed.as_json(msgspec.msgpack.encode("x" * 300_000)) == b'"%b"' % (b"x" * 300_000)
    assert len(packed.as_json(b"\xdb\x00\x04\x93\xe0" + b"\xff" * 300_000)) > 300_000


def test_values_that_are_nested_too_deep_become_null() -> None:
    assert packed.as_json(b"\x91" * 30_000 + b"\xc0") == b"null"


def test_a_record_whose_keys_are_no_strings_has_members_all_the_same() -> None:
    assert packed.row_of(b"\x82\x05\xa1\xff\xa3log\x01") == {
        "5": msgspec.Raw(b"\xa3\xef\xbf\xbd"),
        "log": msgspec.Raw(b"\x01"),
    }


@pytest.mark.parametrize("record", [b"\x91\x01", b"\x82\x05", b"\x05", b"\x81\x05\xdb\x00\x01\x00\x00" + b"x" * 65_536])
def test_what_is_no_record_or_a_large_one_has_no_members(record: bytes) -> None:
    assert packed.row_of(record) is None


@pytest.mark.parametrize(
    ("head", "time"),
    [
        (TIME, SENT),
        (b"\x92" + TIME + b"\x80", SENT),
        (b"\xc7\x08" + TIME[1:], SENT),
        (b"\x92\xc7\x08" + TIME[1:] + b"\x80", SENT),
        (b"\xce\x69\x21\x71\x05", "2025-11-22T08:15:01Z"),
        (b"\x92\xce\x69\x21\x71\x05\x80", "2025-11-22T08:15:01Z"),
        (b"\xcb" + struct.pack(">d", 1.5), "1970-01-01T00:00:01.500000Z"),
        (b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", ""),
        (b"\x05", "1970-01-01T00:00:05Z"),
        (b"\xa1a", ""),
        (b"\x90", ""),
        (b"\xc0", ""),
        (b"\xc1", ""),
        (b"", ""),
        (b"\xd7\x01" + bytes(8), ""),
    ],
)
def test_the_time_of_an_entry_is_an_extension_or_a_number(head: bytes, time: str) -> None:
    assert packed.times_of([msgspec.Raw(head)]) == [time]
    assert packed.times_of([msgspec.Raw(b"\x05"), msgspec.Raw(head)])[1] == time


@pytest.mark.parametrize("seconds", [-1, -2])
def test_the_time_of_a_group_marker_is_none(seconds: int) -> None:
    marker = b"\x92\xd7\x00" + struct.pack(">iI", seconds, 0) + b"\x80"
    assert packed.times_of([msgspec.Raw(marker), msgspec.Raw(b"\x92" + TIME + b"\x80")]) == [None, SENT]


def test_strings_are_decoded_together_or_not_at_all() -> None:
    raws = [msgspec.Raw(msgspec.msgpack.encode(text)) for text in ("a", "é" * 99)]
    assert packed.Codec().strings(raws) == ["a", "é" * 99]
    assert packed.Codec().strings([msgspec.Raw(b"\xc0"), raws[0]]) == [None, "a"]
    with pytest.raises(msgspec.ValidationError):
        packed.Codec().strings([*raws, msgspec.Raw(b"\x05")])


def test_a_member_becomes_json() -> None:
    assert packed.Codec().as_json(msgspec.Raw(b"\x91\x01")) == msgspec.Raw(b"[1]")


def test_values_become_text_together_or_not_at_all() -> None:
    values: list[Any] = [
        msgspec.Raw(b"\xa1x"),
        msgspec.Raw(b"\x81\xa1a\xc0"),
        {"b": msgspec.Raw(b"\x92\x01\xcd\xc4\xc5")},
    ]
    assert packed.Codec().texts(values) == ["x", '{"a":null}', '{"b":[1,50373]}']
    for odd in (b"\xc4\x02hi", b"\x81\xa1a\x91\xc4\x01x", b"\x81\xc4\x01x\x01", b"\xa1\xff", b"\x81\x91\x01\xa1x"):
        assert packed.Codec().texts([*values, msgspec.Raw(odd)]) is None
    assert packed.Codec().texts([msgspec.Raw(msgspec.msgpack.encode("x" * 300_000))]) is None
