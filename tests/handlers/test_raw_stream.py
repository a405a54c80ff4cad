from __future__ import annotations

import asyncio
import gc
import socket
import struct
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.iostream import StreamClosedError
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


async def received(stream: RawStream, **bounds: int) -> bytes:
    """Return what a stream gives next."""
    given = asyncio.get_running_loop().create_future()
    stream.receive(given.set_result, **bounds)
    return cast("bytes", await given)


async def test_what_arrives_is_given_piece_by_piece_and_nothing_at_the_end(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    for sent in (b"one", b"two"):
        theirs.send(sent)
        assert await received(stream) == sent
    theirs.close()
    assert await received(stream) == b""
    stream.release()


async def test_what_arrives_later_is_waited_for(pair: Pair) -> None:
    ours, theirs = pair
    stream, given = RawStream(ours), list[bytes]()
    stream.receive(given.append)
    await settle()
    assert given == []
    theirs.send(b"late")
    await until(lambda: given)
    assert given == [b"late"]
    stream.release()


async def test_no_more_is_given_than_was_asked_for(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    theirs.send(b"body, and more")
    assert await received(stream, most=4, least=4) == b"body"
    assert await received(stream) == b", and more"
    stream.release()


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection."""
    listening, port = bind_unused_port(address="127.0.0.1")
    with listening, socket.create_connection(("127.0.0.1", port)) as theirs:
        theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.setblocking(True)  # noqa: FBT003
        ours, _ = listening.accept()
        with ours:
            ours.setblocking(False)  # noqa: FBT003
            yield ours, theirs


async def test_as_much_as_was_asked_for_is_given_at_once(connection: Pair) -> None:
    ours, theirs = connection
    stream, given = RawStream(ours), list[bytes]()
    stream.receive(given.append, most=300_000, least=300_000)
    for _ in range(3):
        await asyncio.get_running_loop().run_in_executor(None, theirs.sendall, bytes(100_000))
        await settle()
    await until(lambda: given)
    assert [*map(len, given)] == [300_000]
    stream.release()


async def test_what_a_peer_sends_before_it_leaves_is_given_although_it_is_less_than_asked_for(connection: Pair) -> None:
    ours, theirs = connection
    stream = RawStream(ours)
    theirs.send(b"part")
    theirs.close()
    assert await received(stream, most=100, least=100) == b"part"
    assert await received(stream, most=96, least=96) == b""
    stream.release()


async def test_what_does_not_fit_into_the_kernel_is_given_in_parts(connection: Pair) -> None:
    ours, theirs = connection
    stream, size, got = RawStream(ours), 64 << 20, 0
    sending = asyncio.get_running_loop().run_in_executor(None, theirs.sendall, bytes(size))
    while got < size:
        got += len(await received(stream, most=size - got, least=size - got))
    await sending
    assert got == size
    stream.release()


async def test_whoever_gets_the_socket_next_is_told_of_every_byte(connection: Pair) -> None:
    ours, theirs = connection
    stream = RawStream(ours)
    stream.receive(list[bytes]().append, most=100, least=100)
    stream.release()
    theirs.send(b"x")
    assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ours, 10), 5) == b"x"


async def test_a_connection_that_is_reset_gives_nothing_and_nothing_refers_to_it(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    ours.send(b"never read")
    theirs.close()
    gc.collect()
    gc.disable()
    try:
        assert await received(stream) == b""
        stream.release()
        gone = weakref.ref(stream)
        del stream
        assert gone() is None
    finally:
        gc.enable()


async def test_what_nobody_asks_for_does_not_wake_the_event_loop_again_and_is_kept(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    theirs.send(b"one")
    assert await received(stream) == b"one"
    theirs.send(b"two")
    await settle()
    assert not asyncio.get_running_loop().remove_reader(ours)
    assert await received(stream) == b"two"
    stream.release()


@pytest.mark.parametrize("end", ["comes", "closes", "is reset", "is late"])
async def test_what_is_asked_for_is_given_once(pair: Pair, end: str) -> None:
    ours, theirs = pair
    stream, given = RawStream(ours), list[bytes]()
    stream.expect_within(10)
    stream.receive(given.append)
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
        assert await received(stream) == b"two"
    stream.release()


async def test_a_stream_that_is_released_gives_nothing(pair: Pair) -> None:
    ours, theirs = pair
    stream, given = RawStream(ours), list[bytes]()
    stream.receive(given.append)
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
    stream, given = RawStream(ours), list[bytes]()
    for number, seconds in enumerate(expected, start=1):
        stream.expect_within(seconds)
        stream.receive(given.append)
        await settle()
        if seconds is not expected[-1]:
            theirs.send(b"in time")
            await until(lambda: len(given) == number)  # noqa: B023 - at once
    let_timers_pass(9)
    await settle()
    assert b"" not in given
    let_timers_pass(2)
    await until(lambda: given[-1:] == [b""])
    stream.release()


async def test_a_deadline_that_passes_while_nothing_is_asked_for_is_noticed_by_whoever_asks_next(pair: Pair) -> None:
    ours, theirs = pair
    stream = RawStream(ours)
    stream.expect_within(10)
    theirs.send(b"one")
    await received(stream)
    let_timers_pass(11)
    await settle()
    assert await received(stream) == b""
    stream.release()


async def test_a_peer_that_is_late_is_not_reset(connection: Pair) -> None:
    ours, theirs = connection
    stream = RawStream(ours)
    stream.expect_within(10)
    theirs.send(b"part")
    waiting = asyncio.create_task(received(stream, most=100, least=100))
    await settle()
    let_timers_pass(11)
    assert await waiting == b""
    stream.release()
    ours.close()
    assert theirs.recv(10) == b""  # and raises nothing


async def test_a_stream_that_is_released_has_no_timer_and_leaves_its_socket_open(pair: Pair) -> None:
    ours, theirs = pair
    stream, given = RawStream(ours), list[bytes]()
    stream.expect_within(10)
    stream.receive(given.append)
    for _ in range(2):
        stream.release()
    assert not asyncio.get_running_loop().remove_reader(ours)
    theirs.send(b"for somebody else")
    await settle()
    assert (given, ours.recv(100)) == ([], b"for somebody else")
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


@pytest.mark.parametrize("way", ["read", "write"])
async def test_a_stream_that_has_failed_is_gone_without_the_garbage_collector(way: str) -> None:
    async def fail() -> weakref.ref[UnreadStream]:
        with socket.create_connection(("127.0.0.1", port)) as theirs:
            ours, _ = listening.accept()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream = UnreadStream(ours, b"")
        try:
            raise KeyError(stream)  # noqa: TRY301 - what is handled meanwhile is known to the error
        except KeyError:
            with suppress(StreamClosedError):
                await (stream.write(b"x") if way == "write" else stream.read_bytes(1))
        assert isinstance(stream.error, OSError)
        return weakref.ref(stream)

    listening, port = bind_unused_port(address="127.0.0.1")
    gc.collect()
    gc.disable()
    try:
        with listening:
            failed = await fail()
            await settle()
        assert failed() is None
    finally:
        gc.enable()
