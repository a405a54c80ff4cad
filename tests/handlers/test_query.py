from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.selector import Names, Operator, Requirement, Selector
from delivery.cursor import BadCursor, Cursor
from delivery.filter import TextFilter
from delivery.framing import Chunked, PlainLines, ServerSentEvents, WebSocketBatches, WebSocketMessages
from handlers.query import (
    NARROWING,
    PARAMETERS,
    BadParameter,
    Narrowing,
    Query,
    decode_arguments,
    parse,
)
from handlers.transport import Transport

NOW = 1_700_000_000.0
REPEATABLE = {*NARROWING, "include", "exclude"}


def parsed(**arguments: str | list[str]) -> Query:
    """A query of these arguments; the default tail is 100."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in arguments.items()}
    encoded = {name: [value.encode("utf-8", "surrogateescape") for value in values] for name, values in lists.items()}
    return parse(decode_arguments(encoded, PARAMETERS), 100, NOW)


def equal(key: str, value: str) -> Requirement:
    return Requirement(key, Operator.IN, Names.of(value))


def refused(**arguments: str | list[str]) -> str:
    """The parameter that is named when such a query is refused."""
    with pytest.raises(BadParameter) as caught:
        parsed(**arguments)
    assert str(caught.value) == f"parameter {caught.value.name} {caught.value.problem}"
    return caught.value.name


def test_no_parameters_are_the_defaults() -> None:
    assert parsed() == Query(tail=100)


@pytest.mark.parametrize(
    ("name", "value", "member", "expected"),
    [
        ("tail", "0", "tail", 0),
        ("tail", "007", "tail", 7),
        ("tail", "999999999", "tail", 999_999_999),
        ("tail", "all", "tail", None),
        ("cursor", "e1-a-0", "cursor", Cursor("e1", 10, 0)),
        ("follow", "false", "follow", False),
        ("follow", "true", "follow", True),
        ("pod", "web-0,api-*", "narrowing", Narrowing(pods=Names.of("web-0", "api-*"))),
        ("pod", ["web-0", "web-1"], "narrowing", Narrowing(pods=Names.of("web-0", "web-1"))),
        ("container", "app", "narrowing", Narrowing(containers=Names.of("app"))),
        ("label", "app=web", "narrowing", Narrowing(labels=(equal("app", "web"),))),
        ("label", ["b=2", "a=1"], "narrowing", Narrowing(labels=(equal("a", "1"), equal("b", "2")))),
        ("workload", "deployment/web", "narrowing", Narrowing(workloads=Names.of("deployment/web"))),
        ("stream", "stderr", "stream", "stderr"),
        ("include", ["x", "(?i)y"], "text", TextFilter(("x", "(?i)y"))),
        ("exclude", ".", "text", TextFilter((), (".",))),
        ("format", "json", "format", "json"),
        ("timestamps", "true", "timestamps", True),
        ("prefix", "true", "prefix", True),
        ("batch", "true", "batch", True),
        ("heartbeat", "true", "heartbeat", True),
        ("token", "whatever", "tail", 100),
    ],
)
def test_a_good_value_is_taken(name: str, value: str | list[str], member: str, expected: Any) -> None:
    assert getattr(parsed(**{name: value}), member) == expected


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tail", ["", "-1", "+1", " 1", "1.0", "1_000", "ALL", "ten", "٣", "²", "1000000000", "\n"]),
        ("since", ["", "5", "m", "5 m", "-5m", "1m1h", "1.5h", "5M", "yesterday", "5m\n", "٣m", "1w"]),
        ("since", ["2025-11-22", "2025-11-22T08:15:01", "2025-02-30T00:00:00Z", "2025-11-22T08:61:00Z"]),
        ("since", ["2025-11-22T08:15:01+25:00", "10000-01-01T00:00:00Z", "2025-11-22 08:15:01Z"]),
        ("follow", ["", "1", "yes", "True", "no"]),
        ("timestamps", ["", "1", "TRUE"]),
        ("prefix", ["", "on"]),
        ("batch", ["", "0"]),
        ("heartbeat", ["1"]),
        ("pod", [""]),
        ("container", [""]),
        ("label", ["", "=web", "=", "a=b=c", "!a=b", "a>1"]),
        ("workload", ["", "web", "pod/web"]),
        ("stream", ["", "stdin", "STDOUT", "stdout,stderr"]),
        ("format", ["", "JSON", "xml"]),
        ("include", ["(", "*", "a{2000}", r"\1", "x" * 1001]),
        ("exclude", ["[", "(?<=a)b"]),
    ],
)
def test_a_bad_value_is_refused_and_its_parameter_named(name: str, values: list[str]) -> None:
    assert [refused(**{name: value}) for value in values] == [name] * len(values)


@pytest.mark.parametrize("cursor", ["", "x", "e1-a", "e1-a-0-0", "E1-a-0", "e1-A-0", "e1--0", f"e1-{'f' * 16}-0"])
def test_a_cursor_that_cannot_be_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor, match="cursor"):
        parsed(cursor=cursor)


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name not in REPEATABLE])
def test_a_parameter_that_is_given_twice_is_refused(name: str) -> None:
    assert refused(**{name: ["true", "true"]}) == name


@pytest.mark.parametrize("name", ["include", "exclude"])
def test_ten_patterns_are_taken_and_eleven_refused(name: str) -> None:
    parsed(**{name: ["x"] * 10})
    assert refused(**{name: ["x"] * 11}) == name


@given(st.text().filter(lambda name: name not in PARAMETERS))
def test_an_unknown_parameter_is_named_short_and_printable(name: str) -> None:
    with pytest.raises(BadParameter, match="is not known") as caught:
        decode_arguments({name: [b"x"]}, PARAMETERS)
    assert caught.value.name == "".join(one if one.isprintable() else "?" for one in name)[:64]


@given(st.tuples(*[st.none() | st.integers(0, 10**6)] * 4).filter(any))
def test_a_duration_is_the_sum_of_its_parts_before_now(parts: tuple[int | None, ...]) -> None:
    text = "".join(f"{part}{unit}" for part, unit in zip(parts, "dhms", strict=True) if part is not None)
    days, hours, minutes, seconds = (part or 0 for part in parts)
    ago = dt.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    assert parsed(since=text).since == NOW - ago


@given(st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29), timezones=st.just(dt.UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_time_is_read_as_what_it_says(time: dt.datetime) -> None:
    expected = time.timestamp()
    assert parsed(since=time.isoformat().replace("+00:00", "Z")).since == expected
    assert parsed(since=time.isoformat().replace("T", "t").replace("+00:00", "z")).since == expected


def test_a_time_may_have_an_offset_and_nanoseconds() -> None:
    assert parsed(since="2023-11-14T23:13:20.123456789+01:00").since == NOW + 0.123456


@pytest.mark.parametrize(("tail", "expected"), [({}, None), ({"tail": "5"}, 5), ({"tail": "all"}, None)])
def test_who_names_a_time_gets_all_lines_since_unless_a_number_is_named(
    tail: dict[str, str], expected: int | None
) -> None:
    assert parsed(since="5m", **tail).tail == expected


@given(st.dictionaries(st.sampled_from(PARAMETERS), st.lists(st.text(), min_size=1, max_size=3)))
def test_whatever_is_asked_is_answered_or_refused_by_name(arguments: dict[str, list[str]]) -> None:
    with suppress(BadParameter, BadCursor):
        parse(arguments, 100, NOW)


def test_labels_in_any_order_are_one_view() -> None:
    views = [
        parsed(label=order).view(Selector("n"), Transport.HTTP)
        for order in (["a=1", "b=2"], ["b=2", "a=1"], ["b=2,a=1"])
    ]
    assert views[0] == views[1] == views[2]


@pytest.mark.parametrize(
    ("transport", "arguments", "framing"),
    [
        (Transport.WEBSOCKET, {}, WebSocketMessages()),
        (Transport.WEBSOCKET, {"batch": "true"}, WebSocketBatches()),
        (Transport.EVENTS, {}, Chunked(ServerSentEvents())),
        (Transport.EVENTS_1_0, {}, ServerSentEvents()),
        (Transport.HTTP, {"batch": "true"}, Chunked(PlainLines())),
        (Transport.HTTP_1_0, {}, PlainLines()),
    ],
)
def test_a_transport_has_its_framing(transport: Transport, arguments: dict[str, Any], framing: object) -> None:
    assert parsed(**arguments).view(Selector("n"), transport).framing == framing
