from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ingest.fluentbit import repair
from ingest.fluentbit.budget import Budget

if TYPE_CHECKING:
    from ingest.fluentbit.repair import Pieces

GOOD = b'{"log":"good","kubernetes":{"namespace":"a"}}'


def found(pieces: Pieces) -> list[bytes | int]:
    return [piece for piece in pieces if piece is not None]


def by_record(body: bytes, *, is_array: bool) -> list[bytes | int]:
    return found(repair.by_record(body, 0, len(body), Budget(), mark=b'{"log":', is_array=is_array))


def in_array(*records: bytes) -> list[bytes | int]:
    return by_record(b",".join(records) + b"]", is_array=True)


def in_stream(*records: bytes) -> list[bytes | int]:
    return by_record(b"".join(records), is_array=False)


def in_lines(*records: bytes) -> list[bytes | int]:
    body = b"\n".join(records)
    return found(repair.by_line(body, 0, len(body), Budget()))


def test_records_are_cut_apart_whatever_is_between_them() -> None:
    assert by_record(b" " + GOOD + b" ,\n" + GOOD + b",,\r\n" + GOOD + b", ] \n", is_array=True) == [GOOD] * 3
    assert by_record(GOOD + GOOD + b" " + GOOD + b"\n\n" + GOOD + b",", is_array=False) == [GOOD] * 4
    assert in_lines(GOOD, b"", GOOD + b" \r", b" " + GOOD + b",") == [GOOD] * 3


def test_a_record_that_needs_mending_is_mended_alone() -> None:
    broken, mended = b'{"log":"nan","f":nan}', b'{"log":"nan","f":null}'
    for way in (in_array, in_stream, in_lines):
        assert way(GOOD, broken, GOOD) == [GOOD, mended, GOOD]


def test_blanks_between_records_may_be_of_any_length() -> None:
    blanks = b" " * (2 << 20)
    assert in_array(GOOD + blanks, blanks + GOOD, GOOD + blanks) == [GOOD] * 3
    assert in_lines(GOOD, blanks + GOOD) == [GOOD] * 2


@pytest.mark.parametrize("junk", [b"5", b"not json", b'"x"', b"[%b]" % GOOD, b"[[[]]]", b'{"log" "x"}'])
def test_what_is_no_record_in_an_array_or_a_line_is_skipped(junk: bytes) -> None:
    assert in_array(GOOD, junk, GOOD) == [GOOD, 1, GOOD]
    assert in_lines(GOOD, junk, GOOD) == [GOOD, 1, GOOD]


@pytest.mark.parametrize(
    "broken",
    [GOOD[:-1], GOOD[:-2], GOOD[:20], GOOD.replace(b':"good"', b':"good'), GOOD.replace(b'"a"}}', b'"a"}]')],
)
def test_what_follows_a_record_without_an_end_is_lost_and_counted(broken: bytes) -> None:
    assert in_array(GOOD, GOOD, broken, GOOD, GOOD) == [GOOD, GOOD, 3]
    assert in_stream(GOOD, GOOD, broken, GOOD, GOOD) == [GOOD, GOOD, 3]
    assert in_lines(GOOD, GOOD, broken, GOOD, GOOD) == [GOOD, GOOD, 1, GOOD, GOOD]


@pytest.mark.parametrize("rest", [b'"b":1}', b"}", b'"b":[', b":1", GOOD[1:], b"\\"])
def test_a_record_that_no_record_follows_is_lost_too(rest: bytes) -> None:
    assert in_array(GOOD, GOOD, rest, GOOD) == [GOOD, 2]
    assert in_stream(GOOD, GOOD, rest, GOOD) == [GOOD, 2]
    assert in_lines(GOOD, GOOD + rest, GOOD) == [GOOD, 1, GOOD]


def test_an_array_needs_its_commas_and_ends_at_its_bracket() -> None:
    assert by_record(GOOD + b"," + GOOD + GOOD + b"]", is_array=True) == [GOOD, 2]
    assert by_record(GOOD + b"]" + GOOD, is_array=True) == [2]
    assert by_record(GOOD + b"," + GOOD, is_array=True) == [GOOD, GOOD]


def test_without_commas_a_record_that_cannot_be_read_may_end_anywhere() -> None:
    assert in_stream(GOOD, b'{"log" "x"}', GOOD) == [GOOD, 1]
    assert in_stream(GOOD, b'{"log":' + b"[" * 900 + b"]" * 900 + b"}", GOOD) == [GOOD, 1, GOOD]


@pytest.mark.parametrize(
    "body",
    [
        GOOD + b"\n" + GOOD,
        b"not json\n" + GOOD,
        GOOD + b"\nnot json\n" + GOOD + b"\n",
        GOOD[1:] + b"\n" + GOOD,
        GOOD + b"\r\n \r\n" + GOOD + b"\r\n",
    ],
)
def test_a_body_of_lines_is_known_by_its_newlines(body: bytes) -> None:
    assert repair.is_of_lines(body)


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        GOOD + GOOD,
        GOOD + b"\n",
        b'{\n "log":1,\n "a":[\n  {"log":2}\n ]\n}\n{\n "log":1\n}',
        b"\x92\xd7\x00}\n" + GOOD + b"\n" + GOOD,
    ],
)
def test_another_body_is_none_of_lines(body: bytes) -> None:
    assert not repair.is_of_lines(body)


def test_a_budget_that_is_exhausted_costs_the_rest_which_is_counted() -> None:
    body = b"\n".join([GOOD] * 1000)
    lines = found(repair.by_line(body, 0, len(body), Budget(200)))
    records = found(repair.by_record(body, 0, len(body), Budget(200), mark=b'{"log":', is_array=False))
    for pieces in (lines, records):
        assert set(pieces[:-2]) == {GOOD}
        assert sum(1 if isinstance(piece, bytes) else piece for piece in pieces) == pytest.approx(1000, abs=2)


def test_cutting_goes_on_from_where_it_is_told_to() -> None:
    body = GOOD * 3
    work = repair.by_record(body, len(GOOD), len(GOOD) + 1, Budget(), mark=b'{"log":', is_array=False)
    assert next(work) == GOOD
    with pytest.raises(StopIteration) as done:
        next(work)
    assert done.value.value == 2 * len(GOOD)


@pytest.mark.parametrize(
    "unit", [b"{}", b'{"a":1},x', b'"', b"\\", b"{ ", b'{"a":[{},', b"\n", b'{"\n', b",", b"1,", b" "]
)
@pytest.mark.parametrize("is_array", [True, False])
def test_hostile_bodies_end(unit: bytes, is_array: bool) -> None:  # noqa: FBT001  # a case
    body = unit * 20_000
    assert found(repair.by_record(body, 0, len(body), Budget(), mark=b"", is_array=is_array)) is not None
    assert found(repair.by_line(body, 0, len(body), Budget())) is not None
