from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ingest.fluentbit.budget import PIECE, Budget
from ingest.fluentbit.messagepack import Body, whole

if TYPE_CHECKING:
    from ingest.fluentbit.table import Table

TIME = b"\xd7\x00" + struct.pack(">II", 1_763_799_301, 123_457_790)
MEMBERS = {"log": "x" * 300, "n": [1, -1, 1.5, None, True, 2**40, -(2**40)]}
RECORD = msgspec.msgpack.encode(MEMBERS)
NEW = b"\x92\x92" + TIME + b"\x80" + RECORD
OLD = b"\x92" + TIME + RECORD
SPELT = b"\xdd\x00\x00\x00\x02\xdc\x00\x02" + TIME + b"\xdf\x00\x00\x00\x00" + RECORD
SENT = "2025-11-22T08:15:01.123457790Z"


def tables(body: bytes, budget: Budget | None = None) -> list[Table]:
    return [table for table in Body(body, budget or Budget()).tables() if table.readable or table.lost]


def texts(body: bytes) -> list[str]:
    return [text for table in tables(body) for text in table.texts]


def lost(body: bytes) -> int:
    return sum(table.lost for table in tables(body))


def entry(**members: Any) -> bytes:
    return b"\x92\x92" + TIME + b"\x80" + msgspec.msgpack.encode(members)


@pytest.mark.parametrize(
    "body",
    [
        NEW * 3,
        OLD * 3,
        SPELT * 3,
        RECORD * 3,
        b"\xdd\x00\x00\x00\x03" + SPELT * 3,
        b"\x93" + NEW * 3,
        b"\x93" + OLD * 3,
        b"\x93" + RECORD * 3,
        b"\xdc\x00\x03" + NEW * 3,
        b"\x92\xce\x69\x21\x71\x05" + RECORD + (b"\x92\xcb" + struct.pack(">d", 1.5) + RECORD) * 2,
    ],
)
def test_every_shape_of_entry_is_read(body: bytes) -> None:
    assert texts(body) == ["x" * 300] * 3
    assert lost(body) == 0


@pytest.mark.parametrize("array", [b"\x92", b"\xdc\x00\x02", b"\xdd\x00\x00\x00\x02"])
@pytest.mark.parametrize("one", [NEW, OLD, RECORD])
def test_an_array_of_two_entries_is_told_from_one_entry(array: bytes, one: bytes) -> None:
    assert texts(array + one * 2) == ["x" * 300] * 2
    assert texts(one) == ["x" * 300]


@pytest.mark.parametrize(
    "members", [{"time": SENT, "log": "x"}, {"log": "x"}, {"time": SENT, "logtag": "F", "message": "x"}]
)
@pytest.mark.parametrize("metadata", [{}, {"kubernetes": {"pod_name": "web-0", "namespace_name": "shop" * 9}}])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_a_body_whose_records_are_alike_is_decoded_as_a_whole(
    members: dict[str, str], metadata: dict[str, Any], count: int
) -> None:
    columns = whole(entry(**members, **metadata) * count)
    assert columns is not None
    assert columns[:2] == (["x"] * count, [SENT] * count)


@pytest.mark.parametrize("odd", [b"", b"\x90", NEW + b"\x05", NEW[:-1], RECORD * 2, NEW + OLD, b"\x92" + NEW * 2])
def test_a_body_that_is_not_as_it_should_be_is_not_decoded_as_a_whole(odd: bytes) -> None:
    assert whole(odd) is None


@pytest.mark.parametrize("log", ["x" * 300, {"a": "x" * 300}])
def test_a_large_body_with_another_shape_in_it_is_read_in_pieces(log: object) -> None:
    body = entry(time=SENT, log=log) * 4000 + entry(log=5)
    assert len(body) > 2 * PIECE
    assert len(texts(body)) == 4001
    assert lost(body) == 0


def test_records_that_start_otherwise_are_read_as_well() -> None:
    assert texts(entry(time=SENT, log="a") + entry(log="b") + entry(stream="stdout", log="c")) == ["a", "b", "c"]


def test_group_markers_are_left_out() -> None:
    start, end = (b"\x92\x92\xd7\x00" + struct.pack(">iI", at, 0) + b"\x80\x81\xa1a\x01" for at in (-1, -2))
    assert texts(start + NEW + end) == ["x" * 300]
    assert lost(start + NEW + end) == 0


@pytest.mark.parametrize(
    "broken",
    [
        NEW[:-1],
        NEW[:40],
        NEW.replace(b"\xda\x01\x2c", b"\xda\x02\x2c"),
        NEW.replace(b"\xda\x01\x2c", b"\xda\x01\x20"),
        NEW.replace(b"\xda\x01\x2c", b"\xc1\x01\x2c"),
        NEW.replace(b"\x80\x82", b"\x80\x84"),
        b"\x92\x92" + TIME + b"\x80\xdd\xff\xff\xff\xff",
        b"\x92\x92" + TIME + b"\x80\x81\xa1a" + b"\x91" * 50_000 + b"\xc0",
    ],
)
def test_what_follows_a_malformed_entry_is_lost_and_counted(broken: bytes) -> None:
    body = NEW * 2 + broken + NEW * 2
    assert broken != NEW
    assert texts(body) == ["x" * 300] * 2
    assert lost(body) in (2, 3)


@pytest.mark.parametrize(
    "odd",
    [
        b"\x92\x92" + TIME + b"\x80\x05",
        b"\x92\x92" + TIME + b"\x80\x91\x01",
        b"\x92\x92" + TIME + b"\x80\x81\xa1a\xda\x01\x00" + (b"\x92\x92" + TIME).ljust(256, b"\x00"),
    ],
)
def test_a_well_formed_entry_that_is_no_record_costs_no_other(odd: bytes) -> None:
    assert texts(NEW * 2 + odd + NEW) == ["x" * 300] * 3
    assert lost(NEW * 2 + odd + NEW) == 1


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (b"\x81\xa3log\xa1\xff", "\ufffd"),
        (b"\x81\xa3log\xc4\x02hi", "hi"),
        (b"\x81\xc4\x03log\xa1x", "x"),
        (b"\x82\x05\x06\xa3log\xa1x", "x"),
        (b"\x82\xa1\xff\x06\xa3log\xa1x", "x"),
        (b"\x82\xa2_p\xa1F\xa1a\xd4\x05\x00", '{"a":null}'),
    ],
)
def test_an_odd_record_is_read_all_the_same(record: bytes, text: str) -> None:
    body = NEW + b"\x92\x92" + TIME + b"\x80" + record + NEW
    assert texts(body)[1] == text
    assert lost(body) == 0


@pytest.mark.parametrize(
    "body", [b"\xdc", b"\xdc\x00", b"\x91", b"\x90", b"\xc1", b"\x93\x01\x02\x03", b"\xa1a", b"\xff\xfe"]
)
def test_what_holds_no_entry_is_not_readable(body: bytes) -> None:
    assert not any(table.readable for table in tables(body))


@pytest.mark.parametrize("unit", [b"\x91", b"\x92", b"\xdd\xff\xff\xff\xff", b"\x92\x92\xd7\x00", OLD[:11] + b"\x91"])
def test_hostile_bodies_are_given_up(unit: bytes) -> None:
    assert texts(unit * 400_000) == []


@pytest.mark.usefixtures("in_pieces")
def test_a_large_body_is_read_in_pieces() -> None:
    body = b"".join(entry(log=str(at), a="x" * 100) for at in range(12_000))
    assert len(tables(body)) > 1
    assert texts(body) == [str(at) for at in range(12_000)]


def test_a_record_of_more_than_4_mib_is_skipped_and_costs_no_other() -> None:
    body = NEW + entry(log="x" * (5 << 20)) + NEW * 2
    assert texts(body) == ["x" * 300] * 3
    assert lost(body) == 1


def test_a_record_of_many_values_costs_no_other() -> None:
    notice = '{"a":"[logurt] 300005 bytes left out: the value is too large"}'
    assert texts(NEW + entry(a=[None] * 300_000) + NEW) == ["x" * 300, notice, "x" * 300]


def test_an_exhausted_budget_costs_the_rest_which_is_counted() -> None:
    body = entry(_p="F", a=1) * 20_000
    found = tables(body, Budget(3000))
    read = sum(len(table.texts) for table in found)
    assert 0 < read < 5000
    assert read + sum(table.lost for table in found) == pytest.approx(20_000, rel=0.02)
