"""A receiver that remembers, brokers of one stream, and what tests ask of a stream behind their backs."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import nats

from buffer.jetstream.broker import JetStreamBroker, Options
from buffer.jetstream.connection import Servers
from buffer.jetstream.stream import StreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.chunk import Chunk
    from buffer.source import Source

WAIT_SECONDS = 20


class Recorder:
    """A receiver that notes all it is told, in order."""

    def __init__(self) -> None:
        self.epochs: list[str] = []
        self.loads: list[tuple[str, str, int]] = []  # namespace, what it does, and how many chunks had come by then
        self.chunks: list[Chunk] = []
        self.events: list[tuple[object, ...]] = []
        self._changed = asyncio.Event()

    def receive(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self.events.append(("chunk", chunk.seq))
        self._changed.set()

    def lose(self, source: Source, seq: int, lines: int | None) -> None:
        self.events.append(("lost", source.pod, seq, lines))
        self._changed.set()

    def skip(self, first: int, until: int) -> None:
        self.events.append(("skipped", first, until))

    def reach(self, namespace: str, seq: int) -> None:
        self.events.append(("reached", namespace, seq))

    def begin_load(self, namespace: str) -> None:
        self.loads.append((namespace, "begins", len(self.chunks)))

    def end_load(self, namespace: str) -> None:
        self.loads.append((namespace, "ends", len(self.chunks)))
        self._changed.set()

    def forget(self, namespace: str) -> None:
        self.events.append(("forgotten", namespace))
        self._changed.set()

    def restart(self, epoch: str) -> None:
        self.epochs.append(epoch)
        self.chunks.clear()
        self.events.clear()
        self._changed.set()

    @property
    def texts(self) -> list[str]:
        return [chunk.text.decode() for chunk in self.chunks]

    @property
    def lost(self) -> list[tuple[object, ...]]:
        return [event[1:] for event in self.events if event[0] == "lost"]

    async def until(self, condition: Callable[[], object]) -> None:
        """Return once a condition holds."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_texts(self, *texts: str) -> None:
        await self.until(lambda: len(self.chunks) >= len(texts))
        assert self.texts == list(texts)


def options(url: str, stream: str, **settings: Any) -> Options:
    usual: dict[str, Any] = {
        "replicas": 1,
        "max_bytes": 64 << 20,
        "max_age": 3600,
        "namespace_bytes": 16 << 20,
        "max_message_bytes": 512 << 10,
    }
    return Options(Servers([url]), StreamSettings(name=stream, **usual | settings))


class Replicas:
    """Brokers that share a stream. Each has a recorder, which is its receiver."""

    def __init__(self, url: str, stream: str) -> None:
        self.url = url
        self.stream = stream
        self._made: list[JetStreamBroker] = []

    async def start(self, *, url: str = "", linger: float = 300.0, **settings: Any) -> tuple[JetStreamBroker, Recorder]:
        """Start one more."""
        broker = JetStreamBroker(options(url or self.url, self.stream, **settings), time.time, linger=linger)
        recorder = Recorder()
        await broker.start(recorder)
        self._made.append(broker)
        return broker, recorder

    async def admin(self) -> Admin:
        """Return somebody who does things to the stream."""
        return Admin(await nats.connect(self.url), self.stream)

    async def close(self) -> None:
        for broker in self._made:
            await broker.close()


class Admin:
    """An administrator of the stream."""

    def __init__(self, client: Any, stream: str) -> None:
        self._client = client
        self._stream = stream

    async def do(self, verb: str, **request: Any) -> dict[str, Any]:
        payload = json.dumps(request).encode() if request else b""
        answer = await self._client.request(f"$JS.API.STREAM.{verb}.{self._stream}", payload, timeout=5)
        decoded: dict[str, Any] = json.loads(answer.data)
        return decoded

    async def publish(self, subject: str, payload: bytes) -> None:
        await self._client.request(subject, payload, timeout=5)

    async def close(self) -> None:
        await self._client.close()
