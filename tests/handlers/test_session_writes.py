"""What a session writes: every byte once, in order, and no more than the client can take."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from handlers.session import HttpSession
from handlers.sessions import STOPPING
from handlers.transport import Transport
from tests.handlers.peers import (
    CLOSE,
    LONG_LINES,
    PING,
    PONG,
    TEXT,
    client_frame,
    join,
    stuff,
    until,
    with_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

    Connect = Callable[..., Peer]

LOST = re.compile(r"\[logurt\] (\d+) lines? lost: this reader was too slow")
PINGS = b"\x89\x00" * 10_000


async def block(live: LiveServer, peer: Peer) -> tuple[Any, int]:
    """Join, and have Tornado write pings until some of them wait; return the session and how many there are."""
    session, count = await join(live, peer), 0
    session._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
    while not session._stream.writing():
        session._stream.write(PINGS)
        session.note_frame()
        count += 10_000
    return session, count


@with_settings(buffer_namespace_mib=1)
async def test_a_slow_reader_is_told_what_it_lost_and_costs_nobody_anything(live: LiveServer, connect: Connect) -> None:
    token, slow, fast, total = await live.sign(), connect(4096), connect(), 6000
    await slow.upgrade(token, "tail=0&include=.")
    (session,) = live.services.sessions._sessions
    session._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)  # type: ignore[attr-defined]
    await fast.upgrade(token, "tail=0")
    for start in range(0, total, 100):
        await live.write(*(f"{number} {'x' * 1000}" for number in range(start, start + 100)))
        numbers = [int((await fast.frame()).payload.split()[0]) for _ in range(100)]
        assert numbers == list(range(start, start + 100))
    assert live.services.hub.bytes <= 1 << 20
    assert len(session._stream._write_buffer) < 300_000  # type: ignore[attr-defined]
    expected, lost = 0, 0
    while expected < total:
        text = (await slow.frame()).payload.decode()
        if match := LOST.fullmatch(text):
            lost += int(match[1])
            expected += int(match[1])
        else:
            assert int(text.split()[0]) == expected
            expected += 1
    assert (expected, lost > total / 2) == (total, True)


async def test_no_frame_ever_lands_inside_another(live: LiveServer, connect: Connect) -> None:
    peer = connect(4096)
    session = await stuff(live, peer)
    await peer.send(client_frame(PING, b"a" * 125) * 50)
    for _ in range(20):
        await live.write("é" * 70_000, "")
        session.heartbeat()
        await peer.send(client_frame(PING, b"b"))
        await peer.take(8192)
    session.end(STOPPING)
    frames = []
    while (frame := await peer.frame()).opcode != CLOSE:
        frames.append(frame)
    assert frame.close_code == 1001
    assert {frame.payload for frame in frames if frame.opcode == TEXT} == {
        LONG_LINES[0].encode(),
        "é".encode() * 70_000,
        b"",
    }
    assert [frame.payload for frame in frames if frame.opcode == PONG][-1] == b"b"


async def test_no_line_overtakes_what_tornado_has_yet_to_write(live: LiveServer, connect: Connect) -> None:
    peer = connect(4096)
    session, count = await block(live, peer)
    peer._received += peer.socket.recv(65536)  # there is room again, which Tornado has not heard of
    assert not session._write(b"\x81\x04line")
    assert {(await peer.frame()).opcode for _ in range(count)} == {PING}
    assert await peer.frame() == (TEXT, b"line")


async def test_no_line_overtakes_a_pong_that_waits(live: LiveServer, connect: Connect) -> None:
    peer, sent = connect(4096), 0
    session = await join(live, peer)
    connection = session._stream.socket
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
    while not session._stream.writing():
        with suppress(BlockingIOError):
            while True:
                sent += connection.send(PINGS[sent % 2 :])
        await peer.send(client_frame(PING, b"hello"))
        await live.fetch("/healthz")
    room = 0
    while not room:  # until there is room again, which Tornado has not heard of
        with suppress(BlockingIOError):
            peer._received += peer.socket.recv(65536)
        with suppress(BlockingIOError):
            room = connection.send(PINGS[:2][sent % 2 :])
    assert not session._write(b"\x81\x04line")
    frames = [await peer.frame()]
    while frames[-1].opcode != TEXT:
        frames.append(await peer.frame())
    assert frames[-2:] == [(PONG, b"hello"), (TEXT, b"line")]


async def test_what_is_written_to_a_client_that_has_gone_goes_nowhere(live: LiveServer, connect: Connect) -> None:
    session = await join(live, connect())
    session._stream.close()
    assert not session._write(b"\x81\x04line")
    gone = HttpSession(live.services, session._stream, Transport.HTTP, 0.0)
    assert not gone._write(b"line")


async def test_a_socket_has_drained_when_it_has_taken_the_last_of_several_writes(
    live: LiveServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, drained = connect(4096), list[int]()
    session, count = await block(live, peer)
    monkeypatch.setattr(live.services.hub, "drained", lambda _: drained.append(session._pending))
    for _ in range(2):
        session._write(PINGS)
    for _ in range(count + 20_000):
        await peer.frame()
    await until(lambda: drained)
    assert drained == [0]


async def test_a_flood_of_messages_delays_nobody_and_fills_no_memory(live: LiveServer, connect: Connect) -> None:
    flood, other = connect(), connect()
    session = await join(live, flood)
    await join(live, other)
    flooding = asyncio.ensure_future(flood.send(client_frame(PING, b"x" * 125) * 100_000))
    for number in range(20):
        await live.write(str(number))
        assert await other.frame() == (TEXT, str(number).encode())
        assert len(session._stream._write_buffer) < 10_000
    flooding.cancel()
    await asyncio.wait([flooding])
