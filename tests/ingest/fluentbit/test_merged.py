from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.fluentbit.budget import Budget
from ingest.fluentbit.decode import decode
from ingest.fluentbit.jsontext import Body, Codec
from ingest.fluentbit.merged import columns_of_merged, columns_of_merged_entries
from ingest.fluentbit.packed import Codec as PackedCodec
from ingest.fluentbit.packed import array_of
from ingest.fluentbit.table import Table, of_rows

TIME = "2025-11-22T08:15:01.123457790Z"
OURS: dict[str, Any] = {"date": 1763799301.123457, "time": TIME, "stream": "stdout", "_p": "F"}
TAG = {"Fluent-Tag": f"kube.var.log.containers.web-1_shop_app-{'0' * 64}.log"}
KUBERNETES = {"namespace_name": "shop", "pod_name": "web-1", "docker_id": "0" * 64}


def merged(*own: str, **others: Any) -> dict[str, Any]:
    """Return a record with members of an application; of Fluent Bit's, without those that are named."""
    record = {**OURS, **others, "kubernetes": KUBERNETES}
    return {key: value for key, value in record.items() if key not in own}


def encoded(records: list[dict[str, Any]]) -> bytes:
    return json.dumps(records, separators=(",", ":"), ensure_ascii=False).encode()


def together(records: list[dict[str, Any]], samples: int = 4) -> list[tuple[Any, ...]] | None:
    """Return records as they are decoded in one go: text, time, stream and metadata of each."""
    rows = msgspec.json.decode(encoded(records), type=list[dict[str, msgspec.Raw]])
    columns = columns_of_merged(encoded(records), rows[:samples], Codec())
    return None if columns is None else [(*three, bytes(raw)) for *three, raw in zip(*columns, strict=True)]


def one_by_one(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return records as they are read by themselves."""
    rows = msgspec.json.decode(encoded(records), type=list[dict[str, msgspec.Raw]])
    tables = of_rows(rows, [""] * len(rows), Codec(), Budget())
    return [(*three, bytes(raw)) for table in tables for *three, raw in zip(*table[:4], strict=True)]


def test_members_of_the_application_are_its_text_in_their_order() -> None:
    records = [merged(level="info", msg='a "b"', user={"id": 1}), merged(level="warn", seconds=1.5)]
    found = together(records)
    assert found == one_by_one(records)
    assert found is not None
    assert [text for text, *_ in found] == [
        '{"level":"info","msg":"a \\"b\\"","user":{"id":1}}',
        '{"level":"warn","seconds":1.5}',
    ]


def test_a_string_under_log_is_the_text() -> None:
    records = [merged(log="plain"), merged(level="info", msg="x"), merged(log="plain", level="info")]
    assert [text for text, *_ in together(records) or ()] == ["plain", '{"level":"info","msg":"x"}', "plain"]


@pytest.mark.parametrize("key", ["log_processed", "msg", "message"])
@pytest.mark.parametrize("value", [{"a": 1}, "said", "\u00e9\n", 5, None, [1]])
def test_one_member_that_says_all_is_the_text_by_itself(key: str, value: object) -> None:
    records = [merged(**{key: value}), merged(**{key: value})]
    assert together(records) == one_by_one(records)


@pytest.mark.parametrize("own", [("date",), ("time",), ("date", "time"), ("stream",), ("_p",), ("kubernetes",)])
def test_members_of_fluent_bit_may_be_missing_in_all(own: tuple[str, ...]) -> None:
    records = [merged(*own, level="info", msg="x"), merged(*own, level="warn", msg="y")]
    assert together(records) == one_by_one(records) != []


@pytest.mark.parametrize(
    "odd",
    [
        merged(msg="x", level="info"),
        merged("time", level="info", msg="x"),
        merged("stream", level="info", msg="x"),
        merged(level="info", msg="x", new=1),
        merged(level="info", msg="x") | {"time": "soon"},
        merged(level="info", msg="x") | {"stream": "video"},
        merged(level="info", msg="x") | {"date": "soon"},
        merged(log=None, level="info", msg="x"),
        merged(log={"a": 1}, level="info", msg="x"),
        merged(logtag="F", level="info", msg="x"),
        merged(msg="x"),
        merged(),
    ],
)
def test_what_is_not_as_the_first_records_let_expect_is_read_by_itself(odd: dict[str, Any]) -> None:
    usual = merged(level="info", msg="x")
    assert together([usual, usual, usual, usual, odd]) is None
    assert together([usual]) is not None


@pytest.mark.parametrize("odd", [{"at": 1}, {"timestamp": 1, "level": "info"}])
def test_a_member_that_may_be_a_date_by_where_it_stands_is_read_by_itself(odd: dict[str, Any]) -> None:
    usual = {"log": "x", "at": 1, "timestamp": 1, "level": "info", "kubernetes": KUBERNETES}
    assert together([usual, odd | {"kubernetes": KUBERNETES}]) is None


@pytest.mark.parametrize("own", [("date",), ("time",), ("stream",), ("_p",), ("kubernetes",)])
def test_members_of_fluent_bit_that_only_a_later_record_has_are_not_dropped(own: tuple[str, ...]) -> None:
    assert together([merged(*own, level="info"), merged(level="info")], 1) is None


def test_records_without_any_member_are_read_by_themselves() -> None:
    assert together([{}, {}]) is None


def test_spaces_and_members_that_come_twice_are_read_by_themselves() -> None:
    body = encoded([merged(level="info")])
    rows = msgspec.json.decode(body, type=list[dict[str, msgspec.Raw]])
    for sent in (body.replace(b",", b", ", 1), body.replace(b'"level"', b'"level":0,"level"'), b"[]", b"[{]"):
        assert columns_of_merged(sent, rows, Codec()) is None


def test_very_many_or_long_keys_are_not_learnt() -> None:
    assert together([merged(**{f"key{number}": 1 for number in range(100)})]) is None
    assert together([merged(**{"k" * 200: 1})]) is None


@pytest.mark.parametrize("key", ['a"b', "a\\b", "a\tb", "\x00", "", "\x7f", "\u2028", "__init__", "other0", "partial"])
def test_keys_of_any_characters_are_read(key: str) -> None:
    records = [merged(**{key: number}, level="info") for number in range(100)]
    batches = [*decode(encoded(records), {})]
    texts = [text for batch in batches for run in batch.runs for text in run.texts]
    assert texts == [text for text, *_ in one_by_one(records)]
    assert texts[7] == json.dumps({key: 7, "level": "info"}, separators=(",", ":"), ensure_ascii=False)


def test_very_many_records_are_not_decoded_in_one_go() -> None:
    assert together([merged(*OURS, "kubernetes", a=1)] * 4096) is not None
    assert together([merged(*OURS, "kubernetes", a=1)] * 4097) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([1.5, "x", "a, b", "\u00e9", 'say "x"', "/"]),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.sampled_from("ab"), values, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(
    ["level", "msg", "message", "log_processed", "user", "\u00e9", "date", "timestamp", "other", 'a"b', "\\", "\n", ""]
)
RECORDS = st.builds(
    lambda own, others, log: merged(*own, **({} if log is None else {"log": log}), **others),
    st.sets(st.sampled_from(sorted([*OURS, "kubernetes"])), max_size=1),
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.none() | st.just("plain"),
)


@given(st.lists(RECORDS, min_size=1, max_size=6), st.integers(1, 6))
def test_records_say_the_same_together_as_one_by_one(records: list[dict[str, Any]], samples: int) -> None:
    found = together(records, samples)
    assert found is None or found == one_by_one(records)


def test_a_body_of_them_is_decoded_in_one_go_and_beside_others_too() -> None:
    usual = [merged(level="info", msg=f"number {number}") for number in range(300)]
    for records in (usual, [*usual, merged(msg="x", level="info")], usual * 30):
        tables: list[Table] = [*Body(encoded(records), Budget()).tables()]
        assert [text for table in tables for text in table.texts] == [text for text, *_ in one_by_one(records)]


# MessagePack. The date stands beside the record.

SECONDS, NANOSECONDS = 1763799301, 123457000
ENTRY_TIME = "2025-11-22T08:15:01.123457000Z"
ENTRIES = msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, dict[str, msgspec.Raw]]])


def entry(record: dict[str, Any], seconds: int = SECONDS) -> bytes:
    time = msgspec.msgpack.Ext(0, seconds.to_bytes(4) + NANOSECONDS.to_bytes(4))
    return msgspec.msgpack.encode([[time, {}], record])


def undated(*own: str, **others: Any) -> dict[str, Any]:
    return merged("date", *own, **others)


def packed_rows(records: list[dict[str, Any]]) -> tuple[bytes, list[dict[str, msgspec.Raw]]]:
    """Return records as an array of entries, and their rows."""
    array = array_of(b"".join(map(entry, records)), len(records))
    return array, [row for _, row in ENTRIES.decode(array)]


def packed_together(records: list[dict[str, Any]], samples: int = 4) -> list[tuple[Any, ...]] | None:
    array, rows = packed_rows(records)
    columns = columns_of_merged_entries(array, rows[:samples], PackedCodec())
    return None if columns is None else [(*three, bytes(raw)) for *three, raw in zip(*columns, strict=True)]


def packed_one_by_one(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    _, rows = packed_rows(records)
    tables = of_rows(rows, [ENTRY_TIME] * len(rows), PackedCodec(), Budget())
    return [(*three, bytes(raw)) for table in tables for *three, raw in zip(*table[:4], strict=True)]


@pytest.mark.parametrize("own", [(), ("time",), ("stream",), ("_p",), ("kubernetes",)])
def test_entries_say_the_same_in_their_order(own: tuple[str, ...]) -> None:
    records = [undated(*own, level="info", msg='a "b"', user={"id": 1}), undated(*own, level="warn", seconds=1.5)] * 8
    found = packed_together(records)
    assert found == packed_one_by_one(records)
    assert found is not None
    assert [(text, time) for text, time, *_ in found[:2]] == [
        ('{"level":"info","msg":"a \\"b\\"","user":{"id":1}}', ENTRY_TIME if "time" in own else TIME),
        ('{"level":"warn","seconds":1.5}', ENTRY_TIME if "time" in own else TIME),
    ]


@pytest.mark.parametrize("key", ["log_processed", "msg", "message"])
@pytest.mark.parametrize("value", [{"a": 1}, "said", "\u00e9\n", 5, None, [1], b"\xff", {"a": b"\xc4"}, {1: 2}])
def test_one_member_of_entries_that_says_all_is_the_text_by_itself(key: str, value: object) -> None:
    records = [undated(**{key: value})] * 16
    assert packed_together(records) in (None, packed_one_by_one(records))


@pytest.mark.parametrize(
    "odd",
    [
        undated(msg="x", level="info"),
        undated("time", level="info", msg="x"),
        undated(level="info", msg="x", new=1),
        undated(level="info", msg="x") | {"time": "soon"},
        merged(level="info", msg="x"),
        undated(log=None, level="info", msg="x"),
        undated(msg="x"),
        undated(),
    ],
)
def test_entries_that_are_not_as_the_first_let_expect_are_read_by_themselves(odd: dict[str, Any]) -> None:
    usual = [undated(level="info", msg="x")] * 16
    assert packed_together([*usual, odd]) is None
    assert packed_together(usual) is not None


def test_few_or_very_many_entries_are_not_decoded_in_one_go() -> None:
    assert packed_together([undated(a=1)] * 15) is None
    assert packed_together([undated(a=1)] * 4097) is None


def test_entries_with_a_date_of_their_own_are_read_by_themselves() -> None:
    assert packed_together([{"timestamp": 5, "a": 1, "kubernetes": KUBERNETES}] * 16) is None


@pytest.mark.parametrize("at", [0, 2, 150])
@pytest.mark.parametrize("own", [(), ("time", "stream", "_p", "kubernetes")])
@pytest.mark.parametrize("marker", [{}, {"resource": {"a": 1}}, {"level": "info", "msg": "number"}])
def test_entries_that_mark_a_group_are_no_lines(at: int, own: tuple[str, ...], marker: dict[str, Any]) -> None:
    entries = [entry(undated(*own, level="info", msg=f"number {number}")) for number in range(300)]
    entries.insert(at, entry(marker, 0xFFFFFFFF))
    entries.append(entry({}, 0xFFFFFFFE))
    texts = [text for batch in decode(b"".join(entries), TAG) for run in batch.runs for text in run.texts]
    assert texts == [f'{{"level":"info","msg":"number {number}"}}' for number in range(300)]


PACKED = st.builds(
    lambda own, others, log: undated(*own, **({} if log is None else {"log": log}), **others),
    st.sets(st.sampled_from(sorted([*OURS, "kubernetes"])), max_size=1),
    st.dictionaries(KEYS, VALUES | st.binary(max_size=3) | st.sampled_from(["\u0105\u0119", b"\xc5x"]), max_size=3),
    st.none() | st.just("plain"),
)


@given(st.lists(PACKED, min_size=1, max_size=6), st.integers(1, 6))
def test_entries_say_the_same_together_as_one_by_one(records: list[dict[str, Any]], samples: int) -> None:
    found = packed_together(records * 16, samples)
    assert found is None or found == packed_one_by_one(records * 16)


def test_a_body_of_such_entries_is_decoded_in_one_go_and_beside_others_too() -> None:
    usual = [undated(level="info", msg=f"number {number}") for number in range(300)]
    for records in (usual, [*usual, undated(msg="x", level="info")], usual * 30):
        found = [*decode(b"".join(map(entry, records)), {})]
        texts = [text for batch in found for run in batch.runs for text in run.texts]
        assert texts == [text for text, *_ in packed_one_by_one(records)]
        assert (len(found) == 1) is (records == usual)
