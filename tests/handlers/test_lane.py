"""What is particular to the lane; that uploads through it are taken like others is in test_ingest.py."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from tornado.iostream import IOStream

from handlers.lane import Lane, LaneConnection
from handlers.raw_stream import RawStream
from handlers.routes import make_ingests
from tests.conftest import INGEST_SECRET
from tests.handlers.peers import dial, let_timers_pass, until
from tests.wire import Wire, connected, head, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import LiveServer

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


async def test_no_answer_waits_until_the_one_before_it_has_been_acknowledged(live: LiveServer) -> None:
    async with asyncio.timeout(1), connected(live.port) as wire:
        for _ in range(50):  # the kernel of a client takes 40 ms to acknowledge what it has no answer to
            await wire.send(*[upload("x")] * 3)
            assert await answers(wire, 3) == [STORED] * 3


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
        upload("x").replace(b"\r\n", b"\n"),
        upload("x").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n", 1),
        upload("x").replace(b"\r\n\r\n", b"\n\r\n"),
    ],
)
async def test_what_else_is_asked_for_is_answered_by_tornado(live: LiveServer, sent: bytes) -> None:
    async with asyncio.timeout(5), connected(live.port) as wire:
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
            received += (await loop.sock_recv(deaf, 1 << 20)).count(b"}")  # one an answer, and never cut in two
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


async def test_the_heads_of_a_herd_are_spread_over_many_passes_of_the_event_loop_too(live: LiveServer) -> None:
    count, most, answered = 300, 0, live.services.ingest.requests
    async with AsyncExitStack() as stack:
        herd = [await stack.enter_async_context(connected(live.port)) for _ in range(count)]
        for wire in herd:
            wire.send_at_once(upload("x"))
        while answered[200] < count:
            await asyncio.sleep(0)
            most = max(most, len(live.services.inflight))
    assert most < 10


async def test_an_upload_on_a_new_connection_is_not_overtaken_by_a_later_one_on_an_old_one(live: LiveServer) -> None:
    tag = "Fluent-Tag: kube.web"
    async with connected(live.port) as old:
        for number in range(20):
            await old.send(upload(f"{number} before", tag))
            await old.answer()
            with socket.create_connection(("127.0.0.1", live.port)) as new:  # without a turn of the event loop
                new.sendall(upload(f"{number} new", tag))
                old.send_at_once(upload(f"{number} old", tag))
                assert (await old.answer()).json == STORED
                new.settimeout(0)
                await asyncio.get_running_loop().sock_recv(new, 4096)
    wanted = [f"{number} {which}" for number in range(20) for which in ("before", "new", "old")]
    assert await backlog(live) == wanted


async def test_an_idle_connection_has_no_task(live: LiveServer) -> None:
    before = asyncio.all_tasks()
    async with connected(live.port) as wire:
        await wire.send(upload("x"))
        await wire.answer()
        assert asyncio.all_tasks() <= before
        assert live.server.connections == 1


@pytest.mark.logs
async def test_a_connection_whose_request_fails_for_a_reason_that_nobody_knows_is_closed(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(live.port) as wire:
        await wire.send(upload("x"))
        await wire.answer()
        monkeypatch.setattr("handlers.lane.parse_head", lambda _: 1 / 0)
        await wire.send(upload("x"))
        assert await wire.rest() == b""
    await until(lambda: not live.server.connections)


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


@asynccontextmanager
async def lane_of(live: LiveServer) -> AsyncIterator[tuple[Lane, socket.socket]]:
    """A lane of its own, with one connection, whose kernel takes little until it is read."""
    ingests = make_ingests(live.services)
    lane = Lane(live.services, ingests, lambda *_: None, max_head=1000, idle_seconds=10, body_seconds=10)
    ours, theirs = socket.socketpair()
    with theirs:
        for one in (ours, theirs):
            one.setblocking(False)  # noqa: FBT003 - the standard library's signature
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        lane.accept(IOStream(ours), ("127.0.0.1", 1))
        yield lane, theirs
        await lane.close(0)
    assert not len(lane)


async def test_a_connection_that_a_stop_finds_before_it_has_begun_is_closed(live: LiveServer) -> None:
    async with lane_of(live) as (lane, client):
        lane.drain()
        await until(lambda: not len(lane))
        assert client.recv(1) == b""


async def deafen(live: LiveServer, client: socket.socket) -> int:
    """Send uploads until the kernel takes no more answers; return how many have been answered, that one included."""
    loop, answered = asyncio.get_running_loop(), live.services.ingest.requests
    for sent in range(1000):
        if answered[200] < sent:
            return answered[200]
        await loop.sock_sendall(client, upload("x"))
        for _ in range(10):
            await asyncio.sleep(0)
    raise AssertionError


async def take_all(client: socket.socket) -> bytes:
    loop, taken = asyncio.get_running_loop(), b""
    with suppress(ConnectionResetError):  # what it has sent has not been read
        while data := await loop.sock_recv(client, 65536):
            taken += data
    return taken


async def test_a_request_whose_answer_is_being_sent_is_not_in_flight_and_is_not_cut_short_by_a_stop(
    live: LiveServer,
) -> None:
    async with lane_of(live) as (lane, client):
        answered = await deafen(live, client)
        assert not len(live.services.inflight)
        live.services.sessions.stopping = True
        lane.drain()
        closed = asyncio.create_task(lane.close(60))
        assert (await take_all(client)).count(b"HTTP/1.1 ") == answered
        await asyncio.wait_for(closed, 10)


async def test_a_client_that_reads_no_answers_is_closed_when_a_stop_has_waited_for_it(live: LiveServer) -> None:
    async with lane_of(live) as (lane, client):
        await deafen(live, client)
        lane.drain()
        await asyncio.wait_for(lane.close(0.01), 10)
        assert not len(lane)


async def test_a_client_that_reads_no_answers_is_closed_after_a_while(live: LiveServer) -> None:
    async with lane_of(live) as (lane, client):
        await deafen(live, client)
        let_timers_pass(11)
        await until(lambda: not len(lane))
