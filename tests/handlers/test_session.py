from __future__ import annotations

import gc
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest

from delivery.reader import Reader
from handlers.logs import LogsHandler
from handlers.request import Upgrade
from handlers.session import Session
from handlers.visitor import Visitor
from handlers.websocket import WebSocket
from protocol import STOPPING
from tests.handlers.peers import (
    BINARY,
    CLOSE,
    LONG_LINES,
    PING,
    PONG,
    TEXT,
    TRANSPORTS,
    UPGRADE,
    client_frame,
    in_flight,
    join,
    let_pass,
    nobody_is_left,
    quicken,
    request,
    stuff,
    until,
    with_send_buffer,
    with_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

    Connect = Callable[..., Peer]


pytestmark = pytest.mark.usefixtures("way_in")

SMALL_BUFFER = with_send_buffer(32 * 1024)


async def last_frame(peer: Peer) -> Any:
    while (frame := await peer.frame()).opcode == TEXT:
        pass
    return frame


@TRANSPORTS
@SMALL_BUFFER
@with_settings(stall_timeout_seconds=60)
async def test_a_reader_that_takes_nothing_is_ended_once_the_time_is_up_and_no_sooner(
    live: LiveServer, connect: Connect, headers: dict[str, str]
) -> None:
    peer = connect(4096)
    await stuff(live, peer, headers)
    live.services.sessions.sweep()
    let_pass(live, 59)
    assert len(live.services.sessions) == 1
    let_pass(live, 2)
    assert len(live.services.sessions) == 0
    if headers == UPGRADE:
        assert (await last_frame(peer)).close_code == 4408


@SMALL_BUFFER
async def test_a_reader_that_takes_little_but_steadily_is_let_be(live: LiveServer, connect: Connect) -> None:
    peer = connect(4096)
    session = await stuff(live, peer)
    for _ in range(20):
        await peer.take(4096)
        await live.write(*LONG_LINES)
        let_pass(live, 59)
        session.expires_at += 59
    assert (len(live.services.sessions), session.is_blocked) == (1, True)


async def test_a_reader_is_pinged_and_one_that_does_not_answer_is_cut(live: LiveServer, connect: Connect) -> None:
    peer = connect()
    await join(live, peer)
    for _ in range(2):
        await until(lambda: not in_flight(peer))
        quicken(live)
        assert await peer.frame() == (PING, b"")
        await peer.send(client_frame(PONG) + client_frame(PING, b"done"))
        assert await peer.frame() == (PONG, b"done")
    for _ in range(2):
        await until(lambda: not in_flight(peer))
        quicken(live)
    assert await peer.frame() == (PING, b"")
    assert await peer.rest() == b""
    assert nobody_is_left(live)


@with_send_buffer(1 << 20)
async def test_a_reader_that_is_slow_to_come_to_its_ping_is_not_taken_for_dead(
    live: LiveServer, connect: Connect
) -> None:
    peer = connect(4096)
    session = await join(live, peer, query="&tail=0")
    for _ in range(2):
        await live.write(*LONG_LINES)
    await until(lambda: session.is_live)
    assert not session.is_blocked, "the kernel has not taken it all"
    for _ in range(4):
        for _ in range(10):
            await peer.take(4096)
        quicken(live)
    assert len(live.services.sessions) == 1


@pytest.mark.parametrize(
    ("query", "beats"),
    [("&heartbeat=true&format=json", True), ("&heartbeat=true", False), ("&format=json", False)],
)
async def test_a_page_that_asks_for_it_gets_a_message_with_each_ping(
    live: LiveServer, connect: Connect, query: str, *, beats: bool
) -> None:
    peer = connect()
    await join(live, peer, query=f"{query}&tail=0")
    quicken(live)
    await live.write("a line")
    assert (await last_frame(peer)).opcode == PING
    assert ((await peer.frame()).payload == b'{"type":"heartbeat"}') is beats


async def test_a_sweep_right_after_a_connection_broke_does_no_harm(live: LiveServer, connect: Connect) -> None:
    peer = connect()
    await join(live, peer)
    peer.reset()
    quicken(live)
    await until(lambda: nobody_is_left(live))


@TRANSPORTS
@SMALL_BUFFER
@pytest.mark.parametrize("is_stuffed", [True, False])
async def test_a_token_is_honoured_to_its_last_second_and_no_longer(
    live: LiveServer, connect: Connect, headers: dict[str, str], *, is_stuffed: bool
) -> None:
    peer = connect(4096)
    await (stuff if is_stuffed else join)(live, peer, headers)
    let_pass(live, 58)
    let_pass(live, 40)
    assert len(live.services.sessions) == 1
    let_pass(live, 2)
    assert len(live.services.sessions) == 0
    await live.write("too late")
    if headers == UPGRADE:
        assert (await last_frame(peer)).close_code == 4401
    else:
        assert b"too late" not in await peer.rest()


async def test_a_renewed_token_of_the_same_scope_extends_the_stream(live: LiveServer, connect: Connect) -> None:
    peer = connect()
    await join(live, peer)
    renewal = json.dumps({"token": await live.sign(expires_in=200)}).encode()
    await peer.send(client_frame(TEXT, renewal) + client_frame(PING))
    assert await peer.frame() == (PONG, b"")
    let_pass(live, 150)
    await live.write("still there")
    assert await peer.frame() == (TEXT, b"still there")
    let_pass(live, 50)
    assert (await peer.frame()).close_code == 4401


@pytest.mark.parametrize(
    ("opcode", "message", "code"),
    [
        (TEXT, b'{"token": "TOKEN"}', 1008),
        (BINARY, b"\xff\xfe", 1008),
        (TEXT, b"", 1008),
        (TEXT, b"null", 1008),
        (TEXT, b"[" * 10_000, 1008),
        (TEXT, b'{"token": 1}', 1008),
        (TEXT, b'{"token": "nonsense"}', 1008),
        (TEXT, b'{"token": "\\ud800"}', 1008),
        (TEXT, b'{"token": "x", "more": 1}', 1008),
        (BINARY, b"x" * 20_000, 1009),
    ],
)
async def test_a_message_that_makes_no_sense_ends_the_stream(
    live: LiveServer, connect: Connect, opcode: int, message: bytes, code: int
) -> None:
    peer = connect()
    await join(live, peer)
    wider = (await live.sign(pod="web-0")).encode()
    await peer.send(client_frame(opcode, message.replace(b"TOKEN", wider)))
    assert (await peer.frame()).close_code == code
    await until(lambda: nobody_is_left(live))


async def test_a_message_right_behind_the_handshake_is_read(live: LiveServer, connect: Connect) -> None:
    await live.write("hello")
    peer, token = connect(), await live.sign()
    renewal = client_frame(TEXT, json.dumps({"token": token}).encode())
    await peer.send(request(f"/logs?token={token}", UPGRADE) + renewal + client_frame(CLOSE, b"\x03\xe8"))
    await peer.head()
    assert (await last_frame(peer)).close_code == 1000
    assert await peer.rest() == b""


async def test_draining_closes_every_reader_with_the_code_that_says_come_back(
    live: LiveServer, connect: Connect
) -> None:
    peers = [connect() for _ in range(5)]
    for peer in peers:
        await join(live, peer)
    await live.services.sessions.drain(0.01)
    assert [(await peer.frame()).close_code for peer in peers] == [1001] * 5
    await until(lambda: nobody_is_left(live))


@SMALL_BUFFER
@pytest.mark.parametrize("phase", ["asked", "joined", "stuffed", "closing", "finished"])
@pytest.mark.parametrize("way", ["close", "reset", "half"])
async def test_a_client_that_goes_leaves_nothing_behind(
    live: LiveServer, connect: Connect, phase: str, way: str
) -> None:
    peer = connect(4096)
    if phase == "asked":
        await peer.send(request(f"/logs?token={await live.sign()}", UPGRADE))
    elif phase == "stuffed":
        await stuff(live, peer)
    else:
        session = await join(live, peer, query="&follow=false" if phase == "finished" else "")
        if phase == "closing":
            session.end(STOPPING)
    match way:
        case "half":
            peer.socket.shutdown(socket.SHUT_WR)
        case "reset":
            peer.reset()
        case _:
            peer.close()
    await live.fetch("/healthz")  # asked later, answered later
    await until(lambda: nobody_is_left(live))


@TRANSPORTS
@pytest.mark.parametrize("way", ["close", "reset", "stop", "reset before a stop", "finished"])
async def test_a_reader_that_has_gone_is_gone_without_the_garbage_collector(
    live: LiveServer, connect: Connect, headers: dict[str, str], way: str
) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            peer = connect()
            session = await join(live, peer, headers, "&follow=false" if way == "finished" else "")
            if way == "reset before a stop":
                peer.reset()
            if "stop" in way:
                session.end(STOPPING)
            del session
            peer.reset() if way == "reset" else peer.close()
            await until(lambda: nobody_is_left(live))
        await until(
            lambda: not any(isinstance(one, LogsHandler | Session | Reader | WebSocket) for one in gc.get_objects())
        )
    finally:
        gc.enable()


async def test_a_page_that_was_refused_is_gone_without_the_garbage_collector(connect: Connect) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            peer = connect()
            await peer.send(request("/logs", UPGRADE | {"Origin": "https://any.example"}))
            await peer.head()
            assert (await peer.frame()).close_code == 4401
            peer.close()
        await until(lambda: not any(isinstance(one, LogsHandler | WebSocket) for one in gc.get_objects()))
    finally:
        gc.enable()


async def test_an_open_websocket_keeps_nothing_of_its_request(live: LiveServer, connect: Connect) -> None:
    await join(live, connect(), UPGRADE | {"X-Mark": "not-needed-any-more"}, "&exclude=not-needed-any-more")
    gc.collect()
    kept = [one for one in gc.get_objects() if isinstance(one, HTTPHeaders | HTTPServerRequest | Upgrade | Visitor)]
    assert kept == []
