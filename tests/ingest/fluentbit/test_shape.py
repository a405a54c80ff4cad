from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ingest.fluentbit.jsontext import Codec
from ingest.fluentbit.shape import TIMED, UNTIMED, Shape, Shapes, columns_of, dated

TIME = "2025-11-22T08:15:01.123457790Z"


def texts(shape: Shape, *records: dict[str, Any]) -> list[str] | None:
    """Return the texts of records; None if they are of another shape."""
    data = msgspec.json.encode(records)
    try:
        found = shape.array.decode(data)
    except msgspec.ValidationError:
        return None
    columns = columns_of(shape, found, shape.times(found), Codec(), data)
    return columns[0] if columns else None


def fitting(shapes: Shapes, *records: dict[str, Any]) -> list[list[str]]:
    found = [texts(shape, *records) for shape in shapes]
    return [one for one in found if one is not None]


@pytest.mark.parametrize("date", [{}, {"date": 1.5}, {"my_date": "soon"}])
def test_records_with_a_time_of_their_own_are_of_one_shape(date: dict[str, Any]) -> None:
    assert ["x"] in fitting(TIMED, {**date, "time": TIME, "log": "x"})
    assert ["x"] in fitting(TIMED, {**date, "time": TIME, "logtag": "F", "message": "x"})


def test_a_record_of_parser_cri_may_be_an_empty_line_if_it_has_no_member_of_others() -> None:
    cri = {"date": 1.5, "time": TIME, "logtag": "F", "stream": "stdout"}
    assert fitting(TIMED, {**cri, "message": "x"}, cri) == [["x", ""]]
    assert fitting(TIMED, {**cri, "message": "x", "a": 1}) == [["x"]]
    assert fitting(TIMED, {**cri, "message": "x", "a": 1}, {**cri, "a": 1}) == []


@pytest.mark.parametrize(
    "odd", [{"date": -5}, {"date": "soon"}, {"date": f"{TIME}\n"}, {"timestamp": 1.5}, {"date": 1.5, "timestamp": 1.5}]
)
def test_what_is_no_date_of_fluent_bit_may_be_the_text_of_a_record_of_parser_cri(odd: dict[str, Any]) -> None:
    cri = {"time": TIME, "logtag": "F", "stream": "stdout"}
    assert fitting(TIMED, {"date": 1.5, **cri, "message": "x"}, {**cri, **odd}) == []


@pytest.mark.parametrize("key", ["date", "timestamp", "@timestamp", "my_date", "é"])
def test_records_with_a_date_before_them_are_of_another(key: str) -> None:
    assert ["x"] in fitting(dated(key), {key: 1763799301, "log": "x"})
    assert ["x"] in fitting(dated(key), {key: 1763799301, "logtag": "F", "message": "x"})
    assert fitting(dated(key), {key: "soon", "log": "x"}) == []
    assert fitting(dated(key), {key: 1763799301, "log": "x", "time": TIME}) == []


def test_records_without_any_time_are_of_a_third() -> None:
    assert ["x"] in fitting(UNTIMED, {"log": "x", "stream": "stderr"})
    assert fitting(UNTIMED, {"date": 1763799301, "log": "x"}) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"log": "x", "time": "soon"},
        {"log": "x", "time": "9" * 65},
        {"log": None, "time": TIME},
        {"log": "x", "time": TIME, "stream": "fake"},
        {"time": TIME},
        {"log": "x"},
        {"date": 1.5, "log": "x"},
        {"time": TIME, "logtag": "F"},
        {"time": TIME, "logtag": "F", "stream": None},
    ],
)
def test_one_record_of_another_shape_fits_none(odd: dict[str, Any]) -> None:
    for shapes in (TIMED, UNTIMED, dated("date")):
        assert fitting(shapes, {"time": TIME, "log": "x"}, odd) == []


def test_what_is_under_log_may_be_any_value() -> None:
    values: list[Any] = ["x", {"a": [1, "é"]}, 5, {}]
    records = [{"time": TIME, "log": value} for value in values]
    assert fitting(TIMED, *records) == [["x", '{"a":[1,"é"]}', "5", "{}"]]


def test_columns_have_what_records_have() -> None:
    records = TIMED[0].array.decode(b'[{"log":"x","time":"%b","stream":"stdout","kubernetes":{}}]' % TIME.encode())
    assert columns_of(TIMED[0], records, [TIME], Codec()) == (["x"], [TIME], ["stdout"], [msgspec.Raw(b"{}")])
    assert columns_of(TIMED[0], records, None, Codec()) is None
