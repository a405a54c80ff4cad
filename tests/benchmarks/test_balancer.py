from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks.cluster.balancer import Balancer
from tests.wire import connected, request

if TYPE_CHECKING:
    from tests.conftest import LiveServer

HEALTHZ = request("/healthz", method="GET")


async def test_a_connection_goes_to_a_port_that_is_ready(live: LiveServer) -> None:
    balancer = Balancer([1, live.port])
    await balancer.start()
    for _ in range(3):
        async with connected(balancer.port) as wire:
            await wire.send(HEALTHZ)
            assert (await wire.answer()).json == {"status": "alive"}
    await balancer.close()


async def test_without_a_port_that_is_ready_a_connection_is_closed() -> None:
    balancer = Balancer([1])
    await balancer.start()
    async with connected(balancer.port) as wire:
        assert await wire.rest() == b""
    await balancer.close()


async def test_ports_take_turns(live: LiveServer) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    balancer = Balancer([live.port, server.sockets[0].getsockname()[1]])
    await balancer.start()
    answers = list[object]()
    for _ in range(4):
        async with connected(balancer.port) as wire:
            await wire.send(HEALTHZ)
            answers.append((await wire.answer()).json)
    await balancer.close()
    server.close()
    assert [answers.count({}), answers.count({"status": "alive"})] == [2, 2]
