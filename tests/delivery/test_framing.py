from __future__ import annotations

import io
import socket
from http.client import HTTPResponse
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from delivery.cursor import Cursor, cursor_after
from delivery.framing import (
    MAX_BATCH_BYTES,
    Chunked,
    Framing,
    PlainLines,
    ServerSentEvents,
    WebSocketBatches,
    WebSocketMessages,
    http_chunk,
    text_frame_header,
)
from tests.buffer.factories import EPOCH, chunk
from tests.delivery.doubles import events, frames, server_sent, view

FRAMINGS = [
    WebSocketMessages(),
    WebSocketBatches(),
    PlainLines(),
    ServerSentEvents(),
    Chunked(PlainLines()),
    Chunked(ServerSentEvents()),
]
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
    return framing.seal([piece_of(framing, payloads)])


def piece_of(framing: Framing, payloads: list[str], seq: int = 1) -> bytes:
    return framing.piece([payload.encode() for payload in payloads], chunk(seq, *payloads), None)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_peer_reads_frames_of_every_length(length: int) -> None:
    data = written(WebSocketMessages(), ["x" * length, "next"])
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


@given(st.lists(PAYLOADS, min_size=1, max_size=5))
def test_a_batch_holds_all_chunks_of_a_flush(chunks: list[list[str]]) -> None:
    framing = WebSocketBatches()
    data = framing.seal([piece_of(framing, payloads, seq) for seq, payloads in enumerate(chunks, 1)])
    assert peer_frames(data) == ["\n".join(line for payloads in chunks for line in payloads).encode()]


def test_a_batch_has_so_many_bytes_and_no_more() -> None:
    framing, half = WebSocketBatches(), "x" * (MAX_BATCH_BYTES // 2 - 1)
    pieces = [piece_of(framing, [half]) for _ in range(5)]
    two = f"{half}\n{half}".encode()
    assert peer_frames(framing.seal(pieces)) == [two, two, half.encode()]


def test_a_chunk_larger_than_a_batch_is_a_message_by_itself() -> None:
    framing, large = WebSocketBatches(), "x" * (MAX_BATCH_BYTES + 1)
    pieces = [piece_of(framing, [text]) for text in ("a", large, "b")]
    assert peer_frames(framing.seal(pieces)) == [b"a", large.encode(), b"b"]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_piece_of_an_empty_line_is_not_empty(framing: Framing) -> None:
    assert piece_of(framing, [""])


@pytest.mark.parametrize("framing", FRAMINGS)
@given(st.lists(PAYLOADS, min_size=1, max_size=5))
def test_pieces_sealed_together_have_the_lines_of_each_sealed_alone(framing: Framing, chunks: list[list[str]]) -> None:
    pieces = [piece_of(framing, payloads, seq) for seq, payloads in enumerate(chunks, 1)]
    seen = view(framing=framing)
    together, alone = framing.seal(pieces), b"".join(framing.seal([piece]) for piece in pieces)
    assert events(seen, together) == events(seen, alone)


@pytest.mark.parametrize("framing", [WebSocketMessages(), WebSocketBatches()])
def test_a_notice_is_a_message_of_its_own(framing: Framing) -> None:
    assert peer_frames(framing.gap(b"lost")) == [b"lost"]


def test_plain_lines_end_with_a_newline() -> None:
    assert written(PlainLines(), ["a", "", "b"]) == b"a\n\nb\n"
    assert PlainLines().gap(b"lost") == b"lost\n"


@given(PAYLOADS)
def test_an_event_carries_its_line_and_the_cursor_after_it(payloads: list[str]) -> None:
    found = server_sent(written(ServerSentEvents(), payloads).decode())
    made = chunk(1, *payloads)
    normal = [payload.replace("\r\n", "\n").replace("\r", "\n") for payload in payloads]
    assert [event.payload for event in found] == normal
    assert [event.cursor for event in found] == [cursor_after(made, i).decode() for i in range(made.count)]


def test_events_of_some_lines_have_the_cursors_of_these() -> None:
    data = ServerSentEvents().piece([b"b"], chunk(7, "a", "b", "c"), [1])
    assert data == b"id: e1-7-2\ndata: b\n\n"


def test_a_named_event_has_no_cursor() -> None:
    assert ServerSentEvents().gap(b"a\nb") == b"event: gap\ndata: a\ndata: b\n\n"


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


def test_all_pieces_travel_in_one_http_chunk() -> None:
    framing = Chunked(PlainLines())
    assert framing.seal([b"a\n", b"b\n"]) == b"4\r\na\nb\n\r\n"


@pytest.mark.parametrize(
    ("framing", "notice"),
    [
        (WebSocketMessages(), b"\x81\x04live"),
        (WebSocketBatches(), b"\x81\x04live"),
        (PlainLines(), b"live\n"),
        (ServerSentEvents(), b"event: live\nid: e1-7-0\ndata: live\n\n"),
        (Chunked(PlainLines()), b"5\r\nlive\n\r\n"),
    ],
)
def test_a_live_notice_is_framed_as_lines_are(framing: Framing, notice: bytes) -> None:
    assert framing.live(b"live", Cursor(EPOCH, 7, 0)) == notice


@pytest.mark.parametrize("framing", [WebSocketMessages(), WebSocketBatches(), PlainLines(), Chunked(PlainLines())])
def test_nothing_is_written_where_the_format_has_no_live_notice(framing: Framing) -> None:
    assert framing.live(None, Cursor(EPOCH, 7, 0)) == b""


def test_an_event_stream_has_a_live_notice_in_any_format() -> None:
    assert ServerSentEvents().live(None, Cursor(EPOCH, 7, 0)) == b"event: live\nid: e1-7-0\ndata: \n\n"


@pytest.mark.parametrize(
    "one",
    [WebSocketMessages, WebSocketBatches, PlainLines, ServerSentEvents, lambda: Chunked(PlainLines())],
)
def test_framings_are_values(one: type) -> None:
    assert one() == one()
    assert hash(one()) == hash(one())


def test_a_message_is_not_a_batch() -> None:
    assert WebSocketMessages() != WebSocketBatches()
