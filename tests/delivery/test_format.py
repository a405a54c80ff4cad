from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.cursor import cursor_after
from delivery.format import Json, Text
from delivery.gap import Gap
from tests.buffer.factories import chunk, source

TIME = "2025-11-22T08:15:01.123456790+01:00"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (Text(), "hello"),
        (Text(timestamps=True), f"{TIME} hello"),
        (Text(prefix=True), "web-0/app hello"),
        (Text(timestamps=True, prefix=True), f"{TIME} web-0/app hello"),
    ],
)
def test_text_has_its_time_and_writer_before_it_where_asked_for(text: Text, line: str) -> None:
    made = chunk(1, "other", "hello", times=["", TIME])
    assert text.payloads(made, [1]) == [line.encode()] == text.payloads(made, None)[1:]


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(names.map(lambda text: text.removesuffix("\n")), min_size=1, max_size=5), names, names)
def test_a_json_line_can_be_read_back(texts: list[str], pod: str, container: str) -> None:
    made = chunk(3, *(text + "\n" for text in texts), writer=source(pod=pod, container=container), stream="stderr")
    read = [json.loads(payload) for payload in Json().payloads(made, None)]
    assert [line["log"] for line in read] == texts
    assert {(line["type"], line["pod"], line["container"], line["stream"]) for line in read} == {
        ("line", pod, container, "stderr")
    }
    assert [line["cursor"].encode() for line in read] == [cursor_after(made, i) for i in range(made.count)]
    assert all(dt.datetime.fromisoformat(line["timestamp"]) for line in read)


def test_json_of_some_lines_is_that_of_all() -> None:
    made = chunk(3, "a", "b", "c", streams=["stdout", None, "stderr"], times=["", TIME, ""])
    everything = Json().payloads(made, None)
    assert Json().payloads(made, [1, 2]) == everything[1:]
    assert everything[1] == (
        b'{"type":"line","cursor":"e1-3-2","timestamp":"%s","pod":"web-0","container":"app","stream":null,"log":"b"}'
        % TIME.encode()
    )


def test_a_time_that_is_no_time_cannot_break_out_of_its_place() -> None:
    made = chunk(1, "a", times=['","log":"forged'])
    assert json.loads(Json().payloads(made, None)[0])["log"] == "a"


def test_json_notices_are_objects() -> None:
    assert json.loads(Json().gap(Gap(None, "evicted"))) == {"type": "gap", "lost": None, "reason": "evicted"}
    assert Json().live() == b'{"type":"live"}'


def test_text_notices_are_sentences() -> None:
    assert Text().gap(Gap(2, "slow")) == b"[logurt] 2 lines lost: this reader was too slow"
    assert Text().live() is None


@pytest.mark.parametrize("one", [Text, lambda: Text(timestamps=True), Json])
def test_formats_are_values(one: type) -> None:
    assert one() == one()
    assert hash(one()) == hash(one())


@pytest.mark.parametrize("other", [Text(), Text(prefix=True), Json()])
def test_formats_that_read_differently_differ(other: object) -> None:
    assert Text(timestamps=True) != other
