"""What is particular to the lane; that uploads through it are taken like others is in test_ingest.py."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from handlers.lane import Lane, LaneConnection
from handlers.raw_stream import RawStream
from server import StopBounds
from tests.conftest import INGEST_SECRET
from tests.handlers.peers import dial, let_timers_pass, until, with_send_buffer
from tests.wire import Wire, connected, head, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

PATH = "/_ingest/fluentbit"
TOKEN = f"Authorization: Token {INGEST_SECRET}"
HEALTHZ = request("/healthz", method="GET")
ALIVE = {"status": "alive"}
STORED = {"accepted": 1, "skipped": 0}


def upload(text: str, *fields: str) -> bytes:
    body = json.dumps([{"log": text, "kubernetes": {"namespace_name": "myapp", "pod_name": "web-0"}}]).encode()
    return request(PATH, TOKEN, *fields, body=body)


async def answers(wire: Wire, count: int) -> list[Any]:
    return [(await wire.answer()).json for _ in range(count)]


async def backlog(live: LiveServer) -> list[str]:
    response = await live.fetch(f"/logs?token={await live.sign()}&follow=false&tail=all")
    return response.body.decode().split("\n")[:-1]


async def test_uploads_of_one_connection_are_answered_in_order(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(b"".join(upload(str(number)) for number in range(50)))
        assert await answers(wire, 50) == [STORED] * 50
    assert await backlog(live) == [str(number) for number in range(50)]


async def test_a_connection_that_asks_for_something_else_goes_over_with_all_it_has_sent(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(upload("one") * 2 + HEALTHZ * 2 + upload("two") + HEALTHZ)
        assert await answers(wire, 6) == [STORED, STORED, ALIVE, ALIVE, STORED, ALIVE]
    assert await backlog(live) == ["one", "one", "two"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 30, 100])
async def test_how_requests_are_cut_on_their_way_makes_no_difference(live: LiveServer, size: int) -> None:
    sent = upload("one") + HEALTHZ + upload("two")
    async with connected(live.port) as wire:
        await wire.send(*[sent[start : start + size] for start in range(0, len(sent), size)])
        assert await answers(wire, 3) == [STORED, ALIVE, STORED]


@pytest.mark.parametrize(
    "sent",
    [
        request("/healthz", method="GET"),
        request("/_ingest/fluentbi", method="POST"),
        request("/_ingest/fluentbit/", method="POST"),
        request("/_ingest/fluentbit/more", method="POST"),
        request("/_ingest", method="POST"),
        upload("x").replace(b"HTTP/1.1", b"HTTP/1.0"),
        upload("x").replace(b"POST", b"PUT"),
        upload("x", "Expect: 100-continue"),
        upload("x", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"),
        upload("x").replace(b"fluentbit ", b"fluentbit?a=b "),
        head(PATH, TOKEN, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    ],
)
async def test_what_else_is_asked_for_is_answered_by_tornado(live: LiveServer, sent: bytes) -> None:
    async with connected(live.port) as wire:
        await wire.send(sent)
        while (answer := await wire.answer()).status == 100:
            pass
        assert "etag" in answer.headers or answer.headers.get("cache-control") == "no-store"


@pytest.mark.parametrize(
    "sent",
    [
        upload("x").replace(b"Content-Length: ", b"Content-Length: +"),
        upload("x", "Content-Length: 5"),
        upload("x", "Transfer-Encoding: chunked"),
        upload("x", "No colon"),
        upload("x").replace(b"Host: logurt\r\n", b""),
        upload("x").replace(b"Host: logurt\r\n", b"Host: logurt\r\n" + b"X: " + b"y" * 30_000 + b"\r\n"),
        upload("x").replace(b"Host: logurt\r\n", b"Host: logurt\r\n" + b"X: y\r\n" * 5000),
    ],
)
async def test_a_malformed_head_stores_nothing_and_ends_the_connection(live: LiveServer, sent: bytes) -> None:
    async with connected(live.port) as wire:
        await wire.send(sent + HEALTHZ)
        assert not (await wire.rest()).startswith(b"HTTP/1.1 2")
    assert await backlog(live) == []


async def test_a_client_that_closes_after_part_of_a_head_is_forgotten(live: LiveServer) -> None:
    for size in (0, 5, 60):
        async with connected(live.port) as wire:
            await wire.send(upload("x")[:size])
    await until(lambda: not live.server.connections)


async def test_with_connection_close_an_upload_is_the_last_one(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(upload("one", "Connection: close") + upload("two"))
        answer = await wire.answer()
        assert (answer.json, answer.headers["connection"]) == (STORED, "close")
        assert await wire.rest() == b""
    assert await backlog(live) == ["one"]


async def test_a_client_that_reads_no_answers_is_waited_for_and_holds_nobody_up(live: LiveServer) -> None:
    count = 20_000
    sent = upload("x", "Connection: keep-alive")
    with socket.create_connection(("127.0.0.1", live.port)) as deaf:
        deaf.settimeout(0)
        loop = asyncio.get_running_loop()
        sending = asyncio.ensure_future(loop.sock_sendall(deaf, sent * count))
        await until(lambda: live.services.ingest.requests[200] > 1000)
        assert (await live.fetch("/healthz")).code == 200
        received = 0
        while received < count:
            received += (await loop.sock_recv(deaf, 1 << 20)).count(b'{"accepted":1,"skipped":0}')
        await sending
    assert live.services.ingest.records == count


async def test_a_herd_is_spread_over_many_passes_of_the_event_loop(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.lane.PASS_SECONDS", 0.001)
    count, passes = 300, 0
    async with AsyncExitStack() as stack:
        herd = [await stack.enter_async_context(connected(live.port)) for _ in range(count)]
        for wire in herd:
            await wire.send(upload("x")[:-1])
        await until(lambda: len(live.services.inflight) == count)
        for wire in herd:
            wire.send_at_once(upload("x")[-1:])
        before = live.services.ingest.requests[200]
        while live.services.ingest.requests[200] < count:
            await asyncio.sleep(0)
            passes += live.services.ingest.requests[200] > before
            before = live.services.ingest.requests[200]
    assert passes > 3


async def test_an_idle_connection_is_closed(live: LiveServer) -> None:
    async with connected(live.port) as wire:
        await wire.send(upload("x"))
        await wire.answer()
        let_timers_pass(80)
        assert await asyncio.wait_for(wire.rest(), 10) == b""
    assert live.services.ingest.records == 1


@pytest.mark.parametrize("end", ["close", "reset", "time", "hand over"])
@pytest.mark.parametrize("sent", [b"", upload("x")[:60], upload("x")[:-1], upload("x")])
async def test_a_connection_is_gone_without_the_garbage_collector(live: LiveServer, sent: bytes, end: str) -> None:
    gc.collect()
    gc.disable()
    try:
        client = dial(live)
        await client.send(sent)
        await live.fetch("/healthz")  # by then, it has been received
        if end == "hand over":
            await client.send(upload("x")[len(sent) :] + HEALTHZ)
            await client.read_until(b"alive")
        elif end == "time":
            let_timers_pass(80)
            await asyncio.wait_for(client.rest(), 5)
        if end == "reset":
            client.reset()
        else:
            client.close()
        await until(lambda: not live.server.connections)
        await until(lambda: not [one for one in gc.get_objects() if isinstance(one, (LaneConnection, RawStream))])
    finally:
        gc.enable()


async def test_a_connection_that_a_stop_finds_before_it_has_begun_is_closed(live: LiveServer) -> None:
    lane = Lane(live.services, {}, lambda *_: None, max_head=1000, idle_seconds=10, body_seconds=10)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 - the standard library's signature
    with theirs:
        lane.accept(ours, ("127.0.0.1", 1))
        lane.drain()
        await lane.close(1)
        assert not len(lane)
        assert theirs.recv(1) == b""


async def deafen(live: LiveServer, connect: Callable[..., Peer]) -> Peer:
    """Return a client that has sent more requests than it has room for answers, none of which it reads."""
    deaf, answered = connect(4096), -1
    await deaf.send(upload("x") * 1000)
    while answered != live.services.ingest.requests[200]:
        answered = live.services.ingest.requests[200]
        await live.fetch("/healthz")
    assert answered < 1000
    return deaf


@with_send_buffer(4096)
async def test_a_stop_waits_no_longer_for_a_client_that_reads_no_answers_than_for_one_to_be_sent(
    live: LiveServer, connect: Callable[..., Peer]
) -> None:
    await deafen(live, connect)
    await asyncio.wait_for(live.server.stop(StopBounds(flush=0, drain=0, answers=60, close=0.1)), 10)
    assert not live.server.connections


@with_send_buffer(4096)
async def test_an_answer_that_is_being_sent_when_a_stop_begins_is_the_last_one(
    live: LiveServer, connect: Callable[..., Peer]
) -> None:
    deaf = await deafen(live, connect)
    answered = live.services.ingest.requests[200]
    stop = asyncio.create_task(live.server.stop(StopBounds(flush=0, drain=0, answers=60, close=60)))
    assert (await deaf.rest()).count(b"HTTP/1.1 ") == answered
    await asyncio.wait_for(stop, 10)
    assert live.services.ingest.records == answered


@with_send_buffer(4096)
async def test_a_client_that_reads_no_answers_is_closed_after_a_while(
    live: LiveServer, connect: Callable[..., Peer]
) -> None:
    deaf = await deafen(live, connect)
    let_timers_pass(80)
    await deaf.rest()
    await until(lambda: not live.server.connections)
