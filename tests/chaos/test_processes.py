"""Three replicas as they really run, killed, frozen and replaced one by one; each line is accounted for."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPError
from tornado.websocket import WebSocketClosedError, websocket_connect

from tests.chaos.history import History, Reading
from tests.chaos.seed import SEED
from tests.conftest import API_SECRET, INGEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tornado.websocket import WebSocketClientConnection

    from benchmarks.cluster.nats_server import NatsServer
    from tests.process import Process

_NAMESPACE = "shop"


class World:
    """Replicas, and clients that choose one at random for each request and each visit."""

    def __init__(self, start: Callable[..., Process], url: str) -> None:
        self._start = start
        self._url = url
        self.random = random.Random(SEED)
        self.http = AsyncHTTPClient(force_instance=True, max_clients=100)
        self.history = History()
        self.readings: list[Reading] = []
        self.replicas: list[Process] = []
        self.writing = self.reading = True
        self._closing: set[asyncio.Future[None]] = set()

    def add(self) -> Process:
        """Start one more replica."""
        self.replicas.append(self._start(NATS_URL=self._url, NATS_MAX_GIB="1", DRAIN_SECONDS="1"))
        return self.replicas[-1]

    def _address(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.random.choice(self.replicas).port}{path}"

    async def token(self) -> str:
        body = json.dumps({"namespace": _NAMESPACE})
        headers = {"Authorization": f"Token {API_SECRET}"}
        answer = await self.http.fetch(self._address("/api/sign"), method="POST", headers=headers, body=body)
        token: str = json.loads(answer.body)["token"]
        return token

    async def write(self, pod: str) -> None:
        """Post one body after the other, each until it is answered 200."""
        number, headers = 0, {"Authorization": f"Token {INGEST_SECRET}", "Fluent-Tag": pod}
        while self.writing:
            count = self.random.randint(1, 12)
            kubernetes = {"namespace_name": _NAMESPACE, "pod_name": pod, "container_name": "app"}
            records = [
                {"time": "2025-11-22T08:15:01Z", "log": str(line), "kubernetes": kubernetes}
                for line in range(number, number + count)
            ]
            body = json.dumps(records)
            while not await self._is_taken(headers, body):
                self.history.refused += 1
                await asyncio.sleep(0.2)
            number += count
            self.history.acknowledged[pod] = number
            await asyncio.sleep(self.random.uniform(0.02, 0.1))

    async def _is_taken(self, headers: dict[str, str], body: str) -> bool:
        try:
            await self.http.fetch(
                self._address("/_ingest/fluentbit"), method="POST", headers=headers, body=body, request_timeout=12
            )
        except (OSError, HTTPError):
            return False
        return True

    async def read(self, reading: Reading, token: str) -> None:
        """Read at one replica after another, each time from where the last one ended."""
        while self.reading:
            query = f"token={token}&format=json" + (f"&cursor={reading.cursor}" if reading.cursor else "&tail=all")
            with suppress(OSError, HTTPError, WebSocketClosedError, TimeoutError):
                await self._visit(reading, query, self.random.uniform(0.5, 4.0))

    async def _visit(self, reading: Reading, query: str, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        socket = await websocket_connect(self._address(f"/logs?{query}", "ws"), connect_timeout=8)
        until = loop.time() + seconds
        reading.last_at = 0.0
        try:
            async with asyncio.timeout_at(until + 0.2):
                while loop.time() < until and (message := await socket.read_message()) is not None:
                    reading.take(str(message), loop.time())
        finally:
            socket.close()
            self._closing.add(asyncio.ensure_future(self._closed(socket)))

    async def _closed(self, socket: WebSocketClientConnection) -> None:
        """Read on until a connection is closed: a server that hangs does not do so at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                while await socket.read_message() is not None:
                    pass

    async def close(self) -> None:
        self.http.close()
        await asyncio.gather(*self._closing)


async def kill_a_replica(world: World) -> None:
    victim = world.random.choice(world.replicas)
    victim.signal(signal.SIGKILL)
    await asyncio.sleep(2)
    world.replicas.remove(victim)
    await asyncio.to_thread(world.add)


async def freeze_a_replica(world: World) -> None:
    victim = world.random.choice(world.replicas)
    victim.signal(signal.SIGSTOP)
    await asyncio.sleep(15)
    victim.signal(signal.SIGCONT)


async def replace_all(world: World) -> None:
    for old in list(world.replicas):
        await asyncio.to_thread(world.add)
        world.replicas.remove(old)
        old.signal(signal.SIGTERM)
        assert await asyncio.to_thread(old.ended, 20) == 0


@pytest.mark.timeout(120)
@pytest.mark.logs
@pytest.mark.parametrize("fault", [kill_a_replica, freeze_a_replica, replace_all])
async def test_every_line_is_accounted_for(
    start: Callable[..., Process],
    own_nats: NatsServer,
    fault: Callable[[World], Awaitable[Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(start, own_nats.url)
    for _ in range(3):
        await asyncio.to_thread(world.add)
    token = await world.token()
    tasks = [asyncio.create_task(world.write(f"pod-{number}")) for number in range(6)]
    for number in range(8):
        world.readings.append(Reading(f"reader {number}"))
        tasks.append(asyncio.create_task(world.read(world.readings[-1], token)))
    await asyncio.sleep(3)
    await fault(world)
    await asyncio.sleep(4)
    world.writing = False
    with suppress(TimeoutError):
        async with asyncio.timeout(30):
            while not all(reading.has_all(world.history) for reading in world.readings):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    world.reading = False
    await asyncio.gather(*tasks)
    await world.close()
    lines = sum(world.history.acknowledged.values())
    pause = max(reading.longest_pause for reading in world.readings)
    with capsys.disabled():
        print(  # noqa: T201 - what a run is for
            f"\n{fault.__name__}, seed {SEED}: {lines} lines, {world.history.refused} refused, "
            f"readers paused {pause:.2f} s within a visit"
        )
    errors = [error for reading in world.readings for error in reading.check(world.history)]
    assert not errors, "\n".join(errors[:20])
