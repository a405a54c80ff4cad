"""Readers that join while a namespace is being loaded: each line that there was is read once, or counted as lost.

A follower and a hub, with answers in place of a server, so that anything may happen in any turn of the event loop.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buffer.jetstream.desk import BatchSize
from buffer.store import Limits, Store
from delivery.framing import PlainLines
from delivery.hub import Hub
from delivery.reader import Start
from tests.buffer.factories import EPOCH, chunk, source
from tests.buffer.jetstream.answers import Bench
from tests.delivery.doubles import JSON, Client, gap_of, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.chunk import Chunk

PODS = ("a", "b", "c")
FEW_CHUNKS, ALL_CHUNKS = 8_000, 1 << 30  # bytes of a ring


class Stored(NamedTuple):
    """A message that the stream has at first; it lets go of it before batch `gone_at` is answered (None: never)."""

    pod: str
    lines: int
    gone_at: int | None


class Arrival(NamedTuple):
    """A chunk that has come to the hub: whose it is, and the number of its first line."""

    pod: str
    first: int
    lines: int


class WatchedHub(Hub):
    """A hub that notes what it is told, and tells its guests."""

    def __init__(self, ring_bytes: int) -> None:
        loop = asyncio.get_running_loop()
        store = Store(Limits(ring_bytes, 1 << 30, 1e9))
        super().__init__(store, 0.001, EPOCH, monotonic=loop.time, call_later=loop.call_later)
        self.is_loaded = False
        self.arrivals: list[Arrival] = []
        self.guests: list[Guest] = []

    def receive(self, chunk: Chunk) -> None:
        self.arrivals.append(Arrival(chunk.source.pod, int(chunk.text.split(b"\n")[0]), chunk.count))
        super().receive(chunk)

    def begin_load(self, namespace: str) -> None:
        self.is_loaded = False
        super().begin_load(namespace)

    def end_load(self, namespace: str) -> None:
        self.is_loaded = True
        for guest in self.guests:
            guest.note_loaded()
        super().end_load(namespace)

    def restart(self, epoch: str) -> None:
        for guest in [guest for guest in self.guests if guest.client.ends]:
            guest.check()
            self.guests.remove(guest)
        self.arrivals.clear()
        for guest in self.guests:
            guest.note_restarted()
        super().restart(epoch)


class Guest:
    """A reader of everything, and what it is to see."""

    def __init__(self, hub: WatchedHub, *, follow: bool, room: int | None) -> None:
        ring = hub.store.ring("n")
        logs = [] if ring is None else ring.logs.values()
        self.hub = hub
        self.firsts = {log.source.pod: int(log.chunks.first().text.split(b"\n")[0]) for log in logs}  # held, by pod
        self.began_at = len(hub.arrivals)
        self.until: int | None = None  # so many arrivals concern it; None: all
        self.client = Client(hub, view(format=JSON, framing=PlainLines()), Start(), follow=follow, room=room)
        if hub.is_loaded:
            self.note_loaded()

    def note_loaded(self) -> None:
        if not self.client.follow and self.until is None:
            self.until = len(self.hub.arrivals)

    def note_restarted(self) -> None:
        self.firsts, self.began_at, self.until = {}, 0, None if self.until is None else 0

    def due(self) -> set[tuple[str, int]]:
        """Return the lines of each pod, from the first that was there when it came, or that came, to the last."""
        firsts, ends = dict(self.firsts), dict[str, int]()
        for pod, first, _ in self.hub.arrivals[self.began_at : self.until]:
            firsts.setdefault(pod, first)
        for pod, first, lines in self.hub.arrivals[: self.until]:
            ends[pod] = first + lines
        return {(pod, number) for pod, first in firsts.items() for number in range(first, ends[pod])}

    def check(self) -> None:
        shown, lost = list[tuple[str, int]](), 0
        for event in self.client.events():
            if event.kind == "line":
                members = json.loads(event.payload)
                shown.append((members["pod"], int(members["log"])))
            elif event.kind == "gap":
                number, reason = gap_of(event)
                assert (number is None) == (reason == "restarted")
                shown, lost = ([], 0) if number is None else (shown, lost + number)
        assert len(shown) == len(set(shown)), "twice"
        for pod in PODS:
            numbers = [number for one, number in shown if one == pod]
            assert numbers == sorted(numbers), "out of order"
        assert set(shown) <= self.due(), "not due"
        extra = len(shown) + lost - len(self.due())
        assert extra >= 0, "lost without a word"
        # What is missing of a source may be told although all that there was of it had left before the reader came; and
        # although the reader ends before what comes next.
        assert extra == 0 or self.hub.store.statistics().lines_evicted or not self.client.follow, "told, and not lost"
        assert [event.kind for event in self.client.events()].count("live") == self.client.follow
        assert self.client.ends == (not self.client.follow)


class Run:
    """A follower of a stream that has some messages at first, and the readers of its namespace."""

    def __init__(self, messages: list[Stored], ring_bytes: int) -> None:
        self.hub = WatchedHub(ring_bytes)
        self.bench = Bench(self.hub)
        self.bench.answers.on_batch = self.let_go
        self.batches = 0
        self.number = 10
        self.lines = Counter[str]()
        self.gone_at: dict[int, int] = {}
        for pod, lines, gone_at in messages:
            self.store(pod, lines)
            if gone_at is not None:
                self.gone_at[self.number] = gone_at

    def store(self, pod: str, lines: int) -> bytes:
        first = self.lines[pod]
        self.lines[pod] += lines
        self.number += 1
        texts = [str(number) for number in range(first, first + lines)]
        return self.bench.answers.store(self.number, chunk(0, *texts, writer=source(pod=pod)))

    def let_go(self) -> None:
        for number, gone_at in self.gone_at.items():
            if gone_at <= self.batches:
                self.bench.answers.stored.pop(number, None)
        self.batches += 1

    def join(self, *, follow: bool, room: int | None) -> None:
        self.hub.guests.append(Guest(self.hub, follow=follow, room=room))

    def write(self, pod: str) -> None:
        before = max(self.bench.answers.stored, default=0)
        data = self.store(pod, 2)
        self.bench.say(self.number, before, data)

    def restart(self) -> None:
        """Begin anew, as after a purge."""
        self.bench.answers.purge()
        self.lines.clear()
        self.hub.restart("e2")
        self.bench.follower.restart()
        for pod in PODS:
            self.store(pod, 3)

    def all_have_read(self) -> bool:
        """Tell whether everybody has been written all there is. A flush may take its time on a busy machine."""
        is_flushed = not any(feed.flush_scheduled for feed in self.hub.feeds.values())
        return is_flushed and all(guest.client.ends or guest.client.reader.is_live for guest in self.hub.guests)

    async def finish(self) -> None:
        """Have the last message of each pod say what was lost of it, and everybody read all there is."""
        await until(lambda: self.hub.is_loaded)
        for pod in PODS:
            self.write(pod)
        await until(lambda: self.bench.follower.last == self.number)
        for guest in self.hub.guests:
            guest.client.drain()
        await until(self.all_have_read)
        self.bench.follower.stop()
        self.bench.desk.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - many conditions
            await asyncio.sleep(0)


MESSAGES = st.lists(
    st.builds(Stored, st.sampled_from(PODS), st.integers(1, 5), st.none() | st.integers(0, 4)), max_size=25
)
ACTS = st.one_of(
    st.tuples(st.just("join"), st.booleans(), st.sampled_from([None, None, 0, 300])),
    st.tuples(st.just("join"), st.booleans(), st.sampled_from([None, None, 0, 300])),
    st.tuples(st.just("write"), st.sampled_from(PODS)),
    st.tuples(st.just("restart")),
)
SCRIPTS = st.lists(st.tuples(st.integers(0, 8), ACTS), max_size=12)


@given(MESSAGES, SCRIPTS, st.sampled_from([FEW_CHUNKS, ALL_CHUNKS]))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_each_line_is_read_once_or_counted_as_lost(
    messages: list[Stored], script: list[tuple[int, tuple[object, ...]]], ring_bytes: int
) -> None:
    async def body() -> None:
        run = Run(messages, ring_bytes)
        run.bench.follower.start()
        for turns, act in script:
            for _ in range(turns):
                await asyncio.sleep(0)
            match act:
                case "join", bool(follow), (int() | None) as room:
                    run.join(follow=follow, room=room)
                case "write", str(pod):
                    run.write(pod)
                case _:
                    run.restart()
        await run.finish()
        for guest in run.hub.guests:
            guest.check()

    with (
        patch("buffer.jetstream.follower.FIRST_BATCH", BatchSize(2, 1 << 20)),
        patch("buffer.jetstream.follower._NO_LEADER_SECONDS", 0),
        patch("buffer.jetstream.follower._LAG_SECONDS", 0),
    ):
        asyncio.run(body())
