from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ingest.fluentbit import record
from ingest.fluentbit.budget import Budget
from ingest.fluentbit.jsontext import Codec
from ingest.fluentbit.table import of_rows

TIME = "2025-11-22T08:15:01.123457790Z"


def members(data: bytes) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(data, type=dict[str, msgspec.Raw])


def of(**values: Any) -> bytes:
    return msgspec.json.encode(values)


def text(data: bytes) -> str | None:
    *_, found = of_rows([members(data)], [""], Codec(), Budget())
    return found.texts[0] if found.texts else None


@pytest.mark.parametrize(
    ("value", "text_of_value"),
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
def test_log_of_any_type_is_the_text(value: bytes, text_of_value: str) -> None:
    assert text(b'{"log": %b}' % value) == text_of_value


@pytest.mark.parametrize(
    ("data", "found"),
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
        (of(time=TIME, stream="stdout", kubernetes={"a": 1}), "{}"),
        (of(date=1.5, time="yesterday", stream="fake", z=1), '{"time":"yesterday","stream":"fake","z":1}'),
        (of(time=5, stream=["x"], z=1), '{"time":5,"stream":["x"],"z":1}'),
        (b'{"time":"%b","f":1.10,"n":null,"i": [ 1 ]}' % TIME.encode(), '{"f":1.10,"n":null,"i":[1]}'),
        (of(_p="F", **{'"': "\\"}), '{"\\"":"\\\\"}'),
    ],
)
def test_text_is_found_where_the_set_up_puts_it(data: bytes, found: str) -> None:
    assert text(data) == found


@pytest.mark.parametrize(
    "data", [of(log=None), of(time=TIME, stream="stdout", _p="F", log=None), of(date=1.5, log=None)]
)
def test_a_log_of_null_is_what_the_application_wrote(data: bytes) -> None:
    assert text(data) == '{"log":null}'


@pytest.mark.parametrize("data", [b"{}", of(time=TIME, kubernetes={}), of(date=1.5)])
def test_a_record_without_any_text_has_none(data: bytes) -> None:
    assert text(data) is None


@pytest.mark.parametrize("key", ["date", "timestamp", "@timestamp", "my_date"])
def test_a_date_key_that_comes_first_is_not_of_the_application(key: str) -> None:
    assert text(of(**{key: TIME, "stream": "stdout", "a": 1, "b": 2})) == '{"a":1,"b":2}'


def test_a_date_key_further_back_is_of_the_application() -> None:
    assert text(of(stream="stdout", date=TIME, a=1)) == f'{{"date":"{TIME}","a":1}}'
    assert text(of(date="soon", a=1)) == '{"date":"soon","a":1}'


@pytest.mark.parametrize(
    ("date", "found"),
    [
        (b'"2025-11-22T08:15:01.123457Z"', "2025-11-22T08:15:01.123457Z"),
        (b'"2025-11-22 08:15:01.123457"', "2025-11-22T08:15:01.123457Z"),
        (b'"2025-13-22 08:15:01.123457"', ""),
        (b"1763799301.123458", "2025-11-22T08:15:01.123458Z"),
        (b"1763799301123", "2025-11-22T08:15:01.123Z"),
        (b"-5", ""),
        (b"123456789012345678901234567890123", ""),
        (b'"soon"', ""),
        (b"null", ""),
        (b"[1763799301]", ""),
    ],
)
def test_a_date_of_any_format_is_a_time(date: bytes, found: str) -> None:
    assert record.date(msgspec.Raw(date)) == found


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        (["date", "a"], "date"),
        (["@timestamp"], "@timestamp"),
        (["my_date", "stream"], "my_date"),
        (["my_date", "a"], ""),
        (["time", "date"], ""),
        (["log", "stream"], ""),
        ([], ""),
    ],
)
def test_a_date_key_is_known_by_where_it_stands(keys: list[str], key: str) -> None:
    assert record.date_key(dict.fromkeys(keys, msgspec.Raw(b"1"))) == key


def test_what_merging_took_apart_is_a_value_or_members() -> None:
    one = members(of(date=1.5, time=TIME, stream="stdout", _p="F", msg="x", kubernetes={}))
    assert record.merged(one, TIME, "stdout", TIME) == msgspec.Raw(b'"x"')
    assert record.merged(one, "", "stdout", TIME) == {"time": one["time"], "msg": one["msg"]}
    assert record.merged(members(of(date=1.5, log=None)), "", None, TIME) is None


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    assert text(b'{"log":"a","log":"b"}') == "b"


def test_a_large_value_is_made_compact_as_well() -> None:
    value = b"[" + b"1, " * 200_000 + b'"\\u00e9"]'
    assert text(b'{"log":%b}' % value) == value.replace(b" ", b"").decode()


def test_members_become_an_object_again() -> None:
    assert record.text(members(b'{ "a" : [1], "\\"" : "x" }')) == '{"a":[1],"\\"":"x"}'


def test_a_value_becomes_text_whatever_its_strings_hold() -> None:
    assert record.text(msgspec.Raw(b'"a\xff"')) == "a\ufffd"
    assert record.text(msgspec.Raw(b'{"a" : "\xed\xa0\xbd\xed\xb8\x80"}')) == '{"a":"😀"}'
