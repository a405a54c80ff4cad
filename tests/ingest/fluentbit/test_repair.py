from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.fluentbit import repair

GOOD = b'{"log":"good","kubernetes":{"namespace":"a"}}'


def mended(data: bytes) -> object:
    return json.loads(repair.mend(data))


def found(body: bytes) -> list[bytes | None]:
    return [piece for piece in repair.objects(body) if piece != b""]


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
    assert repair.text_of(data) == text


@given(st.binary())
def test_any_bytes_become_text_that_can_be_encoded(data: bytes) -> None:
    assert len(repair.text_of(data).encode()) <= 3 * len(data)


@given(st.text())
def test_valid_text_stays_as_it_is(text: str) -> None:
    assert repair.text_of(text.encode("utf-8", "replace")) == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"[nan,inf,-inf,NaN,Infinity,-Infinity,1e400,-1e999,01,1.,tru]", [None] * 11),
        (b"[1,-2.5,1E3,0,true,false,null]", [1, -2.5, 1000.0, 0, True, False, None]),
        (b'["nan","inf, -inf","1e400",nan]', ["nan", "inf, -inf", "1e400", None]),
        (b'{"nan":nan,"a":"x\\"nan,"}', {"nan": None, "a": 'x"nan,'}),
        (b'["a\nb\tc\x00d\x1f"]', ["a\nb\tc\x00d\x1f"]),
        (b'["\\ud800","\\udc00x","\\ud83d\\ude00","\\\\ud800"]', ["\ufffd", "\ufffdx", "😀", "\\ud800"]),
        (b'["\\x41","\\u12","\\\n"]', ["\\x41", "\\u12", "\\\n"]),
        (b"[1,,2, ,]", [1, 2]),
        (b'{,"a":[,1,],}', {"a": [1]}),
        (b'["\xff"]', ["\ufffd"]),
    ],
)
def test_usual_faults_are_mended(data: bytes, value: object) -> None:
    assert mended(data) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values, st.booleans(), st.sampled_from([None, 1]))
def test_what_is_well_formed_stays_what_it_is(value: object, ascii_only: bool, indent: int | None) -> None:  # noqa: FBT001  # drawn
    try:
        data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    except UnicodeEncodeError:
        return
    expected = json.loads(data) if ascii_only is False or b"\\ud" not in data else mended(data)
    assert mended(data) == expected


def test_objects_are_found_whatever_is_between_them() -> None:
    assert found(b" [" + GOOD + b"," + GOOD + b"\n" + GOOD + GOOD + b",]\n") == [GOOD] * 4


@pytest.mark.parametrize(
    "broken",
    [
        GOOD[:-1],
        GOOD[:-2],
        GOOD[1:],
        GOOD[:20],
        GOOD.replace(b':"good"', b':"good'),
        GOOD.replace(b'{"log"', b'{log"'),
        GOOD.replace(b'"kubernetes":', b'"kubernetes"'),
        GOOD.replace(b'"a"}}', b'"a"}]'),
        b'{"list":[{"a":1},{"b":2},oops"]}',
        b"oops",
    ],
)
def test_a_broken_object_costs_no_neighbour(broken: bytes) -> None:
    pieces = found(b"[" + b",".join([GOOD, GOOD, broken, GOOD, GOOD]) + b"]")
    assert pieces.count(GOOD) == 4
    assert pieces.count(None) == 1
    assert pieces.index(None) == 2


def test_an_object_cut_off_is_told() -> None:
    assert found(b"[" + GOOD + b"," + GOOD[:-5]) == [GOOD, None]


def test_an_object_that_needs_mending_is_mended_alone() -> None:
    assert found(b'[{"log":"nan","f":nan},' + GOOD) == [b'{"log":"nan","f":null}', GOOD]


def test_what_is_nested_too_deep_is_left_out_of_its_record() -> None:
    deep = b'{"log":"good","deep":' + b"[" * 500 + b"]" * 500 + b"}"
    [piece] = found(deep)
    assert piece is not None
    assert json.loads(piece)["log"] == "good"
    assert found(b"[" + GOOD + b"," + deep.replace(b"[", b"[" * 9) + b"," + GOOD) == [GOOD, None, GOOD]


def test_an_object_of_millions_of_members_is_given_up() -> None:
    assert found(b"{" + b'"a":1,' * 300_000 + b'"b":2},' + GOOD) == [None, GOOD]


def test_records_are_found_behind_megabytes_of_rubbish() -> None:
    assert found(b"{" + b"?" * 3_000_000 + GOOD) == [None, GOOD]


@pytest.mark.parametrize(
    "unit",
    [
        b'{"',
        b"[",
        b'{"a":',
        b'[{"a":',
        b',{"a":x"',
        b'{"a":"',
        b"{}",
        b'{"a":1},x',
        b'"',
        b"\\",
        b"{ ",
        b"{,",
        b'{"a":[{},',
    ],
)
def test_hostile_bodies_take_time_in_proportion(unit: bytes) -> None:
    def seconds(size: int) -> float:
        body = b'{"x":' + unit * (size // len(unit))
        started = time.process_time()
        for _ in repair.objects(body):
            pass
        return time.process_time() - started

    small = min(seconds(20_000) for _ in range(3))
    # Ten times the bytes: with quadratic work it would be a hundred times the time.
    assert seconds(200_000) < 30 * small + 0.3


def test_alike_objects_on_one_line_become_an_array() -> None:
    body = b'{"log":"}{"}{"log":"},{"} {"log":"c"}'
    assert repair.joined_alike(b'{"log":"a"}{"log":"}{"}') == b'[{"log":"a"},{"log":"}{"}]'
    assert repair.joined(body) == b'[{"log":"}{"},{"log":"},{"},{"log":"c"}]'
    assert repair.joined_alike(GOOD + b"\n" + GOOD) is None
    assert repair.joined_alike(b"[" + GOOD + b"]") is None
