from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ingest.fluentbit.budget import Budget
from ingest.fluentbit.jsontext import Body, Codec, whole
from ingest.fluentbit.shape import dated

if TYPE_CHECKING:
    from ingest.fluentbit.table import Table

TIME = b'"time":"2025-11-22T08:15:01Z"'


def records(count: int, more: bytes = b"") -> list[bytes]:
    return [b'{"date":%d,%b,"log":"%d"%b}' % (1_763_799_301 + at, TIME, at, more) for at in range(count)]


def tables(body: bytes, budget: Budget | None = None) -> list[Table]:
    return [table for table in Body(body, budget or Budget()).tables() if table.readable or table.lost]


def texts(body: bytes) -> list[str]:
    return [text for table in tables(body) for text in table.texts]


def numbers(count: int) -> list[str]:
    return [str(at) for at in range(count)]


BODIES = {
    "array": lambda lines: b"[%b]" % b",".join(lines),
    "spaced array": lambda lines: b"[ %b ] \n" % b" ,\n ".join(lines),
    "lines": b"\n".join,
    "ended lines": lambda lines: b"\r\n".join([*lines, b""]),
    "stream": b"".join,
    "spaced stream": b"  ".join,
}


@pytest.mark.parametrize("form", BODIES)
@pytest.mark.parametrize("count", [1, 2, 300])
def test_a_body_whose_records_are_alike_is_decoded_as_a_whole(form: str, count: int) -> None:
    columns = whole(BODIES[form](records(count)))
    assert columns is not None
    assert columns[0] == numbers(count)


@pytest.mark.parametrize(
    "first",
    ['{"my_date":1763799301.5,"stream":"stdout","log":"x"}', '{ "date" : "2025-11-22T08:15:01.5Z" , "log":"x"}'],
)
def test_the_first_record_shows_where_the_date_is(first: str) -> None:
    columns = whole(first.encode() * 3)
    assert columns is not None
    assert columns[0] == ["x"] * 3


def test_keys_that_pods_choose_do_not_pile_up() -> None:
    for number in range(200):
        assert whole(b'{"k%d":1763799301.5,"log":"x"}' % number) is not None
        assert whole(b'{"%b":1763799301.5,"log":"x"}' % (b"k" * (65 + number))) is None
    assert dated.cache_info().currsize <= 16


@pytest.mark.parametrize(
    "odd",
    [b"", b"[]", b" [{}]", b"[{}]", b'{"my_date":1.5,"a":1,"log":"x"}', b'{"a\\":1.5,"log":"x"}', b'[{"log":"x"}'],
)
def test_a_body_that_is_not_as_it_should_be_is_not_decoded_as_a_whole(odd: bytes) -> None:
    assert whole(odd) is None


@pytest.mark.usefixtures("in_pieces")
@pytest.mark.parametrize("form", BODIES)
def test_a_large_body_is_cut_where_records_start(form: str) -> None:
    nested = b',"a":[{"date":1},{"date":{"date":2}},"},{\\"date\\":"]'
    found = tables(BODIES[form](records(12_000, nested)))
    assert len(found) > 1
    assert [text for table in found for text in table.texts] == numbers(12_000)
    assert sum(table.lost for table in found) == 0


@pytest.mark.parametrize("form", BODIES)
def test_one_broken_record_leaves_most_tables_as_they_are(form: str) -> None:
    lines = records(3000)
    lines[1500] = lines[1500].replace(b'"log"', b'"n":nan,"log"')
    found = tables(BODIES[form](lines))
    assert [text for table in found for text in table.texts] == numbers(3000)
    assert max(len(table.texts) for table in found) > 1000


@pytest.mark.parametrize(
    "first", [b'{"a":1,"log":"first"}', b"{}", b'{"log":"first"}', b'{"date":"soon","log":"first"}']
)
def test_a_first_record_of_another_shape_changes_nothing_for_the_rest(first: bytes) -> None:
    lines = [first, *records(9000)]
    assert [text for text in texts(b"[%b]" % b",".join(lines)) if text != "first"] == numbers(9000)


def test_an_exhausted_budget_costs_the_rest_of_the_body_which_is_counted() -> None:
    body = b"[%b]" % b",".join(record.replace(b'"log"', b'"n":nan,"log"') for record in records(2000))
    found = tables(body, Budget(3000))
    read = sum(len(table.texts) for table in found)
    assert 0 < read < 1000
    assert read + sum(table.lost for table in found) == pytest.approx(2000, rel=0.02)


def test_a_budget_that_well_formed_records_exhaust_costs_the_rest_too() -> None:
    body = b"[%b]" % b",".join([b'{"time":"2025-11-22T08:15:01Z", "_p":"F","a":1}'] * 20_000)
    found = tables(body, Budget(3000))
    read = sum(len(table.texts) for table in found)
    assert 0 < read < 2000
    assert read + sum(table.lost for table in found) == pytest.approx(20_000, rel=0.02)


def test_a_broken_record_of_very_many_members_is_lost_and_costs_no_other() -> None:
    crowd = b'{"date":1,%b"f":nan}' % (b'"a":1,' * 60_000)
    found = tables(b"[%b]" % b",".join([*records(2), crowd, *records(2)]))
    assert [text for table in found for text in table.texts] == [*numbers(2), *numbers(2)]
    assert sum(table.lost for table in found) == 1


@pytest.mark.parametrize("body", [b"null", b"[1]", b"[[]]", b'"{"', b"{", b"[{", b"\x00", b"]", b"[]]", b"x\n{"])
def test_what_holds_no_record_is_not_readable(body: bytes) -> None:
    assert not any(table.readable for table in tables(body))


def test_strings_are_decoded_together_or_not_at_all() -> None:
    raws = [msgspec.Raw(data) for data in (b'"a"', b'"\\u00e9"')]
    assert Codec().strings(raws) == ["a", "é"]
    assert Codec().strings([msgspec.Raw(b"null"), raws[1]]) == [None, "é"]
    with pytest.raises(msgspec.ValidationError):
        Codec().strings([*raws, msgspec.Raw(b"5")])


def test_values_become_text_together_or_not_at_all() -> None:
    values: list[Any] = [msgspec.Raw(b'"x"'), msgspec.Raw(b'{ "a" : 1.50e3 }'), {"b": msgspec.Raw(b'"\\u00e9"')}]
    assert Codec().texts(values) == ["x", '{"a":1.50e3}', '{"b":"é"}']
    assert Codec().texts([*values, msgspec.Raw(b'"\xff"')]) is None
    long = b"[%b1]" % (b"1," * 200_000)
    assert Codec().texts([msgspec.Raw(long)]) == [long.decode()]
    assert Codec().texts([msgspec.Raw(long.replace(b"1]", b'"\\u00e9"]'))]) is None


def test_a_member_in_json_is_json_already() -> None:
    raw = msgspec.Raw(b"[1]")
    assert Codec().as_json(raw) is raw
