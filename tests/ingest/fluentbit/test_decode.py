from __future__ import annotations

import json
import random
import re
import struct
import time
import tracemalloc
from contextlib import suppress
from email.parser import BytesParser
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.source import Source
from ingest.batch import Batch
from ingest.compression import decompress
from ingest.errors import Undecodable
from ingest.fluentbit import decode as decoder
from ingest.fluentbit import fallback
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
    assert list(decode(body, {})) == [Batch([], 0)]


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
        next(decode(body, tagged(TAG)))
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
    body = msgspec.json.encode([record(), record(log=None), record(kubernetes="x"), {}, record(stream="stderr")])
    assert texts(body) == ["a line", "a line"]
    assert skipped(body) == 3
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
    assert list(decode(start + end, {})) == [Batch([], 0)]


def test_messagepack_text_may_be_bytes_or_cesu_8() -> None:
    kubernetes = b"\xaakubernetes\x81\xa9namespace\xa1a"
    body = b"".join(
        b"\x92\x92" + EVENT_TIME + b"\x80\x82\xa3log" + text + kubernetes
        for text in (b"\xc4\x02hi", b"\xa6\xed\xa0\xbd\xed\xb8\x80", b"\xa2a\xff")
    )
    assert texts(body) == ["hi", "😀", "a\ufffd"]


BROKEN_JSON = {
    "invalid UTF-8": (b'{"log":"a\xffb","kubernetes":{"namespace":"shop"}}', "a\ufffdb"),
    "CESU-8": (b'{"log":"\xed\xa0\xbd\xed\xb8\x80","kubernetes":{"namespace":"shop"}}', "😀"),
    "lone escape": (b'{"log":"\\ud83d!","kubernetes":{"namespace":"shop"}}', "\ufffd!"),
    "nan": (b'{"log":"nan, inf","f":nan,"g":-inf,"kubernetes":{"namespace":"shop"}}', "nan, inf"),
    "control characters": (b'{"log":"a\x00\tb\nc","kubernetes":{"namespace":"shop"}}', "a\x00\tb\nc"),
    "trailing comma": (b'{"log":"x","kubernetes":{"namespace":"shop",},}', "x"),
    "deep": (b'{"log":"x","d":' + b"[" * 900 + b"]" * 900 + b',"kubernetes":{"namespace":"shop"}}', "x"),
    "cut off": (b'{"log":"x","kubernetes":{"namespace":"sho', None),
    "endless nesting": (b'{"log":"x","d":' + b"[" * 20_000, None),
    "no colon": (b'{"log" "x","kubernetes":{"namespace":"shop"}}', None),
    "lost quote": (b'{"log":"x,"kubernetes":{"namespace":"shop"}}', None),
    "lost brace": (b'{"log":"x","kubernetes":{"namespace":"shop"}', None),
    "words": (b"not json at all", None),
}


@pytest.mark.parametrize("joiner", [b",", b"\n", b""])
@pytest.mark.parametrize("fault", BROKEN_JSON)
def test_a_broken_record_is_mended_or_skipped_and_costs_no_neighbour(fault: str, joiner: bytes) -> None:
    broken, text = BROKEN_JSON[fault]
    good = [msgspec.json.encode(record(log=str(at))) for at in range(40)]
    parts = [*good[:20], broken, *good[20:]]
    body = joiner.join(parts) if joiner != b"," else b"[%b]" % joiner.join(parts)
    expected = [str(at) for at in range(40)]
    if text is not None:
        expected.insert(20, text)
    assert texts(body) == expected
    assert skipped(body) == (text is None)


@pytest.mark.parametrize("first", [b"x", b"\xff", b"\x92", b"", b"{", b"]"])
def test_a_damaged_first_byte_costs_nothing_but_its_record(first: bytes) -> None:
    body = b"[" + b",".join([msgspec.json.encode(record())] * 5) + b"]"
    assert texts(first + body[1:]) == ["a line"] * 5
    packed = entry(record()) * 5
    assert texts(first + packed[1:])[-4:] == ["a line"] * 4


def test_a_body_cut_short_anywhere_keeps_what_was_whole() -> None:
    records = [msgspec.json.encode(record(log=str(at))) for at in range(4)]
    body = b"[" + b",".join(records) + b"]"
    for end in range(len(records[0]) + 1, len(body)):
        whole = sum(end >= 1 + sum(len(data) + 1 for data in records[: at + 1]) - 1 for at in range(4))
        assert texts(body[:end]) == [str(at) for at in range(whole)]


def test_text_nested_to_the_limit_costs_no_neighbour() -> None:
    good = msgspec.json.encode(record())
    for depth in range(800, 1000):
        nested = b'{"log":' + b"[" * depth + b"]" * depth + b',"kubernetes":{"namespace":"a"}}'
        found = texts(b"[" + b",".join([good, nested, good]) + b"]")
        assert found[0] == found[-1] == "a line"


def test_a_messagepack_record_of_too_many_values_costs_no_neighbour() -> None:
    body = entry(record()) + entry({"a": [None] * 300_000}) + entry(record())
    assert texts(body, TAG) == ["a line"] * 2
    assert skipped(body, TAG) == 1


def test_an_unusual_body_comes_in_batches_of_bounded_size() -> None:
    body = msgspec.json.encode([record(log=str(at)) for at in range(1000)])[:-1]
    sizes = [sum(len(run.texts) for run in batch.runs) for batch in decode(body, {})]
    assert sum(sizes) == 1000
    assert max(sizes) <= 256


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
def test_a_body_of_tiny_things_takes_little_memory_before_the_first_batch(body: bytes) -> None:
    tracemalloc.start()
    with suppress(Undecodable):
        next(decode(body, tagged(TAG)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(body)


def test_a_dense_body_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "_LARGE", 10_000)
    monkeypatch.setattr(decoder, "_LARGE", 10_000)
    body = b"[" + b'{"log":"x"},' * 10_000 + b'{"log":"y"}]'
    found = texts(body, TAG)
    assert (len(found), found[-1]) == (10_001, "y")
    packed = b"\x92" + EVENT_TIME + b"\x81\xa3log\xa1x"
    assert len(texts(packed * 8_000, TAG)) == 8_000


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


@given(st.lists(sent, min_size=1, max_size=5), st.lists(sent, min_size=1, max_size=5), st.data())
def test_one_broken_record_loses_none_of_the_others(
    before: list[dict[str, Any]], after: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = msgspec.json.encode(record())
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    body = b",".join([*map(msgspec.json.encode, before), cut, *map(msgspec.json.encode, after)])
    assert got(b"[" + body + b"]") == wanted(before) + wanted(after)


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
        try:
            for line in read(bytes(mutant), chance.choice(["", TAG])):
                assert line.text.encode() is not None
        except Undecodable:
            assert len(body) < 10_000
    assert time.process_time() - started < 400 * 0.05


@pytest.mark.parametrize("name", ["json_lines", "json_stream", "default", "msgpack"])
def test_one_changed_byte_costs_one_line_at_most(name: str) -> None:
    chance, body = random.Random(name), capture(name)
    whole = texts(body)
    for _ in range(200):
        mutant = bytearray(body)
        mutant[chance.randrange(1, len(body))] = chance.randrange(256)
        found = texts(bytes(mutant))
        assert len([text for text in whole if text not in found]) <= 1
