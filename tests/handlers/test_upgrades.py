"""What is particular to upgrades that have come whole; all else that holds for their readers is in test_session.py."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from handlers import upgrade
from handlers.deflate import NAME
from handlers.upgrades import Upgrades
from server import StopBounds
from tests.handlers.peers import CLOSE, TEXT, UPGRADE, client_frame, request, until
from tests.wire import connected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

    Connect = Callable[..., Peer]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been opened without Tornado."""
    queries = list[str]()

    def accepted(request: object, *others: object) -> bytes:
        queries.append(request.query)  # type: ignore[attr-defined]
        return upgrade.accepted(request, *others)  # type: ignore[arg-type]

    monkeypatch.setattr("handlers.upgrades.accepted", accepted)
    return queries


class SlowBroker:
    """Has readers wait until it may answer."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.released: list[str] = []

    async def follow(self, *_: object, **__: object) -> bool:
        self.is_asked.set()
        await self.may_answer.wait()
        return False


@pytest.fixture
def slow(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> SlowBroker:
    broker = SlowBroker()
    monkeypatch.setattr(live.services.broker, "follow", broker.follow)
    monkeypatch.setattr(live.services.broker, "release", broker.released.append)
    return broker


async def waiting(live: LiveServer, connect: Connect, slow: SlowBroker) -> Peer:
    """A reader that waits for the broker."""
    peer = connect()
    await peer.send(request(f"/logs?token={await live.sign()}", UPGRADE))
    await slow.is_asked.wait()
    return peer


async def first_line(peer: Peer) -> str:
    frame = await peer.frame()
    assert frame.opcode == TEXT
    return frame.payload.decode()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Connection": "keep-alive, Upgrade"},
        {"Upgrade": "WebSocket"},
        {"Host": "logs.example:8080"},
        {"Host": "[::1]:8080"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
        {"Origin": "http://127.0.0.1"},
        {"X-Forwarded-For": "10.0.0.1, 10.0.0.2"},
    ],
)
async def test_an_upgrade_that_has_come_whole_is_answered_without_tornado(
    live: LiveServer, connect: Connect, opened: list[str], fields: dict[str, str]
) -> None:
    await live.write("hello")
    peer = connect()
    await peer.send(request(f"/logs?token={await live.sign()}", UPGRADE | fields))
    assert (await peer.head()).startswith("HTTP/1.1 101 Switching Protocols\r\n")
    assert await first_line(peer) == "hello"
    assert len(opened) == 1


@pytest.mark.parametrize(
    "fields",
    [{}, {"Origin": "http://127.0.0.1"}, {"Sec-WebSocket-Protocol": "logurt"}, {"Sec-WebSocket-Extensions": NAME}],
)
async def test_an_upgrade_is_answered_alike_with_and_without_tornado(
    live: LiveServer, connect: Connect, opened: list[str], fields: dict[str, str]
) -> None:
    heads = list[str]()
    for others in ({}, {"Content-Length": "0"}):
        peer = connect()
        await peer.send(request(f"/logs?token={await live.sign()}", UPGRADE | fields | others))
        heads.append(await peer.head())
    assert heads[0] == heads[1]
    assert len(opened) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"Content-Length": "0"},
        {"Expect": "100-continue"},
        {"Content-Type": "multipart/form-data"},
        {"Host": "user@host"},
        {"X-Long": "x" * 19_000},
    ],
)
async def test_an_odd_upgrade_is_left_to_tornado(
    live: LiveServer, connect: Connect, opened: list[str], fields: dict[str, str]
) -> None:
    peer = connect()
    await peer.send(request(f"/logs?token={await live.sign()}", UPGRADE | fields))
    head = await peer.head()
    assert head.startswith("HTTP/1.1 101" if "Content-Length" in fields else "HTTP/1.1 ")
    assert len(opened) == ("X-Long" in fields)


@pytest.mark.parametrize("size", [1, 5, 40])
async def test_an_upgrade_that_comes_in_pieces_is_left_to_tornado(
    live: LiveServer, connect: Connect, opened: list[str], size: int
) -> None:
    await live.write("hello")
    peer, sent = connect(), request(f"/logs?token={await live.sign()}", UPGRADE)
    for start in range(0, len(sent), size):
        await peer.send(sent[start : start + size])
        await asyncio.sleep(0)
    await peer.head()
    assert await first_line(peer) == "hello"
    assert opened == []


async def test_frames_right_behind_an_upgrade_are_read(live: LiveServer, connect: Connect, opened: list[str]) -> None:
    await live.write("hello")
    peer = connect()
    await peer.send(request(f"/logs?token={await live.sign()}", UPGRADE) + client_frame(CLOSE, b"\x03\xe8"))
    await peer.head()
    frames = [await peer.frame()]
    while frames[-1].opcode == TEXT:
        frames.append(await peer.frame())
    assert (frames[-1].close_code, opened) == (1000, [])


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/logs?token=nonsense", {}),
        ("/logs?tail=5", {}),
        ("/logs?token=TOKEN&tail=x", {}),
        ("/logs?token=TOKEN&pod=%FF", {}),
        ("/logs?token=TOKEN&what=ever", {}),
        ("/logs?token=TOKEN", {"Sec-WebSocket-Version": "8"}),
        ("/logs?token=TOKEN", {"Sec-WebSocket-Key": ""}),
        ("/logs?token=nonsense", {"Origin": "https://any.example"}),
        ("/logs?" + "&".join(["x"] * 200), {}),
        ("/logs?token=TOKEN", {"Upgrade": "h2c"}),
    ],
)
async def test_a_refusal_is_the_same_with_and_without_tornado(
    live: LiveServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, path: str, fields: dict[str, str]
) -> None:
    token, answers = await live.sign(), []
    for is_direct in (True, False):
        if not is_direct:
            monkeypatch.setattr(Upgrades, "may_be_ours", lambda *_: False)
        peer = connect()
        sent = request(path.replace("TOKEN", token), UPGRADE | fields)
        await peer.send(sent)
        head = await peer.head()
        peer.socket.shutdown(socket.SHUT_WR)
        dateless = [line for line in head.split("\r\n") if not line.startswith("Date:")]
        answers.append((dateless, await peer.rest()))
    assert answers[0] == answers[1]
    assert len(live.services.requests.refusals) <= 1


async def test_a_reader_that_goes_while_it_waits_for_the_broker_is_not_begun(
    live: LiveServer, connect: Connect, slow: SlowBroker
) -> None:
    peer = await waiting(live, connect, slow)
    assert live.server.connections == 1
    peer.close()
    slow.may_answer.set()
    await until(lambda: slow.released)
    assert len(live.services.sessions) == 0
    await until(lambda: not live.server.connections)


async def test_a_reader_that_waits_for_the_broker_when_the_server_stops_is_answered(
    live: LiveServer, connect: Connect, slow: SlowBroker
) -> None:
    peer = await waiting(live, connect, slow)
    assert live.server.connections == 1
    stop = asyncio.create_task(live.server.stop(StopBounds(flush=0, drain=0, close=60)))
    with suppress(ConnectionError):
        while True:  # until the server has stopped listening
            async with connected(live.port):
                pass
    slow.may_answer.set()
    await asyncio.wait_for(stop, 10)
    assert peer.socket.recv(1000).startswith(b"HTTP/1.1 503")  # by then


async def test_a_reader_that_has_waited_for_the_broker_for_too_long_is_closed_when_the_server_stops(
    live: LiveServer, connect: Connect, slow: SlowBroker
) -> None:
    peer = await waiting(live, connect, slow)
    await live.server.stop(StopBounds(flush=0, drain=0, goodbye=0, answers=0, close=0))
    assert await peer.rest() == b""
    slow.may_answer.set()
    await until(lambda: slow.released and not live.server.connections)


@pytest.mark.logs
@pytest.mark.usefixtures("way_in")
async def test_a_connection_whose_session_fails_for_a_reason_that_nobody_knows_is_closed(
    live: LiveServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.websocket_session.WebSocketSession.begin", lambda *_, **__: 1 / 0)
    peer = connect()
    await peer.send(request(f"/logs?token={await live.sign()}", UPGRADE))
    await peer.head()
    assert await peer.rest() == b""
