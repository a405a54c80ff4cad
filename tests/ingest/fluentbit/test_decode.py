from __future__ import annotations

import json
import random
import re
import struct
import time
import tracemalloc
from contextlib import suppress
from email.parser import BytesParser
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buffer.source import Source
from ingest.batch import Batch
from ingest.compression import decompress
from ingest.errors import Undecodable
from ingest.fluentbit import record as record_of
from ingest.fluentbit.decode import decode

DATA = Path(__file__).parents[2] / "data" / "fluentbit"
TAG = f"kube.var.log.containers.web-7d4b9c6f5-x2x7k_myapp_app-{'0' * 64}.log"
TIME = "2025-11-22T08:15:01.123457790Z"
WEB = Source(
    "myapp",
    "web-7d4b9c6f5-x2x7k",
    "app",
    (
        ("app", "web"),
        ("app.kubernetes.io/name", "web"),
        ("app.kubernetes.io/part-of", "shop"),
        ("pod-template-hash", "7d4b9c6f5"),
        ("tier", "front-end"),
    ),
)
EVENT_TIME = b"\xd7\x00" + struct.pack(">II", 1_763_799_301, 123_457_790)


class Seen(NamedTuple):
    """A line as a reader would get it."""

    source: Source
    text: str
    time: str
    stream: str | None


def lines(batches: list[Batch]) -> list[Seen]:
    return [
        Seen(run.source, *line)
        for batch in batches
        for run in batch.runs
        for line in zip(run.texts, run.times, run.streams, strict=True)
    ]


def tagged(tag: str) -> dict[str, str]:
    return {"Fluent-Tag": tag} if tag else {}


def read(body: bytes, tag: str = "") -> list[Seen]:
    return lines(list(decode(body, tagged(tag))))


def texts(body: bytes, tag: str = "") -> list[str]:
    return [line.text for line in read(body, tag)]


def skipped(body: bytes, tag: str = "") -> int:
    return sum(batch.skipped for batch in decode(body, tagged(tag)))


def capture(name: str) -> bytes:
    """Return a captured body as its handler would see it."""
    head = (DATA / f"{name}.head").read_bytes().split(b"\n", 1)[1]
    encoding = BytesParser().parsebytes(head).get("Content-Encoding", "")
    return decompress((DATA / f"{name}.body").read_bytes(), encoding, 1 << 24)


def record(**members: Any) -> dict[str, Any]:
    return {"time": TIME, "log": "a line", "kubernetes": {"namespace_name": "shop"}, **members}


def entry(members: dict[str, Any]) -> bytes:
    return b"\x92\x92" + EVENT_TIME + b"\x80" + msgspec.msgpack.encode(members)


REFERENCE = read(capture("default"))


def test_the_default_capture_has_the_lines_that_were_logged() -> None:
    assert len(REFERENCE) == 39
    assert {line.source for line in REFERENCE} == {WEB}
    assert REFERENCE[0] == Seen(WEB, "plain stdout line", TIME, "stdout")
    assert REFERENCE[1][1:] == ("plain stderr line", "2025-11-22T08:15:02.123458791Z", "stderr")
    assert REFERENCE[5].text == ""
    assert "caf\u00e9 na\u00efve \u65e5\u672c\u8a9e" in REFERENCE[4].text
    assert len(REFERENCE[33].text) > 16_384


@pytest.mark.parametrize("name", ["json.gzip", "json.snappy", "json.zstd", "json_lines", "json_stream", "readme-json"])
def test_every_way_to_send_json_gives_the_same_lines_in_one_batch(name: str) -> None:
    [batch] = decode(capture(name), {})
    assert lines([batch]) == REFERENCE
    assert batch.skipped == 0


@pytest.mark.parametrize("name", ["msgpack", "msgpack.gzip"])
def test_messagepack_gives_the_same_lines_but_for_bytes_that_are_no_text(name: str) -> None:
    found = read(capture(name))
    differing = {at for at, pair in enumerate(zip(found, REFERENCE, strict=True)) if pair[0] != pair[1]}
    assert [line[2:] for line in found] == [line[2:] for line in REFERENCE]
    assert differing == {at for at, line in enumerate(REFERENCE) if re.search("[\ue080-\ue0ff]", line.text)}
    assert found[27].text == '{"level":"warn","msg":"json with bad \ufffd byte"}'


def test_without_metadata_the_tag_names_the_source() -> None:
    source = Source("myapp", "web-7d4b9c6f5-x2x7k", "app")
    assert read(capture("json.kube-api-down"), TAG) == [line._replace(source=source) for line in REFERENCE]
    assert skipped(capture("json.kube-api-down")) == 39
    assert texts(capture("json.no-kubernetes-key"), TAG) == ["pod unknown to the API"]


def test_what_merging_took_apart_is_put_together_again() -> None:
    changed = {
        8: '{"level":"info","msg":"structured","ts":1763799999.123456,"user":{"id":42,"roles":["a","b"]},"ok":true,'
        '"none":null,"big":12345678901234567890,"neg":-7,"f":1e+21,"f1":1.0,"f2":0.1}',
        9: '{"level":"error","msg":"esc \\"q\\" \\\\ back \\n nl \\t tab é 😀 / / end","path":"C:\\\\new\\\\tmp"}',
        10: "inner log",
        16: '{"a":1}',
        18: '{"dup":2}',
        20: "trailing newline",
    }
    found = texts(capture("json.helm-keeplog-off-root"))
    assert found == [changed.get(at, line.text) for at, line in enumerate(REFERENCE)]


def test_parser_cri_gives_parts_and_empty_lines() -> None:
    found = texts(capture("json.parser-cri-message"))
    assert len(found) == 46
    assert found[:8] == [
        "plain stdout line",
        "plain stderr line",
        "first part / ",
        "second part / ",
        "last part",
        *(REFERENCE[at].text for at in (3, 4, 5)),
    ]


def test_the_docker_parser_keeps_newlines() -> None:
    found = texts(capture("json.docker-parser"))
    assert found[:3] == ["docker plain\n", "docker err\n", "part one, "]
    assert found[6] == "\n"
    assert len(found) == 10


def test_a_capture_with_a_tag_header_names_the_same_source_by_both() -> None:
    head = BytesParser().parsebytes((DATA / "json.header-tag.head").read_bytes().split(b"\n", 1)[1])
    [run] = [run for batch in decode(capture("json.header-tag"), dict(head)) for run in batch.runs]
    assert (run.source.namespace, run.source.pod, run.source.container) == ("myapp", "worker-0", "main")
    assert run.texts == [f"job {number} done" for number in range(5)]


@pytest.mark.parametrize("body", [b"", b" \r\n", b"[]", b" [ ]\n", b"\xef\xbb\xbf[]", b"\x90"])
def test_a_body_without_records_is_one_empty_batch(body: bytes) -> None:
    assert list(decode(body, {})) == [Batch([], 0, 0)]


@pytest.mark.parametrize("blanks", [100, 100_000, 5 << 20])
def test_blanks_cost_nothing_wherever_they_are(blanks: int) -> None:
    space, one = b" " * blanks, msgspec.json.encode(record())
    assert lines(list(decode(space, {}))) == lines(list(decode(b"[%b]" % space, {}))) == []
    for body in (
        space + one,
        b"[%b%b]" % (space, one),
        b"[%b%b,%b]" % (one, space, one),
        one + space,
        one + space + one,
    ):
        assert set(texts(body)) == {"a line"}
        assert skipped(body) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[1,2]",
        b'"{"',
        b"hello",
        b"{",
        b"[" * 100_000,
        b'{"' * 50_000,
        b"\xff\xfe",
        b"\x91" * 99,
        b"\x92\xd7",
        b"[[[]]]",
        b"\x93\x01\x02\x03",
        b"<html>",
        b'{"log":"' + b"x" * 99,
    ],
)
def test_a_body_that_holds_no_record_is_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable) as refused:
        list(decode(body, tagged(TAG)))
    assert str(refused.value) == "the body cannot be read as JSON or MessagePack records"


def test_the_documented_shape_is_read() -> None:
    body = b'{"log":"x","kubernetes":{"namespace":"a","pod":"b","container":"c"}}'
    assert read(body) == [Seen(Source("a", "b", "c"), "x", "", None)]
    assert read(json.dumps(json.loads(body), indent=2).encode()) == read(b"\xef\xbb\xbf" + body) == read(body)


def test_lines_of_several_sources_keep_their_order() -> None:
    one, two = {"namespace": "one"}, {"namespace": "two"}
    body = msgspec.json.encode([record(log=str(at), kubernetes=two if at % 3 else one) for at in range(9)])
    runs = [run for batch in decode(body, {}) for run in batch.runs]
    assert [(run.source.namespace, run.texts) for run in runs][:2] == [("one", ["0"]), ("two", ["1", "2"])]
    assert texts(body) == [str(at) for at in range(9)]


def test_records_without_text_or_namespace_are_counted() -> None:
    body = msgspec.json.encode([record(), record(kubernetes="x"), {}, record(stream="stderr")])
    assert texts(body) == ["a line", "a line"]
    assert skipped(body) == 2
    assert skipped(msgspec.json.encode([record(kubernetes=None)] * 3)) == 3


def test_the_quick_and_the_careful_way_agree_on_keys_that_come_twice() -> None:
    tail = b'"time":"%b","kubernetes":{"namespace":"a"},"kubernetes":{"namespace":"b"},"log":"2"}' % TIME.encode()
    [quick] = read(b'[{"log":"1",' + tail + b"]")
    [careful] = read(b'[{"log":1,"x":1,"time":5,' + tail + b"]")
    assert quick == careful == Seen(Source("b"), "2", TIME, None)


@pytest.mark.parametrize("time", ["yesterday", "", 5])
def test_a_time_that_is_none_is_looked_up_elsewhere(time: object) -> None:
    members = {"date": 1.5, **record(time=time)}
    assert read(msgspec.json.encode([members] * 3))[2].time == "1970-01-01T00:00:01.500000Z"
    assert read(entry(record(time=time)) * 3)[2].time == TIME


@pytest.mark.parametrize("head", [b"\x92" + EVENT_TIME + b"\x80", EVENT_TIME, b"\xc7\x08" + EVENT_TIME[1:]])
def test_messagepack_without_time_takes_that_of_the_entry(head: bytes) -> None:
    packed = b"\x92" + head + msgspec.msgpack.encode({"log": "x", "kubernetes": {"namespace": "a"}})
    assert read(packed * 2) == [Seen(Source("a"), "x", TIME, None)] * 2


@pytest.mark.parametrize(
    ("number", "time"),
    [(1_763_799_301, "2025-11-22T08:15:01Z"), (1.5, "1970-01-01T00:00:01.500000Z"), (float("nan"), ""), (None, "")],
)
def test_messagepack_takes_numbers_for_times(number: float | None, time: str) -> None:
    packed = b"\x92" + msgspec.msgpack.encode(number) + msgspec.msgpack.encode(record(time=None))
    assert read(packed) == [Seen(Source("shop"), "a line", time, None)]


def test_messagepack_of_bare_records_is_read() -> None:
    assert texts(msgspec.msgpack.encode(record()) * 3) == ["a line"] * 3
    assert texts(msgspec.msgpack.encode([record()] * 3)) == ["a line"] * 3


@pytest.mark.parametrize("texts_sent", [["one"], ["one", "two"], ["one", "two", "three"]])
def test_messagepack_may_be_one_array_of_entries(texts_sent: list[str]) -> None:
    packed = b"".join(entry(record(log=text)) for text in texts_sent)
    assert texts(b"\xdd" + len(texts_sent).to_bytes(4, "big") + packed) == texts_sent


def test_messagepack_of_parser_cri_is_read_in_one_batch() -> None:
    cri = {"time": TIME, "logtag": "F", "message": "m", "kubernetes": {"namespace": "a"}}
    [batch] = decode(entry(cri) * 300, {})
    assert batch.runs[0].texts == ["m"] * 300


def test_group_markers_are_neither_lines_nor_skipped() -> None:
    start, end = (
        b"\x92\x92\xd7\x00" + struct.pack(">iI", seconds, 0) + b"\x81\xa1g\x01" + msgspec.msgpack.encode({"a": 1})
        for seconds in (-1, -2)
    )
    body = start + entry(record()) * 2 + end
    assert texts(body, TAG) == ["a line"] * 2
    assert skipped(body, TAG) == 0
    assert list(decode(start + end, {})) == [Batch([], 0, 0)]


def test_messagepack_text_may_be_bytes_or_cesu_8() -> None:
    kubernetes = b"\xaakubernetes\x81\xa9namespace\xa1a"
    body = b"".join(
        b"\x92\x92" + EVENT_TIME + b"\x80\x82\xa3log" + text + kubernetes
        for text in (b"\xc4\x02hi", b"\xa6\xed\xa0\xbd\xed\xb8\x80", b"\xa2a\xff")
    )
    assert texts(body) == ["hi", "😀", "a\ufffd"]


# A broken record, and its text if it can be mended.
MENDED = {
    "invalid UTF-8": (b'{"log":"a\xffb","kubernetes":{"namespace":"shop"}}', "a\ufffdb"),
    "CESU-8": (b'{"log":"\xed\xa0\xbd\xed\xb8\x80","kubernetes":{"namespace":"shop"}}', "😀"),
    "lone escape": (b'{"log":"\\ud83d!","kubernetes":{"namespace":"shop"}}', "\ufffd!"),
    "nan": (b'{"log":"nan, inf","f":nan,"g":-inf,"kubernetes":{"namespace":"shop"}}', "nan, inf"),
    "control characters": (b'{"log":"a\x00\tb\x0cc","kubernetes":{"namespace":"shop"}}', "a\x00\tb\x0cc"),
    "trailing comma": (b'{"log":"x","kubernetes":{"namespace":"shop",},}', "x"),
    "deep": (b'{"log":"x","d":' + b"[" * 400 + b"]" * 400 + b',"kubernetes":{"namespace":"shop"}}', "x"),
}
DELIMITED = {
    "no colon": b'{"log" "x","kubernetes":{"namespace":"shop"}}',
    "no comma": b'{"log":"x" "kubernetes":{"namespace":"shop"}}',
    "no value": b'{"log":,"kubernetes":{"namespace":"shop"}}',
    "junk": b'{"log":"x",@:#,,"kubernetes":{"namespace":"shop"}}',
}
DEEPER = b'{"log":"x","d":' + b"[" * 20_000 + b"]" * 20_000 + b',"kubernetes":{"namespace":"shop"}}'
ENDLESS = {
    "cut off": b'{"log":"x","kubernetes":{"namespace":"sho',
    "nested": b'{"log":"x","d":' + b"[" * 20_000,
    "lost quote": b'{"log":"x,"kubernetes":{"namespace":"shop"}}',
    "lost brace": b'{"log":"x","kubernetes":{"namespace":"shop"}',
    "other bracket": b'{"log":"x","kubernetes":{"namespace":"shop"]}',
    "words": b"not json at all",
}
GOOD = [msgspec.json.encode(record(log=str(at))) for at in range(40)]
JOINERS = [b",", b"\n", b""]


def around(broken: bytes, joiner: bytes) -> bytes:
    """Return a body with good records before and after a broken one; a comma makes it an array."""
    body = joiner.join([*GOOD[:20], broken, *GOOD[20:]])
    return b"[%b]" % body if joiner == b"," else body


def numbers(*ranges: range) -> list[str]:
    return [str(at) for numbers in ranges for at in numbers]


@pytest.mark.parametrize("joiner", JOINERS)
@pytest.mark.parametrize("fault", MENDED)
def test_a_broken_record_is_mended_and_costs_no_neighbour(fault: str, joiner: bytes) -> None:
    broken, text = MENDED[fault]
    body = around(broken, joiner)
    assert texts(body) == [*numbers(range(20)), text, *numbers(range(20, 40))]
    assert skipped(body) == 0


@pytest.mark.parametrize("joiner", [b",", b"\n"])
@pytest.mark.parametrize("fault", DELIMITED)
def test_a_record_that_cannot_be_mended_is_skipped_and_costs_no_neighbour(fault: str, joiner: bytes) -> None:
    body = around(DELIMITED[fault], joiner)
    assert texts(body) == numbers(range(40))
    assert skipped(body) == 1


@pytest.mark.parametrize("joiner", JOINERS)
def test_a_record_that_is_nested_too_deep_is_skipped_and_costs_no_neighbour(joiner: bytes) -> None:
    body = around(DEEPER, joiner)
    assert texts(body) == numbers(range(40))
    assert skipped(body) == 1


@pytest.mark.parametrize("fault", ENDLESS)
def test_a_line_that_does_not_end_costs_no_other_line(fault: str) -> None:
    body = around(ENDLESS[fault], b"\n")
    assert texts(body) == numbers(range(40))
    assert skipped(body) == 1


@pytest.mark.parametrize("joiner", [b",", b""])
@pytest.mark.parametrize("fault", ["cut off", "nested", "lost quote", "lost brace", "other bracket"])
def test_a_record_that_does_not_end_costs_what_follows_and_that_is_counted(fault: str, joiner: bytes) -> None:
    body = around(ENDLESS[fault], joiner)
    assert texts(body)[:19] == numbers(range(19))
    assert len(texts(body)) <= 20
    assert skipped(body) >= 20


@given(st.data())
def test_a_line_that_is_cut_anywhere_costs_no_other_line(data: st.DataObject) -> None:
    broken = data.draw(st.integers(0, 4))
    cut = data.draw(st.integers(1, len(GOOD[0]) - 1))
    lines = [line[:cut] if at == broken else line for at, line in enumerate(GOOD[:5])]
    assert texts(b"\n".join(lines)) == [str(at) for at in range(5) if at != broken]


def test_a_body_cut_short_anywhere_keeps_what_was_whole() -> None:
    records = [msgspec.json.encode(record(log=str(at))) for at in range(4)]
    body = b"[" + b",".join(records) + b"]"
    for end in range(len(records[0]) + 1, len(body)):
        whole = sum(end >= 1 + sum(len(data) + 1 for data in records[: at + 1]) - 1 for at in range(4))
        assert texts(body[:end]) == [str(at) for at in range(whole)]


@pytest.mark.parametrize("first", [b"x", b"", b"]", b"\n"])
def test_a_damaged_first_byte_of_lines_costs_one_line(first: bytes) -> None:
    assert texts(first + b"\n".join([msgspec.json.encode(record())] * 5)[1:]) == ["a line"] * 4


@pytest.mark.parametrize("first", [b"x", b"\xff", b"{", b"]", b"\x80"])
def test_a_damaged_first_byte_of_other_bodies_makes_them_undecodable(first: bytes) -> None:
    for body in (first + b",".join([msgspec.json.encode(record())] * 5) + b"]", first + (entry(record()) * 5)[1:]):
        with pytest.raises(Undecodable):
            read(body)


def test_text_nested_to_the_limit_costs_no_neighbour() -> None:
    good = msgspec.json.encode(record())
    for depth in range(300, 1100, 3):
        nested = b'{"log":' + b"[" * depth + b"]" * depth + b',"kubernetes":{"namespace":"a"}}'
        found = texts(b"[" + b",".join([good, nested, good]) + b"]")
        assert found[0] == found[-1] == "a line"


def test_an_unusual_body_comes_in_batches_of_bounded_size() -> None:
    body = msgspec.json.encode([record(log=str(at)) for at in range(1000)])[:-1]
    sizes = [sum(len(run.texts) for run in batch.runs) for batch in decode(body, {})]
    assert sum(sizes) == 1000
    assert len(sizes) > 1


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * 1_600_000 + b"{}]",
        b"[" + b"1," * 2_500_000 + b"{}]",
        b'[{"log":"x","a":[' + b"{}," * 1_600_000 + b"{}]}]",
        b"{" + b'"a":1,' * 900_000 + b'"log":"x"}',
        (b"\x92\x92" + EVENT_TIME + b"\x80\x80") * 350_000,
        b"\xdd\x00\x4c\x4b\x40" + b"\x80" * 5_000_000,
    ],
    ids=["empty objects", "numbers", "one list", "members", "entries", "bare maps"],
)
def test_a_body_of_tiny_things_takes_little_memory(body: bytes) -> None:
    tracemalloc.start()
    with suppress(Undecodable):
        for _ in islice(decode(body, tagged(TAG)), 20):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(body)


@pytest.mark.usefixtures("in_pieces")
@pytest.mark.parametrize("joiner", JOINERS)
def test_a_large_body_is_read_in_pieces_and_in_order(joiner: bytes) -> None:
    lines = [msgspec.json.encode(record(log=str(at))) for at in range(10_000)]
    body = joiner.join(lines)
    sizes = [
        sum(len(run.texts) for run in batch.runs) for batch in decode(b"[%b]" % body if joiner == b"," else body, {})
    ]
    assert len(sizes) > 1
    assert texts(b"[%b]" % body if joiner == b"," else body) == [str(at) for at in range(10_000)]


def test_a_large_body_with_one_broken_record_keeps_the_others() -> None:
    lines = [msgspec.json.encode(record(log=str(at), n=0)) for at in range(10_000)]
    lines[5000] = lines[5000].replace(b'"n":0', b'"n":nan')
    assert texts(b"[%b]" % b",".join(lines)) == [str(at) for at in range(10_000)]


@pytest.mark.usefixtures("in_pieces")
def test_a_large_body_of_messagepack_is_read_in_pieces_and_in_order() -> None:
    packed = b"".join(entry(record(log=str(at), kubernetes={"namespace": "a"})) for at in range(10_000))
    assert len(list(decode(packed, {}))) > 1
    assert texts(packed) == [str(at) for at in range(10_000)]


@pytest.mark.parametrize("broken", [b"", b',"n":nan'])
def test_a_record_of_more_than_4_mib_is_skipped_and_costs_no_neighbour(broken: bytes) -> None:
    large = b'{"log":"%b"%b,"kubernetes":{"namespace":"a"}}' % (b"x" * (5 << 20), broken)
    body = around(large, b",")
    assert texts(body) == numbers(range(40))
    assert skipped(body) == 1


def test_a_line_of_some_mib_is_read() -> None:
    long = b'{"log":"%b","kubernetes":{"namespace":"a"}}' % (b"x" * (3 << 20))
    assert [len(text) for text in texts(around(long, b","))][20] == 3 << 20


logs = st.text(st.characters(exclude_categories=["Cs"]))
members = st.dictionaries(
    st.sampled_from(["a", "date", "msg", "x y", "é", '"']), logs | st.integers(-(2**63), 2**64 - 1) | st.none()
)
sent = st.builds(
    lambda log, more, namespace, stream: {
        "time": TIME,
        **more,
        "log": log,
        "kubernetes": {"namespace_name": namespace, "labels": {"a": log}},
        **({"stream": stream} if stream else {}),
    },
    logs,
    members,
    st.sampled_from(["one", "two"]),
    st.sampled_from(["stdout", "stderr", None]),
)


def wanted(records: list[dict[str, Any]]) -> list[tuple[str, str, str, str | None]]:
    return [(item["kubernetes"]["namespace_name"], item["log"], TIME, item.get("stream")) for item in records]


def got(body: bytes) -> list[tuple[str, str, str, str | None]]:
    return [(line.source.namespace, line.text, line.time, line.stream) for line in read(body)]


@given(st.lists(sent, min_size=1), st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_what_is_put_in_as_json_comes_out(records: list[dict[str, Any]], ascii_only: bool, separators: Any) -> None:  # noqa: FBT001  # drawn
    dumped = [json.dumps(item, ensure_ascii=ascii_only, separators=separators) for item in records]
    for body in ("[" + ",".join(dumped) + "]", "\n".join(dumped) + "\n", "".join(dumped), "\r\n \n".join(dumped)):
        assert got(body.encode()) == wanted(records)


@given(st.lists(sent, min_size=1))
def test_what_is_put_in_as_messagepack_comes_out(records: list[dict[str, Any]]) -> None:
    packed = [msgspec.msgpack.encode(item) for item in records]
    for before in (b"\x92\x92" + EVENT_TIME + b"\x80", b"\x92" + EVENT_TIME, b"\x92\x05", b""):
        assert got(b"".join(before + item for item in packed)) == wanted(records)


# What an application may log, and what set-ups of Fluent Bit make of it.
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | logs,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(logs, inner, max_size=3),
    max_leaves=5,
)
applications = st.dictionaries(
    st.sampled_from(["a", "msg", "message", "log_processed", "level", "é", '"', "timestamp"]),
    json_values | st.just(TIME) | st.just(1700000000),
)
shaped = st.fixed_dictionaries(
    {},
    optional={
        "time": st.sampled_from([TIME, TIME, TIME, "soon", 5]),
        "stream": st.sampled_from(["stdout", "stderr", "fake", None]),
        "_p": st.just("F"),
        "logtag": st.just("F"),
        "log": logs | logs | json_values,
        "merged": applications,
    },
).map(lambda members: {key: value for key, value in members.items() if key != "merged"} | members.get("merged", {}))
shapes = st.lists(shaped, min_size=1, max_size=6) | shaped.map(lambda members: [members] * 3)
dates = st.sampled_from(
    [
        {},
        {"date": 1763799301.123458},
        {"my_date": 1763799301.5},
        {"@timestamp": "2025-11-22T08:15:01.123457Z"},
        {"timestamp": "2025-11-22 08:15:01.123457"},
        {"date": 1763799301},
        {"date": 1763799301123},
        {"date": "soon"},
        {"timestamp": -5},
        {"date": 1e25},
        {"@timestamp": "an hour and a half ago"},
    ]
)
# Of large bodies, members are learnt that the application has put in.
metadata = st.sampled_from([{"namespace": "a"}, {"namespace": "a", "annotations": "a" * (8 << 10)}])


def text_of(members: dict[str, Any], *, has_time: bool, date_key: str) -> str | None:
    """Return the text of one record by the rules that the documentation states."""
    text = members.get("log")
    if text is None and "logtag" in members and isinstance(members.get("message"), str):
        text = members["message"]
    if text is None:
        stream = members.get("stream") in ("stdout", "stderr")
        ours = {
            "_p",
            "logtag",
            "kubernetes",
            "log",
            date_key,
            *(["time"] if has_time else []),
            *(["stream"] if stream else []),
        }
        others = {key: value for key, value in members.items() if key not in ours}
        if not others and "logtag" in members:
            return ""
        if not others and "log" not in members:
            return "{}" if "_p" in members or stream else None
        is_text = len(others) == 1 and {*others} <= {"message", "msg", "log_processed"}
        text = next(iter(others.values())) if is_text else others or {"log": None}
        if is_text and text is None:
            return "null"
    return text if isinstance(text, str) else msgspec.json.encode(text).decode()


def line_of(members: dict[str, Any], sent: str) -> tuple[str, str] | None:
    """Return the text and the time of one record, read by itself, a member at a time; None if it has no text."""
    row = msgspec.json.decode(msgspec.json.encode(members), type=dict[str, msgspec.Raw])
    key = record_of.date_key(row)
    time = members["time"] if members.get("time") == TIME else record_of.date(row[key]) if key else ""
    text = text_of(
        members, has_time=members.get("time") == TIME, date_key=key if key and record_of.date(row[key]) else ""
    )
    return None if text is None else (text, time or sent)


@given(shapes, dates, metadata)
@example([{}] * 3, {"my_date": 1763799301.5}, {"namespace": "a"})
@example([{"logtag": "F", "a": None}] * 3, {}, {"namespace": "a"})
@example([{"logtag": "F", "time": TIME}] * 3, {"timestamp": -5}, {"namespace": "a"})
@example([{"logtag": "F", "time": TIME, "timestamp": TIME}] * 3, {}, {"namespace": "a"})
@example([{"logtag": "F", "time": TIME, "timestamp": 1700000000}] * 3, {"date": 1700000000.1}, {"namespace": "a"})
@example([{"logtag": "F", "time": TIME}] * 3, {"date": f"{TIME}\n"}, {"namespace": "a"})
def test_records_of_any_shapes_together_give_the_lines_of_each(
    records: list[dict[str, Any]], date: dict[str, Any], kubernetes: dict[str, Any]
) -> None:
    records = [{**date, **item, "kubernetes": kubernetes} for item in records]
    found = [line_of(item, "") for item in records]
    encoded = [msgspec.json.encode(item) for item in records]
    for body in (b"[%b]" % b",".join(encoded), b"\n".join(encoded), b"".join(encoded)):
        assert [(line.text, line.time) for line in read(body)] == [line for line in found if line]


@given(shapes)
@example([{"a": 0}] * 3)
@example([{"logtag": "F", "a": None}] * 3)
def test_entries_of_any_shapes_together_give_the_lines_of_each(records: list[dict[str, Any]]) -> None:
    records = [{**item, "kubernetes": {"namespace": "a"}} for item in records]
    found = [line_of(item, TIME) for item in records]
    body = b"".join(entry(item) for item in records)
    assert [(line.text, line.time) for line in read(body)] == [line for line in found if line]


FORGED = {"date": 1.5, "time": TIME, "log": "FORGED", "kubernetes": {"namespace_name": "victim"}}
FORGED_JSON = json.dumps(FORGED, separators=(",", ":"))
forged_texts = st.sampled_from(["x", "},", "}\n", "}", '"},', "]}", "\\", '\\"},']).map(
    lambda start: start + FORGED_JSON + "{"
)
nestings: st.SearchStrategy[Any] = st.recursive(
    st.just(FORGED),
    lambda inner: st.lists(st.just(1) | inner) | st.dictionaries(st.sampled_from(["a", "}", ","]), inner),
)
evil = st.builds(
    lambda text, nested, first, absent: {
        key: value
        for key, value in {**first, "a": nested, **record(log=text), "z": nested}.items()
        if key not in absent
    },
    forged_texts,
    nestings,
    st.sampled_from(
        [{"date": 1.5}, {"date": 1.5, "stream": "stdout"}, {"my_date": 1763799301.5, "stream": "stdout"}, {}]
    ),
    st.sampled_from([(), ("time",), ("log",), ("time", "log"), ("a", "time")]),
)
damages = st.tuples(st.floats(0, 1), st.sampled_from(['"', "{", "}", "[", "]", ",", ":", "\\", "\n", "0", "\xff", ""]))


def damaged(data: bytes, damage: tuple[float, str]) -> bytes:
    at = int(damage[0] * (len(data) - 1))
    return data[:at] + damage[1].encode("latin-1") + data[at + 1 :]


@given(st.lists(evil, min_size=1, max_size=4), st.integers(0, 3), damages, st.sampled_from(["[]", "\n", ""]))
def test_nothing_inside_a_damaged_record_becomes_a_record(
    records: list[dict[str, Any]], broken: int, damage: tuple[float, str], form: str
) -> None:
    lines = [json.dumps(item, separators=(",", ":")).encode() for item in records]
    lines[broken % len(lines)] = damaged(lines[broken % len(lines)], damage)
    body = b"[%b]" % b",".join(lines) if form == "[]" else form.encode().join(lines)
    with suppress(Undecodable):
        assert "victim" not in {line.source.namespace for line in read(body)}


@given(st.lists(evil, min_size=1, max_size=4), st.integers(0, 3), damages)
def test_nothing_inside_a_damaged_entry_becomes_a_record(
    records: list[dict[str, Any]], broken: int, damage: tuple[float, str]
) -> None:
    entries = [entry(item) for item in records]
    entries[broken % len(entries)] = damaged(entries[broken % len(entries)], damage)
    with suppress(Undecodable):
        assert "victim" not in {line.source.namespace for line in read(b"".join(entries))}


# What is inside comes out where its members become the record's own, or where the record ends too early.
INSIDE: list[dict[str, Any]] = [
    {"a": FORGED, "kubernetes": {"namespace_name": "shop"}},
    {"a": [FORGED, FORGED], "z": {"b": FORGED}, "log": "}," + FORGED_JSON},
    {"log": "}\n" + FORGED_JSON, "a": [{"b": 1}, FORGED], "": [[], FORGED]},
]


FORMS = {"array": (b"[", b",", b"]"), "lines": (b"", b"\n", b"\n"), "stream": (b"", b"", b"")}


@pytest.mark.parametrize("form", [*FORMS, "MessagePack"])
@pytest.mark.parametrize("inside", INSIDE)
def test_no_single_damaged_byte_lets_anything_out_of_a_record(inside: dict[str, Any], form: str) -> None:
    encode = entry if form == "MessagePack" else msgspec.json.encode
    before, between, after = FORMS.get(form, (b"", b"", b""))
    whole, good = encode({"date": 1.5, "time": TIME, **inside}), encode({"date": 1.5, **record()})
    for at in range(1, len(whole)):
        for put in (b"", *(bytes([byte]) for byte in b'"{}[],:\\\n0')):
            damaged = whole[:at] + put + whole[at + 1 :]
            with suppress(Undecodable):
                found = read(before + between.join([good, damaged, good]) + after)
                assert "victim" not in {line.source.namespace for line in found}, damaged


FAULTS = {
    "inf": b',"c":inf}',
    "brackets": b',"b":[' + b"[]," * 51_000 + b'[]],"c":inf}',
    "nested": b',"b":' + b"[" * 5000 + FORGED_JSON.encode() + b"]" * 5000 + b"}",
    "unmended": b',"c" inf}',
    "lone surrogate": b',"c":"\\ud83d"}',
    "bad bytes": b',"c":"\xff\xfe},{"}',
    "cut": b',"c":[' + FORGED_JSON.encode(),
    "lost quote": b',"c:[' + FORGED_JSON.encode() + b"]}",
}


@pytest.mark.parametrize("joiner", JOINERS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_pod_cannot_break_out_of_its_record(fault: str, joiner: bytes) -> None:
    evil_one = msgspec.json.encode(record(log="}," + FORGED_JSON, a=[{"a": [FORGED]}]))[:-1] + FAULTS[fault]
    found = read(around(evil_one, joiner))
    assert {line.source.namespace for line in found} == {"shop"}
    assert found[0].text == "0"


@pytest.mark.parametrize("tail", [b"", b"\xc1", b"\x92\x92", entry(record())[:-5]])
def test_an_entry_in_the_text_of_another_is_none(tail: bytes) -> None:
    forged = entry(FORGED)
    log = b"\xda" + len(forged * 3).to_bytes(2, "big") + forged * 3
    whole = b"\x92\x92" + EVENT_TIME + b"\x80\x82\xa3log" + log + b"\xaakubernetes\x81\xa9namespace\xa4shop"
    good = entry(record())
    assert {line.source.namespace for line in read(good + whole + good + tail)} == {"shop"}
    for cut in range(1, len(whole)):
        assert {line.source.namespace for line in read(good * 2 + whole[:-cut] + good)} == {"shop"}


@pytest.mark.parametrize(
    "name", ["json.docker-parser", "json.header-tag", "json_lines", "json_stream", "msgpack", "json.zstd"]
)
def test_mutated_captures_are_read_or_refused_and_never_take_long(name: str) -> None:
    chance, body = random.Random(name), capture(name)
    started = time.process_time()
    for _ in range(400):
        mutant, at = bytearray(body), chance.randrange(len(body))
        size = chance.choice([0, 1, 1, 1, chance.randrange(3000)])
        mutant[at : at + size] = chance.randbytes(chance.choice([0, 1, 1, 2]))
        with suppress(Undecodable):
            for line in read(bytes(mutant), chance.choice(["", TAG])):
                assert line.text.encode() is not None
    assert time.process_time() - started < 400 * 0.05


def test_one_changed_byte_costs_one_line_of_lines_at_most() -> None:
    chance, body = random.Random(1), capture("json_lines")
    whole = texts(body)
    for _ in range(200):
        mutant = bytearray(body)
        mutant[chance.randrange(1, len(body))] = chance.choice(b"x0\xff\x01,")
        found = texts(bytes(mutant))
        assert len([text for text in whole if text not in found]) <= 1


@pytest.mark.parametrize("name", ["json_stream", "default", "msgpack"])
def test_one_changed_byte_costs_nothing_that_comes_before_and_the_rest_is_counted(name: str) -> None:
    chance, body = random.Random(name), capture(name)
    whole = texts(body)
    for _ in range(200):
        at, mutant = chance.randrange(len(body) // 3, len(body)), bytearray(body)
        mutant[at] = chance.choice(b"x0\xff\x01,")
        found = texts(bytes(mutant))
        before = len(texts(body[:at])) - 1  # the one before the damaged one may not be known to end where it seems to
        assert found[:before] == whole[:before]
        assert len(found) + skipped(bytes(mutant)) >= len(whole) - 1


def test_the_tag_goes_before_metadata_that_contradicts_it_and_that_is_counted() -> None:
    other = record(kubernetes={"namespace_name": "victim", "pod_name": "p", "labels": {"a": "b"}})
    same = record(kubernetes={"namespace_name": "myapp", "labels": {"a": "b"}})
    [batch] = decode(msgspec.json.encode([other, same, other]), tagged(TAG))
    tag = ("myapp", "web-7d4b9c6f5-x2x7k", "app")
    assert [(run.source, len(run.texts)) for run in batch.runs] == [
        (Source(*tag), 1),
        (Source(*tag, (("a", "b"),)), 1),
        (Source(*tag), 1),
    ]
    assert batch.contradicted == 2


@pytest.mark.parametrize("key", ["date", "timestamp", "@timestamp"])
@pytest.mark.parametrize(
    ("date", "time"),
    [
        (1763799301.123458, "2025-11-22T08:15:01.123458Z"),
        (1763799303.12346, "2025-11-22T08:15:03.123460Z"),
        ("2025-11-22T08:15:01.123457Z", "2025-11-22T08:15:01.123457Z"),
        ("2025-11-22 08:15:01.123457", "2025-11-22T08:15:01.123457Z"),
        (1763799301, "2025-11-22T08:15:01Z"),
        (1763799301123, "2025-11-22T08:15:01.123Z"),
    ],
)
def test_records_without_a_time_of_their_own_take_the_date_of_the_output(key: str, date: object, time: str) -> None:
    for text in ({"log": "x"}, {"logtag": "F", "message": "x"}):
        members = {key: date, **text, "kubernetes": {"namespace": "a"}}
        [batch] = decode(msgspec.json.encode([members] * 3), {})
        assert lines([batch]) == [Seen(Source("a"), "x", time, None)] * 3


def test_what_takes_too_long_is_given_up_and_counted() -> None:
    body = b"[" + b'{"a":nan},' * 1_000_000 + b"{}]"
    read = skipped = 0
    for batch in decode(body, tagged(TAG)):
        read += sum(len(run.texts) for run in batch.runs)
        skipped += batch.skipped
    assert 100_000 < read < 900_000
    assert read + skipped == pytest.approx(1_000_001, rel=0.01)
