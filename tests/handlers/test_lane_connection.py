from __future__ import annotations

import asyncio
import gc
import socket
from typing import TYPE_CHECKING

import pytest

from handlers.lane_connection import LaneConnection
from handlers.raw_stream import RawStream
from tests.handlers.peers import dial, let_timers_pass, until
from tests.handlers.uploads import PATH, STORED, TOKEN, answers, backlog, upload
from tests.wire import connected, head, request

if TYPE_CHECKING:
    from tests.conftest import LiveServer

HEALTHZ = request("/healthz", method="GET")
ALIVE = {"status": "alive"}


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
        monkeypatch.setattr("handlers.lane_connection.parse_head", lambda _: 1 / 0)
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
