from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.testing import bind_unused_port

from handlers.raw_stream import RawStream, UnreadStream
from tests.handlers.peers import let_timers_pass, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A socket for a stream, and its peer's, which does not block either."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)  # noqa: FBT003 - the standard library's signature
        theirs.setblocking(False)  # noqa: FBT003
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


async def settle() -> None:
    """Let the event loop turn a few times."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_arrives_is_returned_piece_by_piece_and_nothing_at_the_end(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    for sent in (b"one", b"two"):
        theirs.send(sent)
        assert await stream.receive() == sent
    theirs.close()
    assert await stream.receive() == b""
    stream.release()


async def test_what_arrives_later_is_waited_for(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    waiting = asyncio.ensure_future(stream.receive())
    await settle()
    assert not waiting.done()
    theirs.send(b"late")
    assert await waiting == b"late"
    stream.release()


async def test_a_buffer_is_filled_from_all_that_comes_and_not_beyond(pair: Pair) -> None:
    ours, theirs = pair
    stream, buffer, filled = RawStream(ours), bytearray(6), list[int]()
    filling = asyncio.create_task(stream.fill(memoryview(buffer), filled.append))
    for sent in (b"abc", b"def, and more"):
        theirs.send(sent)
        await settle()
    assert (await filling, bytes(buffer), await stream.receive()) == (6, b"abcdef", b", and more")
    assert filled == [3, 3]
    stream.release()


async def test_a_peer_that_leaves_amid_a_buffer_is_an_error(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    theirs.send(b"abc")
    theirs.close()
    with pytest.raises(ConnectionAbortedError):
        await stream.fill(memoryview(bytearray(6)), list[int]().append)
    stream.release()


async def test_a_connection_that_is_reset_is_an_error_that_nothing_refers_to(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    ours.send(b"never read")
    theirs.close()
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(ConnectionResetError):
            await stream.receive()
        stream.release()
        gone = weakref.ref(stream)
        del stream
        assert gone() is None
    finally:
        gc.enable()


async def test_what_nobody_waits_for_does_not_wake_the_event_loop_again_and_is_kept(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    theirs.send(b"one")
    assert await stream.receive() == b"one"
    theirs.send(b"two")
    await settle()
    assert not asyncio.get_running_loop().remove_reader(ours)
    assert await stream.receive() == b"two"
    stream.release()


async def test_a_buffer_that_has_been_filled_is_let_go(pair: Pair) -> None:
    ours, theirs = pair
    stream, buffer = RawStream(ours), bytearray(3)
    theirs.send(b"abc")
    await stream.fill(memoryview(buffer), list[int]().append)
    buffer.clear()  # fails while there is a view of it
    stream.release()


@pytest.mark.parametrize("end", ["comes", "closes", "is reset", "is late"])
async def test_where_nobody_waits_the_next_is_given_to_a_callback_once(pair: Pair, end: str) -> None:
    ours, theirs = pair
    stream, given = RawStream(ours), list[bytes]()
    stream.expect_within(10)
    stream.call_with_next(given.append)
    if end == "comes":
        theirs.send(b"one")
    elif end == "is late":
        let_timers_pass(11)
    else:
        if end == "is reset":
            ours.send(b"never read")
        theirs.close()
    await until(lambda: given)
    if end == "comes":
        theirs.send(b"two")
    await settle()
    assert given == [b"one" if end == "comes" else b""]
    if end == "comes":
        assert await stream.receive() == b"two"
    stream.release()


async def test_a_stream_that_is_released_gives_nothing(pair: Pair) -> None:
    ours, theirs = pair
    stream, given = RawStream(ours), list[bytes]()
    stream.call_with_next(given.append)
    stream.release()
    theirs.send(b"x")
    await settle()
    assert given == []


async def test_what_the_kernel_does_not_take_at_once_is_sent_when_it_does(pair: Pair) -> None:
    ours, theirs = pair
    stream, data, received = RawStream(ours), bytes(range(256)) * 8192, b""
    sending = asyncio.create_task(stream.send(data, 10))
    while len(received) < len(data):
        received += await asyncio.get_running_loop().sock_recv(theirs, 1 << 20)
    await sending
    assert received == data
    stream.release()


async def test_what_a_peer_does_not_take_in_time_is_an_error(pair: Pair) -> None:
    ours, _ = pair
    stream = RawStream(ours)
    sending = asyncio.create_task(stream.send(bytes(1 << 24), 10))
    await settle()
    let_timers_pass(9)
    await settle()
    assert not sending.done()
    let_timers_pass(2)
    with pytest.raises(TimeoutError):
        await sending
    assert not asyncio.get_running_loop().remove_writer(ours)
    stream.release()


@pytest.mark.parametrize("expected", [[10], [3, 10], [30, 10], [30, 3, 10], [3, 30, 10]])
async def test_the_last_deadline_counts(pair: Pair, expected: list[float]) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    for seconds in expected:
        stream.expect_within(seconds)
        waiting = asyncio.ensure_future(stream.receive())
        await settle()
        if seconds is not expected[-1]:
            theirs.send(b"in time")
            await waiting
    let_timers_pass(9)
    await settle()
    assert not waiting.done()
    let_timers_pass(2)
    with pytest.raises(TimeoutError):
        await waiting
    stream.release()


async def test_a_deadline_that_passes_while_nobody_waits_is_noticed_by_whoever_waits_next(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    stream.expect_within(10)
    theirs.send(b"one")
    await stream.receive()
    let_timers_pass(11)
    await settle()
    with pytest.raises(TimeoutError):
        await stream.receive()
    stream.release()


async def test_a_stream_that_is_released_has_no_timer_and_leaves_its_socket_open(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    stream.expect_within(10)
    waiting = stream.receive()
    for _ in range(2):
        stream.release()
    assert not asyncio.get_running_loop().remove_reader(ours)
    theirs.send(b"for somebody else")
    await settle()
    assert (waiting.done(), ours.recv(100)) == (False, b"for somebody else")
    gone = weakref.ref(stream)
    del stream
    assert gone() is None


@given(before=st.binary(max_size=300), after=st.binary(max_size=300), sizes=st.lists(st.integers(1, 400), min_size=1))
def test_a_stream_reads_what_was_received_before_first(before: bytes, after: bytes, sizes: list[int]) -> None:
    async def body() -> None:
        ours, theirs = socket.socketpair()
        stream = UnreadStream(ours, before)
        theirs.sendall(after)
        theirs.close()
        read, turn = b"", 0
        while len(read) < len(before) + len(after):
            read += await stream.read_bytes(sizes[turn % len(sizes)], partial=True)
            turn += 1
        stream.close()
        assert read == before + after

    asyncio.run(body())


async def test_a_stream_reads_up_to_a_pattern_across_what_was_received_before() -> None:
    listening, port = bind_unused_port(address="127.0.0.1")
    with listening, socket.create_connection(("127.0.0.1", port)) as theirs:
        ours, _ = listening.accept()
        stream = UnreadStream(ours, b"GET / HTTP/1.1\r\nHo")
        theirs.sendall(b"st: x\r\n\r\nrest")
        assert await stream.read_until(b"\r\n\r\n") == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        assert await stream.read_bytes(4) == b"rest"
        stream.close()


async def test_what_was_received_before_is_let_go_once_it_has_been_read(pair: Pair) -> None:
    before = bytearray(b"GET / HTTP/1.1\r\n\r\n")
    stream = UnreadStream(pair[0], memoryview(before))
    await stream.read_until(b"\r\n\r\n")
    before.clear()  # fails while there is a view of it
    stream.close()
