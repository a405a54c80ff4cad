from __future__ import annotations

from typing import Any

import msgspec
import pytest

from buffer.source import Source
from ingest.fluentbit import record
from ingest.fluentbit.record import Line, UnreadableError, line_of, rfc3339, timestamp

TAGGED = Source("shop", "web", "app")
TIME = "2025-11-22T08:15:01.123457790Z"


def line(data: bytes, sent: str = "") -> Line:
    found = line_of(data, sent, TAGGED)
    assert found is not None
    return found


def of(**members: Any) -> bytes:
    return msgspec.json.encode(members)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b'"a \\u00e9 line\\n"', "a é line\n"),
        (b'""', ""),
        (b"42", "42"),
        (b"1.50e3", "1.50e3"),
        (b"12345678901234567890123", "12345678901234567890123"),
        (b"true", "true"),
        (b'{"b": 1.0, "a": [null, "\\u00e9/"]}', '{"b":1.0,"a":[null,"é/"]}'),
        (b"[ ]", "[]"),
        (b"1e400", "1e400"),
    ],
)
def test_log_of_any_type_is_the_text(value: bytes, text: str) -> None:
    assert line(b'{"log": %b}' % value).text == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (of(time=TIME, logtag="F", message="cri line"), "cri line"),
        (of(time=TIME, logtag="F"), ""),
        (of(time=TIME, logtag="F", message="a", level="b"), "a"),
        (of(time=TIME, logtag="F", message={"a": 1}), '{"a":1}'),
        (of(time=TIME, logtag="F", level="info", msg="b"), '{"level":"info","msg":"b"}'),
        (of(time=TIME, _p="F", message="only"), "only"),
        (of(time=TIME, _p="F", msg=[1]), "[1]"),
        (of(time=TIME, _p="F", log=None, msg="m"), "m"),
        (of(time=TIME, _p="F", log_processed={"a": {"b": 1}}), '{"a":{"b":1}}'),
        (of(time=TIME, _p="F", level="info", msg="m"), '{"level":"info","msg":"m"}'),
        (of(time=TIME, _p="F", other="x"), '{"other":"x"}'),
        (of(time=TIME, stream="stdout", _p="F", kubernetes={"a": 1}), "{}"),
        (of(date=1.5, time="yesterday", stream="fake", z=1), '{"time":"yesterday","stream":"fake","z":1}'),
        (of(time=5, stream=["x"], z=1), '{"time":5,"stream":["x"],"z":1}'),
        (b'{"time":"%b","f":1.10,"n":nan,"i":-inf}' % TIME.encode(), '{"f":1.10,"n":null,"i":null}'),
    ],
)
def test_text_is_found_where_the_set_up_puts_it(data: bytes, text: str) -> None:
    assert line(data).text == text


@pytest.mark.parametrize("data", [b"{}", of(log=None), of(time=TIME, stream="stdout", kubernetes={}), of(date=1.5)])
def test_a_record_without_text_is_no_line(data: bytes) -> None:
    assert line_of(data, "", TAGGED) is None


def test_a_record_without_a_source_is_no_line() -> None:
    assert line_of(of(log="x"), "", None) is None


@pytest.mark.parametrize("key", ["date", "timestamp", "@timestamp", "my_date"])
def test_a_date_key_that_comes_first_is_not_of_the_application(key: str) -> None:
    assert line(of(**{key: TIME, "stream": "stdout", "a": 1, "b": 2})).text == '{"a":1,"b":2}'


def test_a_date_key_further_back_is_of_the_application() -> None:
    assert line(of(stream="stdout", date=TIME, a=1)).text == f'{{"date":"{TIME}","a":1}}'
    assert line(of(date="soon", a=1)).text == '{"date":"soon","a":1}'


@pytest.mark.parametrize(
    ("date", "time"),
    [
        (b'"2025-11-22T08:15:01.123457Z"', "2025-11-22T08:15:01.123457Z"),
        (b'"2025-11-22 08:15:01.123457"', "2025-11-22T08:15:01.123457Z"),
        (b'"2025-13-22 08:15:01.123457"', ""),
        (b"1763799301.123458", "2025-11-22T08:15:01.123458Z"),
        (b"1763799303.12346", "2025-11-22T08:15:03.123460Z"),
        (b"1.763799301e9", "2025-11-22T08:15:01.000000Z"),
        (b"1763799301", "2025-11-22T08:15:01Z"),
        (b"1763799301123", "2025-11-22T08:15:01.123Z"),
        (b"1763799301123457", "2025-11-22T08:15:01.123457Z"),
        (b"1763799301123457790", "2025-11-22T08:15:01.123457790Z"),
        (b"-5", ""),
        (b"1e400", ""),
        (b"1e-999999999", "1970-01-01T00:00:00.000000Z"),
        (b"123456789012345678901234567890123", ""),
        (b"99999999999999999999999", ""),
        (b'"soon"', ""),
        (b"null", ""),
        (b"1e99999999999999999999", ""),
        (b"1e-99999999999999999999", ""),
    ],
)
def test_any_date_format_becomes_rfc_3339(date: bytes, time: str) -> None:
    assert line(b'{"date":%b,"log":"x"}' % date).time == time


def test_time_is_kept_as_it_was_sent_and_comes_before_the_date() -> None:
    own = "2025-11-22T08:15:41.123497830+02:00"
    assert line(of(date=1.5, time=own, log="x"), sent=TIME).time == own


def test_a_time_in_small_letters_is_kept_in_capitals() -> None:
    small, capital = "2025-11-22t08:15:41z", "2025-11-22T08:15:41Z"
    assert [line(of(time=small, log="x")).time, line(of(date=small, log="x")).time] == [capital, capital]


@pytest.mark.parametrize("time", ["soon", "", 5, "2025-11-22", "2025-11-22T25:00:00Z", "9" * 200])
def test_what_is_no_time_gives_way_to_what_was_sent(time: object) -> None:
    assert line(of(time=time, log="x"), sent=TIME).time == TIME


@pytest.mark.parametrize("stream", ["stdout", "stderr", "fake", 5, None, ["stdout"]])
def test_only_the_two_streams_are_kept(stream: object) -> None:
    assert line(of(log="x", stream=stream)).stream == (stream if stream in ("stdout", "stderr") else None)


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    assert line(b'{"log":"a","log":"b"}').text == "b"


def test_a_large_value_is_made_compact_as_well() -> None:
    value = b"[" + b"1, " * 200_000 + b'"\\u00e9"]'
    assert line(b'{"log":%b}' % value).text == value.replace(b" ", b"").decode()


def test_a_record_with_millions_of_members_is_no_line() -> None:
    assert line_of(b"{" + b'"a":1,' * 300_000 + b'"log":"x"}', "", TAGGED) is None


@pytest.mark.parametrize("data", [b"{", b"[]", b"5", b'{"log" "x"}', b""])
def test_what_is_no_object_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        line_of(data, "", TAGGED)


def test_invalid_utf8_in_the_text_is_mended() -> None:
    assert line(b'{"log":"a\xffb\xed\xa0\xbd\xed\xb8\x80","x":"\xfe"}').text == "a\ufffdb😀"


def test_there_is_no_time_before_1970_nor_after_9999() -> None:
    assert (timestamp(-1, 0, 0), timestamp(253_402_300_800, 0, 0), timestamp(0, 1000, 3)) == ("", "", "")
    assert rfc3339("1" + "0" * 20) == ""


def test_the_quick_look_at_times_sees_what_is_none() -> None:
    assert record.all_times([TIME, "2025-11-22T08:15:41+02:00"])
    assert record.all_times([])
    assert not record.all_times([TIME, ""])
    assert not record.all_times([TIME, "Tuesday"])
