from __future__ import annotations

import pytest

from buffer.timestamp import TIMESTAMP, TIMESTAMPS, UTC_TIMESTAMPS, rfc3339, unix_seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "1970-01-01T00:00:00.000000Z"), (1.5, "1970-01-01T00:00:01.500000Z")]
)
def test_unix_seconds_read_as_rfc_3339_and_back(seconds: float, text: str) -> None:
    assert rfc3339(seconds) == text
    assert unix_seconds(text.encode()) == seconds


@pytest.mark.parametrize(
    "text", [b"2025-13-01T00:00:00Z", b"2025-02-30T00:00:00Z", b"2016-12-31T23:59:60Z", b"0000-01-01T00:00:00Z"]
)
def test_a_time_of_no_calendar_is_the_beginning_of_time(text: bytes) -> None:
    assert unix_seconds(text) == 0.0


@pytest.mark.parametrize("fraction", ["", ".1", ".12", ".1234", ".1234567", ".123456789"])
def test_a_time_may_have_any_number_of_digits(fraction: str) -> None:
    seconds = unix_seconds(f"1970-01-01T02:00:01{fraction}+02:00".encode())
    assert seconds == pytest.approx(float(f"1{fraction}"), abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [b"2025-11-22T08:15:01Z", b"2025-11-22T08:15:01.123456789-02:00", b"2025-02-30T00:00:60Z", b"0000-01-01T00:00:00Z"],
)
def test_what_looks_like_rfc_3339_in_capitals_is_a_timestamp(text: bytes) -> None:
    assert TIMESTAMP.fullmatch(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"2025-11-22t08:15:01Z",
        b"2025-13-01T00:00:00Z",
        b"2025-11-32T00:00:00Z",
        b"2025-11-22T24:00:00Z",
        b"2025-11-22T08:15:01+24:00",
        b"2025-11-22T08:15:01z",
        b"2025-11-22 08:15:01Z",
        b"2025-11-22T08:15:01",
        b"2025-11-22T08:15:01.Z",
        b"2025-11-22T08:15:01.1234567890Z",
        b'2025-11-22T08:15:01Z"',
        b"2025-13-22T08:15:01Z",
        b"2025-11-32T08:15:01Z",
        b"2025-11-22T24:15:01Z",
        b"2025-11-22T08:60:01Z",
        b"2025-11-22T08:15:61Z",
    ],
)
def test_anything_else_is_none(text: bytes) -> None:
    assert TIMESTAMP.fullmatch(text) is None


@pytest.mark.parametrize(
    ("times", "usable", "in_utc"),
    [
        (["2025-11-22T08:15:01Z", "2025-11-22T08:15:01.123456789Z"], True, True),
        (["2025-11-22T08:15:01Z", "2025-11-22T08:15:01+01:00"], True, False),
        (["2025-11-22T08:15:01Z", ""], False, False),
        (["", "2025-11-22T08:15:01Z"], False, False),
        (["2025-11-22T08:15:01Zodd"], False, False),
    ],
)
def test_joined_times_are_usable_or_in_utc_if_all_of_them_are(times: list[str], *, usable: bool, in_utc: bool) -> None:
    joined = "\n".join(times).encode()
    assert (bool(TIMESTAMPS.fullmatch(joined)), bool(UTC_TIMESTAMPS.fullmatch(joined))) == (usable, in_utc)
