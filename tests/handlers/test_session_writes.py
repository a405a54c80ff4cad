"""What a session writes: every byte once, in order, and no more than the client can take."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from tornado.iostream import IOStream

from buffer.selector import Selector
from handlers.http_session import HttpSession
from handlers.session import Visit
from handlers.tokens import Grant
from handlers.transport import Transport
from protocol import STOPPING
from tests.handlers.peers import (
    CLOSE,
    LONG_LINES,
    PING,
    PONG,
    TEXT,
    TRANSPORTS,
    client_frame,
    join,
    nobody_is_left,
    stuff,
    until,
    with_send_buffer,
    with_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Frame, Peer

    Connect = Callable[..., Peer]

pytestmark = pytest.mark.usefixtures("way_in")

LOST = re.compile(r"\[logurt\] (\d+) lines? lost: this reader was too slow")
LINE = b"\x81\x04line"
SMALL_BUFFER = with_send_buffer(32 * 1024)


async def block(live: LiveServer, peer: Peer) -> Any:
    """Join, and ask for pongs until one of them has to wait for room in the socket; return the session."""
    session = await join(live, peer, query="&tail=0")
    await until(lambda: session.is_live)
    while not session.is_blocked:
        await peer.send(client_frame(PING, b"hello"))
        await live.fetch("/healthz")  # asked later, answered later
    return session


async def frames_up_to(peer: Peer, opcode: int) -> list[Frame]:
    frames = [await peer.frame()]
    while frames[-1].opcode != opcode:
        frames.append(await peer.frame())
    return frames


@SMALL_BUFFER
@with_settings(buffer_namespace_mib=1)
async def test_a_slow_reader_is_told_what_it_lost_and_costs_nobody_anything(live: LiveServer, connect: Connect) -> None:
    token, slow, fast, total = await live.sign(), connect(4096), connect(), 6000
    await slow.upgrade(token, "tail=0&include=.")
    (session,) = live.services.sessions
    await fast.upgrade(token, "tail=0")
    for start in range(0, total, 100):
        await live.write(*(f"{number} {'x' * 1000}" for number in range(start, start + 100)))
        numbers = [int((await fast.frame()).payload.split()[0]) for _ in range(100)]
        assert numbers == list(range(start, start + 100))
    assert live.services.hub.store.bytes <= 1 << 20
    assert 0 < session.waiting < 300_000
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


@SMALL_BUFFER
async def test_no_frame_ever_lands_inside_another(live: LiveServer, connect: Connect) -> None:
    peer = connect(4096)
    session = await stuff(live, peer)
    await peer.send(client_frame(PING, b"a" * 125) * 50)
    for _ in range(20):
        await live.write("é" * 70_000, "")
        session.heartbeat()
        await peer.send(client_frame(PING, b"b"))
        for _ in range(8):
            await peer.take(65536)
    session.end(STOPPING)
    frames = await frames_up_to(peer, CLOSE)
    assert frames[-1].close_code == 1001
    assert {frame.payload for frame in frames if frame.opcode == TEXT} == {
        LONG_LINES[0].encode(),
        "é".encode() * 70_000,
        b"",
    }
    assert [frame.payload for frame in frames if frame.opcode == PONG][-1] == b"b"


@with_send_buffer(4096)
async def test_no_line_overtakes_a_pong_that_waits(live: LiveServer, connect: Connect) -> None:
    peer = connect(4096)
    session = await block(live, peer)
    peer.take_now()  # there is room again, which Tornado has not heard of
    assert not session.write(LINE)
    frames = await frames_up_to(peer, TEXT)
    assert set(frames[:-1]) == {(PONG, b"hello")}
    assert frames[-1] == (TEXT, b"line")


async def test_what_is_written_to_a_client_that_has_gone_goes_nowhere(live: LiveServer, connect: Connect) -> None:
    session = await join(live, connect())
    session.abort()
    assert not session.write(LINE)
    assert (session.is_open, session.waiting) == (False, 0)


@TRANSPORTS
async def test_a_client_that_a_write_finds_gone_leaves_once_the_event_loop_tells_of_it(
    live: LiveServer, connect: Connect, headers: dict[str, str]
) -> None:
    peer = connect()
    session = await join(live, peer, headers)
    await until(lambda: session.is_live)
    peer.reset()
    assert not session.write(LINE)
    assert session.is_open  # to close it now would take as long as twenty writes
    await until(lambda: nobody_is_left(live))


async def test_a_session_may_begin_where_the_client_has_gone_already(live: LiveServer) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    stream = IOStream(ours)
    stream.close()
    gone = HttpSession(live.services, stream, Transport.HTTP, Visit(Grant(Selector("myapp"), 0)))
    assert not gone.write(b"line")


@with_send_buffer(4096)
async def test_a_socket_has_drained_when_it_has_taken_the_last_of_several_writes(
    live: LiveServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, drained = connect(4096), list[int]()
    session = await block(live, peer)
    monkeypatch.setattr(live.services.hub, "drained", lambda _: drained.append(session.waiting))
    for _ in range(2):
        assert not session.write(LINE)
    for _ in range(2):
        await frames_up_to(peer, TEXT)
    await until(lambda: drained)
    assert drained == [0]


async def test_a_flood_of_messages_delays_nobody_and_is_not_taken_in(live: LiveServer, connect: Connect) -> None:
    flood, other = connect(), connect()
    await join(live, flood)
    await join(live, other)
    flooding = asyncio.ensure_future(flood.send(client_frame(PING, b"x" * 125) * 200_000))
    for number in range(20):
        await live.write(str(number))
        assert await other.frame() == (TEXT, str(number).encode())
    assert not flooding.done(), "pongs that nobody takes are kept in memory"
    flooding.cancel()
    await asyncio.wait([flooding])
