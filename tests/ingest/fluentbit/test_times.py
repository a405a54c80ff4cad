from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.timestamp import TIMESTAMP
from ingest.fluentbit.times import (
    are_times,
    time_of,
    time_of_number,
    time_of_sql,
    time_of_text,
    times_of_dates,
    times_of_events,
)

TIME = "2025-11-22T08:15:01.123457790Z"


def test_the_quick_look_at_times_sees_what_is_none() -> None:
    assert are_times([TIME, "2025-11-22T08:15:41+02:00"])
    assert are_times([])
    assert not are_times([TIME, ""])
    assert not are_times([TIME, "Tuesday"])


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (TIME, TIME),
        ("2025-11-22t08:15:41z", "2025-11-22T08:15:41Z"),
        ("2025-11-22T08:15:41.5+02:00", "2025-11-22T08:15:41.5+02:00"),
        ("2025-11-22 08:15:41", ""),
        ("2025-13-22T08:15:41Z", ""),
        ("2025-11-22T25:15:41Z", ""),
        ("é", ""),
        ("9" * 200, ""),
        ("", ""),
    ],
)
def test_only_rfc_3339_is_a_time(text: str, time: str) -> None:
    assert time_of_text(text) == time


def test_a_java_sql_timestamp_is_in_utc() -> None:
    assert time_of_sql("2025-11-22 08:15:01.123457") == "2025-11-22T08:15:01.123457Z"
    assert (time_of_sql("2025-13-22 08:15:01"), time_of_sql(TIME)) == ("", "")


@pytest.mark.parametrize(
    ("literal", "time"),
    [
        ("1763799301.123458", "2025-11-22T08:15:01.123458Z"),
        ("1763799303.12346", "2025-11-22T08:15:03.123460Z"),
        ("1763799303.1234567", "2025-11-22T08:15:03.123457Z"),
        ("1.763799301e9", "2025-11-22T08:15:01.000000Z"),
        ("1763799301", "2025-11-22T08:15:01Z"),
        ("1763799301123", "2025-11-22T08:15:01.123Z"),
        ("1763799301123457", "2025-11-22T08:15:01.123457Z"),
        ("1763799301123457790", "2025-11-22T08:15:01.123457790Z"),
        ("0", "1970-01-01T00:00:00Z"),
        ("1e-999999999", "1970-01-01T00:00:00.000000Z"),
        ("1e400", ""),
        ("1" + "0" * 20, ""),
        ("99999999999999999999999", ""),
        ("1e99999999999999999999", ""),
        ("1e-99999999999999999999", ""),
        ("1" * 33, ""),
    ],
)
def test_the_size_of_a_number_tells_its_unit(literal: str, time: str) -> None:
    assert time_of_number(literal) == time


def test_there_is_no_time_before_1970_nor_after_9999() -> None:
    assert (time_of(-1, 0, 0), time_of(253_402_300_800, 0, 0), time_of(0, 1000, 3)) == ("", "", "")


def column(*dates: str) -> list[str] | None:
    return times_of_dates([msgspec.Raw(date.encode()) for date in dates])


@pytest.mark.parametrize(
    "date", ["1763799301.5", "1763799301", "1763799301123", "1763799301123457", "1763799301123457790"]
)
def test_a_column_of_numbers_is_read_like_each_of_them(date: str) -> None:
    assert column(date, date) == [time_of_number(date)] * 2


@given(st.lists(st.integers(1_000_000_000, 9_999_999_999), min_size=1), st.integers(0, 999_999))
def test_a_column_of_doubles_is_read_like_each_of_them(seconds: list[int], fraction: int) -> None:
    dates = [f"{second}.{fraction:06}".rstrip("0") for second in seconds]
    if not fraction:
        dates = [date + "0" for date in dates]
    assert column(*dates) == [time_of_number(date) for date in dates]


def test_a_column_of_very_many_seconds_is_looked_at_more_closely() -> None:
    seconds = range(1_763_799_301, 1_763_799_301 + 2049)
    assert column(*(f"{second}.5" for second in seconds)) is None
    assert times_of_events([event(second, 5) for second in seconds]) is None
    assert column(*(f"{second}.5" for second in seconds[1:])) is not None


def test_a_column_of_texts_is_of_one_format() -> None:
    assert column(f'"{TIME}"', f'"{TIME}"') == [TIME] * 2
    assert column('"2025-11-22 08:15:01.1"', '"2025-11-22 08:15:02.2"') == [
        "2025-11-22T08:15:01.1Z",
        "2025-11-22T08:15:02.2Z",
    ]
    assert column('"2025-11-22 08:15:01.1"', '"2025-11-22 08:15:02"') is None
    assert column(f'"{TIME}"', '"2025-11-22 08:15:02"') is None
    assert column(f'"{TIME}"', "1763799301") is None


@pytest.mark.parametrize("date", ["null", '"soon"', "5", "-1763799301", "[1,\n2]", "{}", '"T"', "1763799301.1234567"])
def test_a_column_with_another_date_is_looked_at_more_closely(date: str) -> None:
    times = column("1763799301", date, "1763799301")
    assert times is None or not all(TIMESTAMP.fullmatch(time.encode()) for time in times)


def event(seconds: int, nanoseconds: int) -> bytes:
    return b"\xd7\x00" + struct.pack(">II", seconds, nanoseconds)


@pytest.mark.parametrize(
    ("before", "after"), [(b"", b""), (b"\x92", b"\x80"), (b"\xdd\x00\x00\x00\x02", b"\xdf\x00\x00\x00\x00")]
)
def test_event_times_have_nanoseconds(before: bytes, after: bytes) -> None:
    heads = [before + event(1_763_799_301, nanoseconds) + after for nanoseconds in (5, 123_457_790)]
    assert times_of_events(heads) == ["2025-11-22T08:15:01.000000005Z", TIME]


@pytest.mark.parametrize(
    "heads",
    [
        [],
        [b""],
        [b"\x05"],
        [event(5, 10**9)],
        [event(5, 5), b"\x92" + event(5, 5) + b"\x80"],
        [b"\x92" + event(5, 5) + b"\x80", b"\x92" + event(5, 5) + b"\x05"],
        [b"\x93" + event(5, 5) + b"\x80"],
        [event(5, 5)[:-1]],
    ],
)
def test_heads_that_are_not_all_alike_are_looked_at_more_closely(heads: list[bytes]) -> None:
    assert times_of_events(heads) is None
