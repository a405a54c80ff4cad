from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ingest.fluentbit.shape import Shape, shapes_after, table_of

TIME = "2025-11-22T08:15:01.123457790Z"


def texts(shape: Shape, *records: dict[str, Any]) -> list[str] | None:
    """Return the texts of records; None if they are of another shape."""
    try:
        found = shape.array.decode(msgspec.json.encode(records))
    except msgspec.ValidationError:
        return None
    table = table_of(found, shape.times(found))
    return table.texts if table else None


def fitting(first_key: str, *records: dict[str, Any]) -> list[list[str]]:
    found = [texts(shape, *records) for shape in shapes_after(first_key)]
    return [one for one in found if one is not None]


@pytest.mark.parametrize("first_key", ["date", "time", "my_date"])
def test_records_with_a_time_of_their_own_are_of_one_shape(first_key: str) -> None:
    assert fitting(first_key, {"time": TIME, "log": "x"}) == [["x"]]
    assert fitting(first_key, {"time": TIME, "logtag": "F", "message": "x"}) == [["x"]]
    assert fitting(first_key, {"time": TIME, "logtag": "F"}) == [[""]]


@pytest.mark.parametrize("key", ["date", "timestamp", "@timestamp"])
def test_records_with_a_date_before_them_are_of_another(key: str) -> None:
    assert fitting(key, {key: 1763799301, "log": "x"}) == [["x"]]
    assert fitting(key, {key: 1763799301, "logtag": "F", "message": "x"}) == [["x"]]
    assert fitting(key, {key: "soon", "log": "x"}) == []


def test_records_without_any_time_are_of_a_third() -> None:
    assert fitting("log", {"log": "x", "stream": "stderr"}) == [["x"]]
    assert fitting("my_date", {"log": "x"}) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"log": "x", "time": "soon"},
        {"log": "x", "time": "9" * 65},
        {"log": 5, "time": TIME},
        {"log": None, "time": TIME},
        {"log": "x", "time": TIME, "stream": "fake"},
        {"time": TIME},
        {"log": {}, "logtag": "F", "time": TIME},
        {"log": "x"},
        {"date": 1.5, "log": "x"},
    ],
)
def test_one_record_of_another_shape_fits_none(odd: dict[str, Any]) -> None:
    assert fitting("time", {"time": TIME, "log": "x"}, odd) == []


def test_a_table_has_what_records_have() -> None:
    shape = shapes_after("log")[0]
    records = shape.array.decode(b'[{"log":"x","time":"%b","stream":"stdout","kubernetes":{}}]' % TIME.encode())
    table = table_of(records, [TIME])
    assert table is not None
    assert table[:4] == (["x"], [TIME], ["stdout"], [msgspec.Raw(b"{}")])
    assert table_of(records, None) is None
