"""The writers of a soak: namespaces whose pods come and go and number their lines."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

from benchmarks import fluentbit
from benchmarks.connection import INGEST

if TYPE_CHECKING:
    import random

    from benchmarks.server import Server

_PODS = 4
_PAUSE_SECONDS = 0.1
_LINES, _BURST_LINES, _BURST_POSTS = 10, 4000, 5
_BURST_CHANCE, _NEW_POD_CHANCE = 0.02, 0.05


class Namespace:
    """A namespace, its pods, and what they have written so far."""

    _names = count()
    _pod_names = count()

    def __init__(self) -> None:
        self.name = f"soak-{next(self._names)}"
        self.lock = asyncio.Lock()  # held during each post
        self.sent = 0  # lines of all pods there ever were
        self.numbers: dict[str, int] = {}  # of the last line of each pod there ever was
        self._pods = [self._new_pod() for _ in range(_PODS)]

    async def write(self, server: Server, chance: random.Random, stop: asyncio.Event) -> None:
        """Post lines until it is time to stop: mostly few, now and then more than the ring holds."""
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            while not stop.is_set():
                if chance.random() < _NEW_POD_CHANCE:
                    self._pods[chance.randrange(_PODS)] = self._new_pod()
                is_burst = chance.random() < _BURST_CHANCE
                for _ in range(_BURST_POSTS if is_burst else 1):
                    async with self.lock:
                        pod = chance.choice(self._pods)
                        await self._post(server, reader, writer, pod, _BURST_LINES if is_burst else _LINES)
                    await asyncio.sleep(_PAUSE_SECONDS * chance.uniform(0.5, 1.5))
        finally:
            writer.close()

    def _new_pod(self) -> str:
        name = f"web-{next(self._pod_names)}"
        self.numbers[name] = 0
        return name

    async def _post(
        self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pod: str, lines: int
    ) -> None:
        first = self.numbers[pod] + 1
        texts = [f"{pod} n={number}".ljust(fluentbit.TEXT_BYTES, ".") for number in range(first, first + lines)]
        body = fluentbit.as_json([fluentbit.record(self.name, pod, text) for text in texts])
        head = f"POST {INGEST} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {server.secret}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"}")
        if b'"accepted":%d,' % lines not in answer:
            raise ConnectionError(answer)
        self.numbers[pod] += lines
        self.sent += lines
