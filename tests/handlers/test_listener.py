from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from server import StopBounds
from tests.conftest import API_SECRET
from tests.handlers.peers import with_send_buffer
from tests.wire import connected, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer
    from tests.handlers.peers import Peer

HEALTHZ = request("/healthz", method="GET")
SOURCES = request("/api/sources?limit=1000", f"Authorization: Token {API_SECRET}", method="GET")


async def test_idle_connections_are_closed_at_once_when_the_server_stops(live: LiveServer) -> None:
    async with connected(live.port) as used, connected(live.port) as unused, connected(live.port) as half:
        await used.send(HEALTHZ)
        await used.answer()
        await half.send(HEALTHZ[:10])
        stop = asyncio.create_task(live.server.stop(StopBounds(flush=0, drain=0)))
        assert [await wire.rest() for wire in (used, unused, half)] == [b""] * 3
        await stop


async def test_a_connection_made_while_the_server_stops_has_one_request(live: LiveServer) -> None:
    async with connected(live.port) as reader:
        await reader.send(request(f"/logs?token={await live.sign()}", method="GET"))
        await reader.answer(has_body=False)
        stop = asyncio.create_task(live.server.stop(StopBounds(flush=0, drain=0.2)))
        await asyncio.sleep(0)
        async with connected(live.port) as late:
            await late.send(request("/readyz", method="GET") + HEALTHZ)
            answer = await late.answer()
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            assert await late.rest() == b""
        await stop


async def test_a_request_that_arrives_while_connections_are_being_closed_is_answered(live: LiveServer) -> None:
    async with connected(live.port) as reader:
        await reader.send(request(f"/logs?token={await live.sign()}", method="GET"))
        await reader.answer(has_body=False)
        stop = asyncio.create_task(live.server.stop(StopBounds(flush=0, drain=0.05, close=60)))
        await asyncio.sleep(0)
        async with connected(live.port) as late:
            with suppress(ConnectionError):
                while True:  # until the server has stopped listening
                    async with connected(live.port):
                        pass
            await late.send(*[bytes([byte]) for byte in HEALTHZ])
            answer = await late.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
        await asyncio.wait_for(stop, 5)


@with_send_buffer(4096)
async def test_an_answer_that_is_still_being_sent_is_not_cut_short(
    live: LiveServer, connect: Callable[..., Peer]
) -> None:
    names = [f"pod-{number}" for number in range(1000)]
    records = [{"log": "hello", "kubernetes": {"namespace_name": "myapp", "pod_name": name}} for name in names]
    await live.ingest(json.dumps(records).encode())
    slow = connect(4096)
    await slow.send(SOURCES)
    head = await slow.head()
    stop = asyncio.create_task(live.server.stop(StopBounds(flush=0, drain=0.2)))
    await asyncio.sleep(0)
    body = await slow.read(int(head.partition("Content-Length: ")[2].split("\r\n")[0]))
    assert {one["pod"] for one in json.loads(body)["sources"]} == set(names)
    await stop
