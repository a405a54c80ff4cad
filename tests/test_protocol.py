from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import DISCONNECTS, GAP_REASONS, MAX_REASON_BYTES, gap_sentence, parse_duration, parse_time, refusal


def test_every_disconnect_has_a_code_of_its_own_that_a_server_may_send() -> None:
    codes = [one.code for one in DISCONNECTS]
    assert len(set(codes)) == len(codes)
    # RFC 6455, section 7.4: what the protocol has, and what is left to applications.
    assert all(code in {1000, 1001, 1008} or 4000 <= code <= 4999 for code in codes)


def test_every_reason_fits_into_a_close_frame() -> None:
    # A control frame has 125 bytes (RFC 6455, section 5.5), two of which are the code.
    assert all(0 < len(one.reason.encode()) <= 123 for one in DISCONNECTS)


@pytest.mark.parametrize(
    ("status", "code", "reconnect"), [(400, 4400, False), (401, 4401, False), (403, 4403, False), (503, 4503, True)]
)
def test_a_refusal_has_a_code_like_its_status(status: int, code: int, *, reconnect: bool) -> None:
    assert refusal(status, "no") == (code, "no", reconnect)


@pytest.mark.parametrize("status", [200, 404, 405, 500])
def test_a_status_that_refuses_no_reader_has_none(status: int) -> None:
    assert refusal(status, "no") is None


@given(st.text(max_size=200))
def test_the_reason_of_a_refusal_fits_into_a_close_frame_in_whole_characters(sentence: str) -> None:
    disconnect = refusal(400, sentence)
    assert disconnect is not None
    assert sentence.startswith(disconnect.reason)
    assert MAX_REASON_BYTES - 3 <= len(disconnect.reason.encode()) <= MAX_REASON_BYTES or disconnect.reason == sentence


@pytest.mark.parametrize(
    ("lost", "reason", "sentence"),
    [
        (1, "slow", "[logurt] 1 line lost: this reader was too slow"),
        (0, "slow", "[logurt] 0 lines lost: this reader was too slow"),
        (123, "slow", "[logurt] 123 lines lost: this reader was too slow"),
        (None, "restarted", f"[logurt] an unknown number of lines lost: {GAP_REASONS['restarted']}"),
        (2, "something new", "[logurt] 2 lines lost: something new"),
    ],
)
def test_a_gap_is_told_in_a_sentence(lost: int | None, reason: str, sentence: str) -> None:
    assert gap_sentence(lost, reason) == sentence


@given(st.tuples(*[st.none() | st.integers(0, 10**9 - 1)] * 4).filter(lambda parts: parts != (None,) * 4))
def test_a_duration_is_the_sum_of_its_parts(parts: tuple[int | None, ...]) -> None:
    text = "".join(f"{part}{unit}" for part, unit in zip(parts, "dhms", strict=True) if part is not None)
    days, hours, minutes, seconds = (part or 0 for part in parts)
    assert parse_duration(text) == ((days * 24 + hours) * 60 + minutes) * 60 + seconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "1.5h", "-5m", "+5m", "5M", "1m1h", "1s1s", " 5s", "5s ", "5s\n", "٣m", "1w", "1" * 10 + "s"]
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert parse_duration(text) is None


@given(time=st.datetimes(), offset=st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)), lower=st.booleans())
def test_a_time_is_read_as_it_was_written(time: dt.datetime, offset: dt.timedelta, *, lower: bool) -> None:
    zone = dt.timezone(dt.timedelta(minutes=offset // dt.timedelta(minutes=1)))
    aware = time.replace(tzinfo=zone)
    text = aware.isoformat()
    assert parse_time(text.lower() if lower else text) == aware.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-11-22", "2026-11-22T08:15:00", "2026-11-22T08:15Z", "2026-11-22 08:15:00Z"),
        *("2026-02-30T08:15:00Z", "2026-11-22T24:00:00Z", "2026-11-22T08:15:60Z", "20261122T081500Z", "5m"),
        *(
            "2026-11-22T08:15:00+24:00",
            "2026-11-22T08:15:00+0100",
            "2026-11-22T08:15:00Z\n",
            "\uff12\uff10\uff12\uff16-11-22T08:15:00Z",
        ),
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_time(text) is None
