"""Replicas, writers and readers in one process, around a cluster of real nats-servers."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from buffer.broker import BrokerUnavailable, Lagging
from buffer.jetstream.broker import LINGER_SECONDS, JetStreamBroker, Options
from buffer.jetstream.connection import Servers
from buffer.jetstream.stream import StreamSettings
from buffer.store import Limits, Store
from delivery.cursor import Cursor
from delivery.format import Json
from delivery.framing import ServerSentEvents
from delivery.hub import Hub
from delivery.reader import Start
from delivery.view import View
from tests.buffer.factories import chunk, selector, source
from tests.chaos.history import History, Reading
from tests.delivery.doubles import server_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buffer.chunk import Chunk

NAMESPACE = "shop"
_MIB = 1 << 20
_GIVE_UP_SECONDS = 90


class Replica:
    """A broker and a hub, without their HTTP."""

    def __init__(
        self, name: str, urls: Sequence[str], copies: int, kept_bytes: int, *, linger: float = LINGER_SECONDS
    ) -> None:
        settings = StreamSettings("CHAOS", copies, 512 * _MIB, 3600, kept_bytes, 512 << 10)
        self.name = name
        self.broker = JetStreamBroker(Options(Servers(urls), settings), time.time, linger=linger)
        loop = asyncio.get_running_loop()
        limits = Limits(16 * _MIB, 256 * _MIB, 3600.0)
        self.hub = Hub(Store(limits), 0.02, self.broker.epoch, monotonic=loop.time, call_later=loop.call_later)

    async def start(self) -> None:
        await self.broker.start(self.hub)

    async def visit(self, reading: Reading, seconds: float, stays: Callable[[], bool] = lambda: False) -> None:
        """Let a reader read for so long, from where it left, and on for as long as it stays."""
        now = asyncio.get_running_loop().time
        cursor = Cursor.parse(reading.cursor) if reading.cursor else None
        seen, epoch = 0, ""
        if cursor is not None:
            seen, epoch = cursor.seq if cursor.line else cursor.seq - 1, cursor.epoch
        try:
            is_doubtful = await self.broker.follow(NAMESPACE, seen, epoch, whole=cursor is not None)
        except Lagging:
            self.broker.release(NAMESPACE)
            return  # it tries another one

        def write(data: bytes) -> bool:
            for event in server_sent(data.decode()):
                reading.take(event.payload, now())
            return True

        view = View(selector(NAMESPACE), Json(), ServerSentEvents())
        reading.last_at = 0.0
        reading.visits.append(f"{now():.1f} {self.name} {reading.cursor}")
        reader = self.hub.join(
            view, Start(cursor=cursor, is_doubtful=is_doubtful), follow=True, write=write, ended=lambda: None
        )
        await asyncio.sleep(seconds)
        while stays():  # noqa: ASYNC110 - a plain condition
            await asyncio.sleep(0.1)
        self.hub.leave(reader)
        self.broker.release(NAMESPACE)


class World:
    """Everything that goes on during a run.

    Each replica reaches NATS by URLs of its own. The stream keeps about `kept_bytes` of chatty sources.
    """

    def __init__(
        self, urls: Sequence[Sequence[str]], *, seed: int, copies: int = 3, kept_bytes: int = 16 * _MIB
    ) -> None:
        self.random = random.Random(seed)
        self.history = History()
        self.readings: list[Reading] = []
        self.replicas = [Replica(f"r{number}", own, copies, kept_bytes) for number, own in enumerate(urls)]
        self.passed = 0  # readers that have read something
        self.errors: list[str] = []
        self._writing = True
        self._reading = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.Task[None]] = []  # among them

    async def start(self, writers: int = 8) -> None:
        """Start the replicas, so many writers, and a new reader every half second."""
        for replica in self.replicas:
            await replica.start()
        for number in range(writers):
            self._writers.append(self._spawn(self._write(f"pod-{number}")))
        self._spawn(self._send_readers())

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        return task

    async def _write(self, pod: str) -> None:
        """Post requests one after the other, and each again until it is acknowledged, as Fluent Bit does."""
        now = asyncio.get_running_loop().time
        number = 0
        while self._writing:
            count = self.random.randint(1, 12)
            key, began = self.random.randbytes(16), now()
            while True:
                try:
                    await self.random.choice(self.replicas).broker.publish(_lines(pod, number, count), key)
                except BrokerUnavailable:
                    self.history.refused += 1
                    await asyncio.sleep(0.2)
                    assert now() - began < _GIVE_UP_SECONDS
                else:
                    break
            self.history.pauses.append(now() - began)
            number += count
            self.history.acknowledged[pod] = number
            await asyncio.sleep(self.random.uniform(0.02, 0.12))

    def watch(self, replica: Replica) -> Reading:
        """Have a reader that stays at a replica for as long as there are lines."""
        reading = Reading("one that stays")
        self.readings.append(reading)
        self._spawn(self._stay(reading, replica))
        return reading

    def send_passers_by(self, urls: Sequence[str], copies: int = 3) -> None:
        """Have a replica that forgets the namespace after each reader: one comes after the other, for everything."""
        replica = Replica("cold", urls, copies, 16 * _MIB, linger=0.0)
        self.replicas.append(replica)
        self._spawn(self._pass_by(replica))

    async def _pass_by(self, replica: Replica) -> None:
        await replica.start()
        while self._writing:
            reading = Reading(f"passer-by {self.passed}")
            await replica.visit(reading, self.random.choice([0.0, 0.002, 0.02, 0.2, 1.0]))
            await asyncio.sleep(0.01)
            self.passed += bool(reading.lines)
            self.errors += reading.check_losses()

    async def _stay(self, reading: Reading, replica: Replica) -> None:
        while self._reading:
            await replica.visit(reading, 0.3, lambda: self._reading)

    async def _send_readers(self) -> None:
        while self._writing:
            reading = Reading(f"reader {len(self.readings)}")
            self.readings.append(reading)
            self._spawn(self._read(reading))
            await asyncio.sleep(0.5)

    async def _read(self, reading: Reading) -> None:
        while self._reading:
            replica = self.random.choice(self.replicas)
            await replica.visit(reading, self.random.uniform(0.3, 4.0) if self._writing else 0.3)

    async def finish(self) -> list[str]:
        """Let the writers end, and wait until all readers have read everything; return what is wrong."""
        self._writing = False
        until = asyncio.get_running_loop().time() + 30
        while asyncio.get_running_loop().time() < until and not self._have_all():  # noqa: ASYNC110 - many conditions
            await asyncio.sleep(0.1)
        self._reading = False
        errors = self.errors
        done, _ = await asyncio.wait(self._tasks, timeout=_GIVE_UP_SECONDS)
        for task in done:
            error = task.exception()
            if error is not None:
                errors.append(repr(error))
        for replica in self.replicas:
            await replica.broker.close()
        for reading in self.readings:
            errors += reading.check(self.history)
        return errors

    def _have_all(self) -> bool:
        # What the writers are still about to write counts as well.
        has_ended = all(task.done() for task in self._writers)
        return has_ended and all(reading.has_all(self.history) for reading in self.readings)

    def summary(self) -> str:
        """Return what has happened, in one line."""
        pauses = self.history.pauses
        return (
            f"{sum(self.history.acknowledged.values())} lines acknowledged, {self.history.refused} attempts refused, "
            f"writers paused for {max(pauses):.2f} s, readers for {max(r.longest_pause for r in self.readings):.2f} s; "
            f"{len(self.readings)} readers, {sum(r.lines for r in self.readings)} lines read, "
            f"{sum(r.missing for r in self.readings)} missing, {sum(r.lost for r in self.readings)} reported, "
            f"{sum(r.unknown for r in self.readings)} gaps of unknown size"
        )


def _lines(pod: str, first: int, count: int) -> list[Chunk]:
    """Return consecutive lines in one chunk or two."""
    texts = [str(number) for number in range(first, first + count)]
    parts = [texts] if count < 6 else [texts[: count // 2], texts[count // 2 :]]
    return [chunk(0, *part, writer=source(NAMESPACE, pod), arrived=time.time()) for part in parts]
