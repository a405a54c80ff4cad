"""GET /logs without a WebSocket: server-sent events, and plain lines for curl."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING

import pytest

from protocol import STOPPING
from tests.delivery.doubles import Event, server_sent
from tests.handlers.peers import let_pass, nobody_is_left, quicken, request, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

    Connect = Callable[..., Peer]

EVENTS = {"Accept": "text/event-stream"}
TRANSPORTS = pytest.mark.parametrize(
    ("version", "headers"),
    [("1.1", {}), ("1.0", {}), ("1.1", EVENTS), ("1.0", EVENTS)],
    ids=["plain", "plain-1.0", "events", "events-1.0"],
)


async def body(peer: Peer) -> str:
    """All chunks of a body, up to the last one and the end of the connection."""
    parts = []
    while part := await peer.chunk():
        parts.append(part)
    assert await peer.rest() == b""
    return b"".join(parts).decode()


async def stream(live: LiveServer, peer: Peer, query: str = "", **headers: str) -> list[Event]:
    """The server-sent events that a reader gets who does not follow."""
    await peer.get(await live.sign(), f"follow=false&{query}", Accept="text/event-stream", **headers)
    sent = await body(peer)
    assert sent.startswith("retry: 2000\n\n")
    return server_sent(sent.removeprefix("retry: 2000\n\n"))


async def test_plain_lines_come_in_chunks_up_to_the_last_one(live: LiveServer, connect: Connect) -> None:
    await live.write("a", "", "two\nlines", "é")
    peer = connect()
    head = await peer.get(await live.sign(), "follow=false")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "Transfer-Encoding: chunked" in head
    assert await body(peer) == "a\n\ntwo\nlines\né\n"


async def test_http_1_0_gets_lines_until_the_connection_ends(live: LiveServer, connect: Connect) -> None:
    await live.write("a", "b")
    peer = connect()
    head = await peer.get(await live.sign(), "follow=false", version="1.0")
    assert "transfer-encoding" not in head.lower()
    assert await peer.rest() == b"a\nb\n"


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("", {}, "text/plain; charset=utf-8"),
        ("format=json", {}, "application/x-ndjson; charset=utf-8"),
        ("", EVENTS, "text/event-stream; charset=utf-8"),
        ("format=json", {"Accept": "text/event-stream, */*;q=0.1"}, "text/event-stream; charset=utf-8"),
    ],
)
async def test_the_head_says_what_comes_and_that_it_must_not_be_held_back(
    live: LiveServer, connect: Connect, query: str, headers: dict[str, str], expected: str
) -> None:
    head = (await connect().get(await live.sign(), query, **headers)).split("\r\n")
    assert f"Content-Type: {expected}" in head
    assert {"X-Accel-Buffering: no", "Cache-Control: no-store", "X-Content-Type-Options: nosniff"} <= set(head)


async def test_json_lines_are_one_object_each(live: LiveServer, connect: Connect) -> None:
    await live.write("two\nlines")
    peer = connect()
    await peer.get(await live.sign(), "follow=false&format=json")
    (line,) = (await body(peer)).splitlines()
    assert json.loads(line)["log"] == "two\nlines"


async def test_a_live_line_is_sent_at_once(live: LiveServer, connect: Connect) -> None:
    peer = connect()
    await peer.get(await live.sign(), "format=json")
    assert json.loads(await peer.chunk()) == {"type": "live"}
    await live.write("hello")
    assert json.loads(await peer.chunk())["log"] == "hello"


async def test_events_carry_lines_with_the_cursor_that_goes_on_after_them(live: LiveServer, connect: Connect) -> None:
    await live.write("a", "two\nlines", "", " x: y")
    events = await stream(live, connect())
    assert [(event.kind, event.payload) for event in events] == [
        ("line", "a"),
        ("line", "two\nlines"),
        ("line", ""),
        ("line", " x: y"),
    ]
    rests = [await stream(live, connect(), Last_Event_ID=event.cursor) for event in events]
    assert rests == [events[1:], events[2:], events[3:], []]


async def test_an_event_stream_tells_of_gaps_and_when_it_is_live(live: LiveServer, connect: Connect) -> None:
    await live.write("a")
    peer = connect()
    await peer.get(await live.sign(), "format=json", Accept="text/event-stream", Last_Event_ID="0ther-1-0")
    sent = b""
    while b"event: live" not in sent:
        sent += await peer.chunk()
    retry, gap, line, notice, end = sent.decode().split("\n\n")
    assert (retry, end) == ("retry: 2000", "")
    assert gap == 'event: gap\ndata: {"type":"gap","lost":null,"reason":"restarted"}'
    assert line.startswith(f'id: {live.services.broker.epoch}-2-0\ndata: {{"type":"line",')
    assert notice == f'event: live\nid: {live.services.broker.epoch}-2-0\ndata: {{"type":"live"}}'


async def test_where_a_browser_comes_back_counts_for_more_than_where_its_page_once_began(
    live: LiveServer, connect: Connect
) -> None:
    await live.write("a", "b", "c")
    events = await stream(live, connect())
    query = f"cursor={events[0].cursor}"
    assert [event.payload for event in await stream(live, connect(), query)] == ["b", "c"]
    assert await stream(live, connect(), query, Last_Event_ID=events[1].cursor) == events[2:]


async def test_a_heartbeat_is_a_comment_for_events_and_nothing_for_plain_lines(
    live: LiveServer, connect: Connect
) -> None:
    token, events, plain = await live.sign(), connect(), connect()
    await events.get(token, Accept="text/event-stream")
    await plain.get(token)
    assert await events.chunk() == b"retry: 2000\n\n"
    assert (await events.chunk()).startswith(b"event: live\n")
    quicken(live)
    quicken(live)
    assert [await events.chunk() for _ in range(2)] == [b": \n\n"] * 2
    await live.write("hello")
    assert (await plain.chunk(), len(live.services.sessions)) == (b"hello\n", 2)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_event_sources_that_are_sent_away_come_back_at_different_times(
    live: LiveServer, connect: Connect, version: str
) -> None:
    await live.write("a")
    token, peers, waits = await live.sign(), [connect() for _ in range(5)], set[int]()
    for peer in peers:
        await peer.get(token, version=version, Accept="text/event-stream")
    await live.services.sessions.drain(0)
    for peer in peers:
        sent = await peer.rest()
        assert sent.endswith(b"\r\n0\r\n\r\n") == (version == "1.1")
        first, *_, last = re.findall(rb"retry: (\d+)\n\n", sent)
        assert first == b"2000"
        waits.add(int(last))
    assert len(waits) > 1
    assert all(1000 <= wait <= 5000 for wait in waits)


@TRANSPORTS
@pytest.mark.parametrize("ends_by", ["expiry", "drain"])
async def test_a_stream_ends_with_its_token_and_with_the_server(
    live: LiveServer, connect: Connect, version: str, headers: dict[str, str], ends_by: str
) -> None:
    await live.write("a")
    peer = connect()
    await peer.get(await live.sign(expires_in=60), version=version, **headers)
    if ends_by == "drain":
        await live.services.sessions.drain(0)
    else:
        let_pass(live, 60)
    await until(lambda: nobody_is_left(live))
    assert (await peer.rest()).endswith(b"0\r\n\r\n") == (version == "1.1")


@TRANSPORTS
@pytest.mark.parametrize(
    "more", [b"", b"\r\n", b"GET /logs HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["", "newline", "request"]
)
@pytest.mark.parametrize("is_late", [True, False])
@pytest.mark.parametrize("is_reset", [True, False])
async def test_a_client_that_goes_leaves_nothing_behind(
    live: LiveServer,
    connect: Connect,
    version: str,
    headers: dict[str, str],
    more: bytes,
    *,
    is_late: bool,
    is_reset: bool,
) -> None:
    peer = connect()
    asked = request(f"/logs?token={await live.sign()}", headers, version=version)
    await peer.send(asked if is_late else asked + more)
    await peer.head()
    assert len(live.services.sessions) == 1
    if is_late:
        await peer.send(more)
    peer.reset() if is_reset else peer.close()
    await until(lambda: nobody_is_left(live))


@TRANSPORTS
async def test_a_client_that_is_gone_before_it_is_answered_leaves_nothing_behind(
    live: LiveServer, connect: Connect, version: str, headers: dict[str, str]
) -> None:
    peer = connect()
    await peer.send(request(f"/logs?token={await live.sign()}", headers, version=version))
    peer.reset()
    await live.fetch("/healthz")  # was asked later, and is answered later
    await until(lambda: nobody_is_left(live))


async def test_a_client_that_takes_nothing_is_cut_off_when_its_stream_ends(
    live: LiveServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.http_session.GOODBYE_SECONDS", 0.01)
    await live.write(*["x" * 1000] * 12_000)
    peer = connect(4096)
    await peer.get(await live.sign(), "tail=all")
    (session,) = live.services.sessions
    await until(lambda: session.is_blocked)
    session.end(STOPPING)
    await until(lambda: not session.is_open)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("option", ["--http1.1", "--http1.0"])
async def test_curl_prints_lines_as_they_are_written(live: LiveServer, option: str) -> None:
    await live.write("before")
    token = await live.sign()
    curl = await asyncio.create_subprocess_exec(
        "curl", "-sN", option, "-H", f"Authorization: Bearer {token}", live.url("/logs"), stdout=PIPE
    )
    assert curl.stdout is not None
    assert await curl.stdout.readline() == b"before\n"
    await live.write("after")
    assert await curl.stdout.readline() == b"after\n"
    await live.services.sessions.drain(0)
    assert (await curl.stdout.read(), await curl.wait()) == (b"", 0)
