from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.fluentbit.budget import LARGEST_RECORD, Budget
from ingest.fluentbit.mend import scan, text_of

if TYPE_CHECKING:
    from ingest.fluentbit.mend import Value


def scanned(data: bytes, start: int = 0, budget: Budget | None = None) -> Value | None:
    work = scan(data, start, len(data), budget or Budget())
    while True:
        try:
            next(work)
        except StopIteration as done:
            value: Value | None = done.value
            return value


def mended(data: bytes) -> object:
    value = scanned(data)
    assert value is not None
    assert value.end == len(data)
    return json.loads(value.data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"a\xffb\xfe\xfdc", "a\ufffdb\ufffd\ufffdc"),
        (b"\xe2\x82", "\ufffd\ufffd"),
        (b"\xed\xa0\xbd\xed\xb8\x80", "😀"),
        (b"\xed\xa0\x80\xed\xb0\x80", "\U00010000"),
        (b"\xed\xaf\xbf\xed\xbf\xbf", "\U0010ffff"),
        (b"\xed\xa0\xbd!", "\ufffd!"),
        (b"\xed\xb8\x80\xed\xa0\xbd", "\ufffd\ufffd"),
        (b"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"),
    ],
)
def test_bad_bytes_become_replacement_characters(data: bytes, text: str) -> None:
    assert text_of(data) == text


@given(st.binary())
def test_any_bytes_become_text_that_can_be_encoded(data: bytes) -> None:
    assert len(text_of(data).encode()) <= 3 * len(data)


@given(st.text())
def test_valid_text_stays_as_it_is(text: str) -> None:
    assert text_of(text.encode("utf-8", "replace")) == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"[nan,inf,-inf,NaN,Infinity,-Infinity,01,1.,tru]", [None] * 9),
        (b"[1,-2.5,1E3,0,true,false,null]", [1, -2.5, 1000.0, 0, True, False, None]),
        (b'["nan","inf, -inf","1e400",nan]', ["nan", "inf, -inf", "1e400", None]),
        (b'{"nan":nan,"a":"x\\"nan,"}', {"nan": None, "a": 'x"nan,'}),
        (b'["a\nb\tc\x00d\x1f"]', ["a\nb\tc\x00d\x1f"]),
        (b'["\\ud800","\\udc00x","\\ud83d\\ude00","\\\\ud800"]', ["\ufffd", "\ufffdx", "😀", "\\ud800"]),
        (b'["\\x41","\\u12","\\\n"]', ["\\x41", "\\u12", "\\\n"]),
        (b"[1,,2, ,]", [1, 2]),
        (b'{,"a":[,1,],}', {"a": [1]}),
        (b'["\xff"]', ["\ufffd"]),
        (b'{"\xff\\x":1}', {"\ufffd\\x": 1}),
        (b'{"a":{"b":[{"c":nan},[[],{}]]},"d":[[1],[nan]]}', {"a": {"b": [{"c": None}, [[], {}]]}, "d": [[1], [None]]}),
    ],
)
def test_usual_faults_are_mended(data: bytes, value: object) -> None:
    assert mended(data) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(json_values), st.booleans(), st.sampled_from([None, 1]))
def test_what_is_well_formed_stays_what_it_is(value: object, ascii_only: bool, indent: int | None) -> None:  # noqa: FBT001  # drawn
    try:
        data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:
        return
    if b"\\ud" not in data:
        assert mended(data) == value


@given(st.lists(json_values, min_size=1), st.binary())
def test_what_follows_a_value_does_not_change_it(value: object, rest: bytes) -> None:
    data = json.dumps(value).encode()
    found = scanned(data + rest)
    assert found is not None
    assert found.end == len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b'"x"',
        b"{",
        b'{"a":1',
        b'{"a":[1}',
        b'{"a":1]',
        b'{"a":"x}',
        b'{"a":"x,"b":1}',
        b'{a":1}',
        b'{"a:1}',
        b'{"a":1\\}',
        b'{"a" b"c"}',
        b'{"a":[' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"a":"' + b"x" * 9_000_000,
    ],
)
def test_a_value_whose_quotes_and_brackets_do_not_pair_up_has_no_end(data: bytes) -> None:
    assert scanned(data) is None


@pytest.mark.parametrize(
    "data",
    [b'{"a" "b"}', b'{"a":1 "b":2}', b'{"a":}', b"{1:2}", b'{"a"}', b'{"a":1:2}', b"[1 2]", b'["a":1]', b'{{"a":1}}'],
)
def test_a_value_that_cannot_be_mended_says_where_it_ends_all_the_same(data: bytes) -> None:
    value = scanned(data + b",{}")
    assert value is not None
    assert (value.end, value.data, value.sure) == (len(data), b"", False)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"a":[' + b'"x",' * (LARGEST_RECORD // 4) + b"1]}",
        b'{"a":1,"b":"' + b"x\\n" * (LARGEST_RECORD // 3) + b'"}',
    ],
)
def test_a_value_that_is_too_deep_or_too_large_is_stepped_over(data: bytes) -> None:
    value = scanned(data + b",{}")
    assert value is not None
    assert (value.end, value.data) == (len(data), b"")


def test_a_long_string_is_mended_and_one_that_is_too_long_is_stepped_over() -> None:
    assert mended(b'{"a":"%b\x01\\ud800","b":nan}' % (b"x" * 500_000)) == {"a": "x" * 500_000 + "\x01\ufffd", "b": None}
    too_long = b'{"a":"%b","b":nan}' % (b"x" * (LARGEST_RECORD + 1))
    value = scanned(too_long + b",{}")
    assert value is not None
    assert (value.end, value.data) == (len(too_long), b"")


def test_an_exhausted_budget_ends_the_search() -> None:
    assert scanned(b'{"a":"%b"}' % (b"\x01" * 100_000), budget=Budget(5000)) is None
    assert scanned(b'{"a":%b}' % (b"[" * 5000 + b"]" * 5000), budget=Budget(5000)) is None
    assert scanned(b'{"a":[[],[],[nan],{"b":{}}]}', budget=Budget(5)) is None


@pytest.mark.parametrize(
    "unit", [b"[", b'{"a":', b"[],", b'"x",', b"nan,", b'"\\x",', b"1,", b'["', b'{"a":"', b"{ ", b"{,"]
)
def test_hostile_values_take_time_in_proportion(unit: bytes) -> None:
    def seconds(size: int) -> float:
        data = b'{"x":[' + unit * (size // len(unit))
        started = time.process_time()
        scanned(data)
        return time.process_time() - started

    small = min(seconds(20_000) for _ in range(3))
    # Ten times the bytes: with quadratic work it would be a hundred times the time.
    assert seconds(200_000) < 30 * small + 0.3
