from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
import zlib
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.iostream import IOStream
from wsproto.frame_protocol import FrameProtocol

from handlers.pass_budget import PassBudget
from handlers.websocket import MAX_MESSAGE_BYTES, WebSocket, frame_budget
from tests.handlers.peers import BINARY, CLOSE, PING, PONG, TEXT, Peer, client_frame, let_timers_pass, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado.ioloop import IOLoop

CONTINUATION = 0x0


class Recorder:
    """Notes what a WebSocket tells."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.pongs = 0
        self.answers = 0
        self.has_gone = False

    def received(self, message: str | bytes | bytearray) -> None:
        assert not self.has_gone
        self.messages.append(bytes(message) if isinstance(message, bytearray) else message)

    def ponged(self) -> None:
        assert not self.has_gone
        self.pongs += 1

    def answered(self) -> None:
        self.answers += 1

    def gone(self) -> None:
        assert not self.has_gone
        self.has_gone = True


class Ends:
    """An open WebSocket, what it has told, and its client."""

    def __init__(
        self, *, inflates: bool = False, send_buffer: int | None = None, budget: PassBudget | None = None
    ) -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)  # noqa: FBT003 - the standard library's signature
        if send_buffer is not None:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.stream, self.client, self.told = IOStream(ours), Peer(theirs), Recorder()
        self.websocket = WebSocket(self.stream, self.told, budget or frame_budget(), inflates=inflates)
        self.websocket.begin()

    def close(self) -> None:
        self.stream.close()
        self.client.socket.close()


async def opened(*, inflates: bool = False) -> Ends:
    return Ends(inflates=inflates)


@pytest.fixture
def ends(io_loop: IOLoop) -> Iterator[Ends]:
    made: Ends = io_loop.run_sync(opened)
    yield made
    made.close()


@pytest.fixture
def deflating(io_loop: IOLoop) -> Iterator[Ends]:
    made: Ends = io_loop.run_sync(partial(opened, inflates=True))
    yield made
    made.close()


def deflated(text: str) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(text.encode()) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


async def test_a_message_is_told_whole_however_it_is_cut(ends: Ends) -> None:
    frames = [
        client_frame(TEXT, b"one"),
        client_frame(TEXT, b"t", fin=False) + client_frame(PONG) + client_frame(CONTINUATION, b"wo"),
        client_frame(BINARY, b"\xff", fin=False) + client_frame(CONTINUATION, b"\xfe"),
        client_frame(TEXT, "ä€😀".encode() * 1000),
    ]
    for size in (1, 3, 5000):
        sent = b"".join(frames)
        for start in range(0, len(sent), size):
            await ends.client.send(sent[start : start + size])
        await until(lambda: len(ends.told.messages) == 4)
        assert ends.told.messages == ["one", "two", b"\xff\xfe", "ä€😀" * 1000]
        ends.told.messages.clear()
    assert ends.told.pongs == 3


async def test_a_ping_is_answered_with_what_it_says(ends: Ends) -> None:
    await ends.client.send(client_frame(PING, b"hello") + client_frame(PING))
    assert [await ends.client.frame(), await ends.client.frame()] == [(PONG, b"hello"), (PONG, b"")]
    assert ends.told.answers == 2


async def test_of_pings_whose_answers_have_to_wait_only_the_last_is_answered() -> None:
    ends = Ends(send_buffer=4096)
    while not ends.stream.writing():
        ends.stream.write(bytes(4096))
    for number in range(5000):
        await ends.client.send(client_frame(PING, b"%d" % number))
    await ends.client.send(client_frame(TEXT, b"done"))
    await until(lambda: ends.told.messages)
    assert ends.told.answers == 1
    received = b""
    while client_frame(PONG, b"4999")[6:] not in received:
        received += await ends.client.take()
    assert received.strip(b"\0") == b"\x8a\x010\x8a\x044999"
    ends.close()


async def test_of_tiny_frames_only_a_few_are_taken_in_a_pass_of_the_event_loop(ends: Ends) -> None:
    await ends.client.send(client_frame(PONG) * 1000)
    before, most = 0, 0
    while ends.told.pongs < 1000:
        await asyncio.sleep(0)
        before, most = ends.told.pongs, max(most, ends.told.pongs - before)
    assert 0 < most < 50


async def test_what_many_clients_send_is_read_in_many_passes_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.pass_budget.PASS_SECONDS", 0)
    budget, handled, most = PassBudget(free=100, each=50), 0, 0
    crowd = [Ends(budget=budget) for _ in range(50)]
    for ends in crowd:
        await ends.client.send(client_frame(TEXT, b"x"))
    while handled < len(crowd):
        before, handled = handled, sum(len(ends.told.messages) for ends in crowd)
        most = max(most, handled - before)
        await asyncio.sleep(0)
    assert most <= 2
    for ends in crowd:
        ends.close()


async def test_a_ping_asks_for_a_sign_of_life(ends: Ends) -> None:
    ends.websocket.ping()
    assert await ends.client.frame() == (PING, b"")
    await ends.client.send(client_frame(PONG))
    await until(lambda: ends.told.pongs)


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe9bye", b"\x0f\xa1", b"\x13\x87" + b"x" * 123])
async def test_a_close_is_answered_with_its_code_and_ends_the_connection(ends: Ends, payload: bytes) -> None:
    await ends.client.send(client_frame(CLOSE, payload))
    answer = await ends.client.frame()
    assert (answer.opcode, answer.payload[:2]) == (CLOSE, payload[:2])
    assert await ends.client.rest() == b""
    assert (ends.told.has_gone, ends.stream.closed()) == (True, True)


@pytest.mark.parametrize(
    "sent",
    [
        *[client_frame(CLOSE, code.to_bytes(2)) for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000)],
        client_frame(CLOSE, b"\x03"),
        client_frame(CLOSE, b"\x03\xe8", fin=False),
        client_frame(PING, b"x" * 126),
        client_frame(PING, fin=False),
        client_frame(3),
        client_frame(0xB),
        client_frame(CONTINUATION, b"x"),
        client_frame(TEXT, b"x", fin=False) + client_frame(TEXT, b"y"),
        client_frame(TEXT, b"x", compressed=True),
        bytes([0x80 | 0x20 | TEXT]) + client_frame(TEXT, b"x")[1:],
        b"\x81\x01x",  # not masked
        b"\x81\xfe\x00\x01\0\0\0\0x",  # a longer length than it need be
        b"\x81\xff" + b"\xff" * 8 + bytes(4),
    ],
)
async def test_a_frame_that_the_protocol_forbids_is_answered_with_1002(ends: Ends, sent: bytes) -> None:
    await ends.client.send(sent)
    assert (await ends.client.frame()).close_code == 1002
    assert await ends.client.rest() == b""
    assert (ends.told.has_gone, ends.told.messages) == (True, [])


@pytest.mark.parametrize("sent", [client_frame(TEXT, b"\xff"), client_frame(CLOSE, b"\x03\xe8\xff")])
async def test_text_that_is_no_utf_8_is_answered_with_1007(ends: Ends, sent: bytes) -> None:
    await ends.client.send(sent)
    assert (await ends.client.frame()).close_code == 1007
    assert await ends.client.rest() == b""


@pytest.mark.parametrize("parts", [1, 5, 1000])
async def test_a_message_may_be_so_long_and_no_longer(ends: Ends, parts: int) -> None:
    size = MAX_MESSAGE_BYTES // parts
    first, rest = client_frame(TEXT, b"x" * size, fin=parts == 1), client_frame(CONTINUATION, b"x" * size, fin=False)
    last = client_frame(CONTINUATION, b"x" * (MAX_MESSAGE_BYTES - (parts - 1) * size))
    whole = first if parts == 1 else first + rest * (parts - 2) + last
    await ends.client.send(whole)
    await until(lambda: ends.told.messages)
    assert ends.told.messages == ["x" * MAX_MESSAGE_BYTES]
    await ends.client.send(client_frame(TEXT, "ä".encode(), fin=False) + first.replace(b"\x81", b"\x80", 1) + whole)
    assert (await ends.client.frame()).close_code in (1009, 1002)
    assert len(ends.told.messages) == 1


async def test_the_length_of_a_message_counts_in_bytes(ends: Ends) -> None:
    await ends.client.send(client_frame(TEXT, "ä".encode() * (MAX_MESSAGE_BYTES // 2 + 1)))
    assert (await ends.client.frame()).close_code == 1009


@pytest.mark.parametrize("between", [b"", client_frame(PONG), client_frame(PING, b"x")])
@pytest.mark.parametrize("parts", [1, 2, 7])
async def test_a_compressed_message_is_inflated_whatever_stands_between_its_frames(
    deflating: Ends, parts: int, between: bytes
) -> None:
    for text in ("some text " * 100, "", "more"):
        data = deflated(text)
        size = len(data) // parts
        for part in range(parts):
            piece = data[part * size :] if part == parts - 1 else data[part * size : (part + 1) * size]
            opcode, is_last = CONTINUATION if part else TEXT, part == parts - 1
            frame = client_frame(opcode, piece, fin=is_last, compressed=not part)
            await deflating.client.send(frame + between)
        await until(lambda: deflating.told.messages)
        assert deflating.told.messages.pop() == text


async def test_a_message_may_end_with_a_final_block(deflating: Ends) -> None:
    await deflating.client.send(client_frame(TEXT, bytes.fromhex("f348cdc9c9070000"), compressed=True))
    await until(lambda: deflating.told.messages)
    assert deflating.told.messages == ["Hello"]  # the example of RFC 7692, section 7.2.3.4


async def test_where_messages_may_be_compressed_others_come_as_they_are(deflating: Ends) -> None:
    await deflating.client.send(client_frame(TEXT, b"plain") + client_frame(TEXT, deflated("not"), compressed=True))
    await until(lambda: len(deflating.told.messages) == 2)
    assert deflating.told.messages == ["plain", "not"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (client_frame(TEXT, b"not deflate", compressed=True), 1007),
        (client_frame(PING, b"x", compressed=True), 1002),
        (client_frame(TEXT, deflated("x")[:1], fin=False, compressed=True)
         + client_frame(CONTINUATION, deflated("x")[1:], compressed=True), 1002),
        (client_frame(TEXT, deflated(" " * (10 << 20)), compressed=True), 1009),
        (client_frame(TEXT, deflated("x" * (MAX_MESSAGE_BYTES + 1)), compressed=True), 1009),
        (client_frame(TEXT, bytes.fromhex("f348cdc9c90700") + bytes(6), compressed=True), 1007),
    ],
)  # fmt: skip
async def test_what_cannot_be_inflated_ends_the_connection(deflating: Ends, sent: bytes, code: int) -> None:
    await deflating.client.send(sent)
    assert (await deflating.client.frame()).close_code == code
    assert deflating.told.has_gone
    assert deflating.told.messages == []


@pytest.mark.parametrize("sent", [client_frame(3), client_frame(TEXT, b"x" * 20_000, fin=False)])
async def test_nothing_more_is_read_of_a_client_that_has_broken_the_protocol(sent: bytes) -> None:
    ends = Ends(send_buffer=4096)
    while not ends.stream.writing():
        ends.stream.write(bytes(4096))
    await ends.client.send(sent)
    await until(lambda: ends.told.has_gone)
    assert not ends.stream.closed()
    sending = asyncio.create_task(ends.client.send(bytes(10 << 20)))
    await asyncio.wait([sending], timeout=0.05)
    assert not sending.done()
    sending.cancel()
    ends.close()


async def test_parts_of_nothing_take_no_memory(ends: Ends) -> None:
    await ends.client.send(client_frame(TEXT, fin=False))
    tracemalloc.start()
    for _ in range(50):
        await ends.client.send(client_frame(CONTINUATION, fin=False) * 200)
        await ends.client.send(client_frame(PING))
        assert await ends.client.frame() == (PONG, b"")
    assert tracemalloc.get_traced_memory()[0] < 50_000
    tracemalloc.stop()
    await ends.client.send(client_frame(CONTINUATION, b"at last"))
    await until(lambda: ends.told.messages)
    assert ends.told.messages == ["at last"]


async def test_a_close_of_ours_waits_for_the_client_and_takes_no_more_messages(ends: Ends) -> None:
    for _ in range(2):
        ends.websocket.close(4401, "the token has expired")
    ends.websocket.ping()
    assert await ends.client.frame() == (CLOSE, b"\x11\x31the token has expired")
    await ends.client.send(client_frame(TEXT, b"late") + client_frame(PING) + client_frame(CLOSE, b"\x11\x31"))
    assert await ends.client.rest() == b""
    assert (ends.told.messages, ends.told.has_gone, ends.stream.closed()) == ([], True, True)


async def test_a_client_that_answers_no_close_is_closed_after_a_while(ends: Ends) -> None:
    ends.websocket.close(1001, "")
    await ends.client.frame()
    let_timers_pass(6)
    assert await ends.client.rest() == b""
    await until(lambda: ends.told.has_gone)


async def test_a_client_that_reads_no_answer_to_its_close_is_closed_after_a_while() -> None:
    ends = Ends(send_buffer=4096)
    while not ends.stream.writing():
        ends.stream.write(bytes(4096))
    await ends.client.send(client_frame(CLOSE, b"\x03\xe8"))
    await until(lambda: ends.told.has_gone)
    assert not ends.stream.closed()
    let_timers_pass(6)
    await until(ends.stream.closed)
    ends.close()


@pytest.mark.parametrize("way", ["closes", "is half closed"])
async def test_a_client_that_goes_is_told_of_once(ends: Ends, way: str) -> None:
    if way == "closes":
        ends.client.socket.close()
    else:
        ends.client.socket.shutdown(socket.SHUT_WR)
    await until(lambda: ends.told.has_gone)
    assert ends.stream.closed()


async def test_a_stream_that_is_closed_already_is_told_of(ends: Ends) -> None:
    ends.stream.close()
    told = Recorder()
    websocket = WebSocket(ends.stream, told, frame_budget())
    websocket.begin()
    websocket.ping()
    websocket.close(1000, "")
    assert told.has_gone


async def test_without_an_owner_a_close_is_still_answered() -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)  # noqa: FBT003 - the standard library's signature
    client, websocket = Peer(theirs), WebSocket(IOStream(ours), None, frame_budget())
    websocket.close(4403, "no")
    websocket.begin()
    assert (await client.frame()).close_code == 4403
    await client.send(client_frame(PONG) + client_frame(TEXT, b"x") + client_frame(CLOSE, b"\x11\x33"))
    assert await client.rest() == b""
    theirs.close()


@pytest.mark.parametrize("end", ["close", "error", "leave"])
async def test_nothing_of_it_is_left_to_the_garbage_collector(end: str) -> None:
    gc.collect()
    gc.disable()
    try:
        ends = Ends(inflates=True)
        sent = client_frame(CLOSE) if end == "close" else client_frame(3)
        if end == "leave":
            ends.client.socket.close()
        else:
            await ends.client.send(sent)
            await ends.client.rest()
        told = ends.told
        await until(lambda: told.has_gone)
        ends.close()
        del ends
        kinds = WebSocket, IOStream, FrameProtocol
        await until(lambda: not any(isinstance(one, kinds) for one in gc.get_objects()))
    finally:
        gc.enable()


@given(sent=st.binary(min_size=1, max_size=300), inflates=st.booleans())
def test_whatever_a_client_sends_ends_in_a_close_or_is_waited_for(sent: bytes, inflates: bool) -> None:  # noqa: FBT001
    async def body() -> None:
        ends = Ends(inflates=inflates)
        await ends.client.send(sent)
        ends.client.socket.shutdown(socket.SHUT_WR)
        await until(lambda: ends.told.has_gone and ends.stream.closed())
        ends.close()

    asyncio.run(body())
