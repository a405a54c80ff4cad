from __future__ import annotations

import datetime as dt
import io
import json
import socket
from http.client import HTTPResponse
from unittest.mock import Mock

import pytest
from delivery.encoding import (
    Chunked,
    Framing,
    Json,
    PlainLines,
    ServerSentEvents,
    Text,
    WebSocketBatches,
    WebSocketMessages,
    http_chunk,
    text_frame_header,
)
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from delivery.cursor import cursor_after
from delivery.gap import Gap
from tests.delivery.doubles import EPOCH, chunk, frames, server_sent, source

TIME = "2025-11-22T08:15:01.123456790+01:00"
LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 70_000]
PAYLOADS = st.lists(st.text(st.sampled_from("ab \n\r:é\x00"), max_size=6), min_size=1, max_size=5)


def peer_frames(data: bytes) -> list[bytes]:
    """What a client of the websockets library makes of these bytes."""
    reader, payloads = StreamReader(), []
    reader.feed_data(data)
    reader.feed_eof()
    while not _at_eof(reader):
        parsing = Frame.parse(reader.read_exact, mask=False)
        with pytest.raises(StopIteration) as done:
            next(parsing)
        frame = done.value.value
        assert (frame.opcode, frame.fin, frame.rsv1) == (Opcode.TEXT, True, False)
        payloads.append(bytes(frame.data))
    return payloads


def _at_eof(reader: StreamReader) -> bool:
    with pytest.raises(StopIteration) as done:
        next(reader.at_eof())
    at_end: bool = done.value.value
    return at_end


def written(framing: Framing, payloads: list[str]) -> bytes:
    return framing.lines([payload.encode() for payload in payloads], chunk(1, *payloads), None)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_peer_reads_frames_of_every_length(length: int) -> None:
    data = WebSocketMessages().lines([b"x" * length, b"next"], chunk(1, "", ""), None)
    assert peer_frames(data) == frames(data) == [b"x" * length, b"next"]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_frame_header_is_the_one_that_a_peer_writes(length: int) -> None:
    assert text_frame_header(length) == Frame(Opcode.TEXT, b"x" * length).serialize(mask=False)[: -length or None]


@given(PAYLOADS)
def test_each_line_is_a_message(payloads: list[str]) -> None:
    assert [payload.decode() for payload in peer_frames(written(WebSocketMessages(), payloads))] == payloads


@given(PAYLOADS)
def test_a_batch_is_one_message(payloads: list[str]) -> None:
    assert [payload.decode() for payload in peer_frames(written(WebSocketBatches(), payloads))] == ["\n".join(payloads)]


@pytest.mark.parametrize("framing", [WebSocketMessages(), WebSocketBatches()])
def test_a_notice_is_a_message_of_its_own(framing: Framing) -> None:
    assert peer_frames(framing.gap(b"lost")) == [b"lost"]


def test_plain_lines_end_with_a_newline() -> None:
    assert written(PlainLines(), ["a", "", "b"]) == b"a\n\nb\n"
    assert PlainLines().gap(b"lost") == b"lost\n"


@given(PAYLOADS)
def test_an_event_carries_its_line_and_the_cursor_after_it(payloads: list[str]) -> None:
    found = server_sent(written(ServerSentEvents(EPOCH), payloads).decode())
    made = chunk(1, *payloads)
    normal = [payload.replace("\r\n", "\n").replace("\r", "\n") for payload in payloads]
    assert [event.payload for event in found] == normal
    assert [event.cursor for event in found] == [cursor_after(EPOCH, made, i).decode() for i in range(made.count)]


def test_events_of_some_lines_have_the_cursors_of_these() -> None:
    data = ServerSentEvents(EPOCH).lines([b"b"], chunk(7, "a", "b", "c"), [1])
    assert data == b"id: e1-7-2\ndata: b\n\n"


def test_a_named_event_has_no_cursor() -> None:
    assert ServerSentEvents(EPOCH).gap(b"a\nb") == b"event: gap\ndata: a\ndata: b\n\n"


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5))
def test_a_peer_reads_http_chunks(parts: list[bytes]) -> None:
    body = b"".join(http_chunk(part) for part in [*parts, b""])
    connection = Mock(spec=socket.socket)
    connection.makefile.return_value = io.BytesIO(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    response = HTTPResponse(connection)
    response.begin()
    assert response.read() == b"".join(parts)


def test_another_framing_travels_in_http_chunks() -> None:
    framing = Chunked(PlainLines())
    assert written(framing, ["a", "b"]) == b"4\r\na\nb\n\r\n"
    assert framing.gap(b"x" * 15) == b"10\r\n" + b"x" * 15 + b"\n\r\n"


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
    read = [json.loads(payload) for payload in Json(EPOCH).payloads(made, None)]
    assert [line["log"] for line in read] == texts
    assert {(line["type"], line["pod"], line["container"], line["stream"]) for line in read} == {
        ("line", pod, container, "stderr")
    }
    assert [line["cursor"].encode() for line in read] == [cursor_after(EPOCH, made, i) for i in range(made.count)]
    assert all(dt.datetime.fromisoformat(line["timestamp"]) for line in read)


def test_json_of_some_lines_is_that_of_all() -> None:
    made = chunk(3, "a", "b", "c", streams=["stdout", None, "stderr"], times=["", TIME, ""])
    everything = Json(EPOCH).payloads(made, None)
    assert Json(EPOCH).payloads(made, [1, 2]) == everything[1:]
    assert everything[1] == (
        b'{"type":"line","cursor":"e1-3-2","timestamp":"%s","pod":"web-0","container":"app","stream":null,"log":"b"}'
        % TIME.encode()
    )


def test_a_time_that_is_no_time_cannot_break_out_of_its_place() -> None:
    made = chunk(1, "a", times=['","log":"forged'])
    assert json.loads(Json(EPOCH).payloads(made, None)[0])["log"] == "a"


def test_json_notices_are_objects() -> None:
    assert json.loads(Json(EPOCH).gap(Gap(None, "evicted"))) == {"type": "gap", "lost": None, "reason": "evicted"}
    assert Json(EPOCH).live() == b'{"type":"live"}'


def test_text_notices_are_sentences() -> None:
    assert Text().gap(Gap(2, "slow")) == b"[logurt] 2 lines lost: this reader was too slow"
    assert Text().live() is None


@pytest.mark.parametrize(
    "one",
    [Text, WebSocketMessages, WebSocketBatches, PlainLines, lambda: Json("e"), lambda: Chunked(ServerSentEvents("e"))],
)
def test_encodings_are_values(one: type) -> None:
    assert one() == one()
    assert hash(one()) == hash(one())


def test_a_message_is_not_a_batch() -> None:
    assert WebSocketMessages() != WebSocketBatches()
