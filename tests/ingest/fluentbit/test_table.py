from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ingest.fluentbit import jsontext, packed
from ingest.fluentbit.budget import Budget
from ingest.fluentbit.table import Codec, Table, lost, of_rows, pause

if TYPE_CHECKING:
    from ingest.fluentbit.table import Row

TIME = "2025-11-22T08:15:01.123457790Z"
SENT = "2025-11-22T09:00:00Z"


def rows(*records: Any) -> list[Row]:
    return msgspec.json.decode(msgspec.json.encode(records), type=list[dict[str, msgspec.Raw]])


def packed_rows(*records: Any) -> list[Row]:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(records), type=list[dict[str, msgspec.Raw]])


def table(rows: list[Row], codec: Codec | None = None, budget: Budget | None = None) -> Table:
    [found] = [
        one
        for one in of_rows(rows, [SENT] * len(rows), codec or jsontext.Codec(), budget or Budget())
        if one.readable or one.lost
    ]
    return found


def test_rows_become_columns() -> None:
    found = table(rows({"log": "a", "time": TIME, "stream": "stderr"}, {"log": "b", "time": TIME, "kubernetes": {}}))
    assert found[:3] == (["a", "b"], [TIME, TIME], ["stderr", None])
    assert found.kubernetes == [msgspec.Raw(b""), msgspec.Raw(b"{}")]


@pytest.mark.parametrize(
    "record",
    [
        {"log": {"a": 1}, "time": TIME},
        {"log": None, "a": 1, "time": TIME},
        {"log": '{"a":1}', "time": TIME.lower()},
        {"date": 1.5, "log": '{"a":1}', "time": TIME},
        {"time": TIME, "a": 1, "_p": "F"},
    ],
)
def test_rows_of_any_shape_are_read_whatever_their_neighbours_are(record: dict[str, Any]) -> None:
    plain = {"log": "x", "time": TIME}
    for found in (
        table(rows(plain, record, plain)),
        table(packed_rows(plain, record, plain), packed.Codec()),
    ):
        assert found.texts == ["x", '{"a":1}', "x"]
        assert found.times == [TIME] * 3


def test_a_row_without_a_time_takes_the_one_beside_it() -> None:
    assert table(rows({"log": "x"}, {"log": "y", "time": "soon"}, {"stream": "stdout", "msg": "m"})).times == [SENT] * 3


def test_a_date_that_comes_first_goes_before_the_time_beside_it() -> None:
    assert (
        table(rows({"date": 1.5, "log": "x"}, {"my_date": 1.5, "log": "x"})).times
        == ["1970-01-01T00:00:01.500000Z"] * 2
    )


def test_the_time_is_kept_as_it_was_sent_and_comes_before_the_date() -> None:
    own = "2025-11-22T08:15:41.123497830+02:00"
    assert table(rows({"date": 1.5, "time": own, "log": "x"})).times == [own]


@pytest.mark.parametrize("own", ["soon", "", 5, "2025-11-22", "9" * 200, "2025-11-22 08:15:01"])
def test_what_is_no_time_gives_way_to_the_date(own: object) -> None:
    times = table(rows({"date": 1.5, "time": own, "log": "x"}, {"time": own, "log": "x"})).times
    assert times == ["1970-01-01T00:00:01.500000Z", SENT]


@pytest.mark.parametrize("stream", ["fake", 5, None, ["stdout"]])
def test_only_the_two_streams_are_kept(stream: object) -> None:
    assert table(rows({"log": "x", "time": TIME, "stream": stream})).streams == [None]


def test_rows_without_text_are_skipped() -> None:
    found = table(rows({}, {"log": "x"}, {"time": TIME}))
    assert (found.texts, found.skipped, found.lost) == (["x"], 2, 0)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"log":"a\xffb"}', "a\ufffdb"),
        (b'{"log":"\xed\xa0\xbd\xed\xb8\x80","x":"\xfe"}', "😀"),
        (b'{"_p":"F","a":"\xff","b":["\xfe"]}', '{"a":"\ufffd","b":["\ufffd"]}'),
        (b'{"log":"x","time":"\xff"}', "x"),
        (b'{"date":"\xff","log":"x"}', "x"),
    ],
)
def test_bytes_that_are_no_text_become_replacement_characters(data: bytes, text: str) -> None:
    row = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    assert table([row]).texts == [text]


def test_a_row_of_too_many_members_is_lost() -> None:
    found = table(rows({"log": "x"}, {str(at): at for at in range(30_000)}))
    assert (found.texts, found.lost) == (["x"], 1)


def test_a_row_that_is_nested_to_the_limit_is_read_or_lost_and_costs_no_other() -> None:
    for depth in range(1, 1100):
        data = b'[{"log":"x"},{"log":%b}]' % (b"[" * depth + b"]" * depth)
        try:
            nested = msgspec.json.decode(data, type=list[dict[str, msgspec.Raw]])
        except RecursionError:
            break
        found = table(nested)
        assert found.texts[0] == "x"
        assert len(found.texts) + found.lost == 2


def test_an_exhausted_budget_costs_only_rows_that_need_a_closer_look() -> None:
    found = table(rows({"log": "x", "time": TIME}, {"a": 1, "_p": "F"}), budget=Budget(0))
    assert (found.texts, found.lost) == (["x"], 1)


def test_many_rows_come_in_several_tables() -> None:
    found = [*of_rows(rows(*[{"log": "x"}] * 9000), [""] * 9000, jsontext.Codec(), Budget())]
    assert len(found) > 1
    assert sum(len(one.texts) for one in found) == 9000


def test_a_pause_holds_nothing_and_a_loss_only_its_number() -> None:
    assert (pause().texts, pause().lost, pause().readable) == ([], 0, False)
    assert (lost(5).lost, lost(5).readable) == (5, False)
