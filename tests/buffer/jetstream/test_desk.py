from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from buffer.jetstream.desk import FIRST_BATCH, MAX_BATCH, BatchSize
from tests.buffer.factories import chunk
from tests.buffer.jetstream.answers import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado.ioloop import IOLoop


class Work:
    """So many steps to be taken. Each is noted by its name."""

    def __init__(self, name: str, steps: int, taken: list[str]) -> None:
        self.name = name
        self.steps = steps
        self.taken = taken

    def step(self) -> bool:
        self.steps -= 1
        self.taken.append(self.name)
        return self.steps > 0


@pytest.fixture
def bench(io_loop: IOLoop) -> Iterator[Bench]:
    async def made() -> Bench:
        return Bench()

    bench: Bench = io_loop.run_sync(made)
    yield bench

    async def close() -> None:
        bench.desk.close()

    io_loop.run_sync(close)


def test_batches_grow_up_to_a_bound() -> None:
    sizes = [FIRST_BATCH]
    while sizes[-1] != MAX_BATCH:
        sizes.append(sizes[-1].next())
    assert sizes == sorted(sizes)
    assert 3 <= len(sizes) <= 5
    assert MAX_BATCH.next() == MAX_BATCH


async def test_as_much_is_fetched_as_was_asked_for(bench: Bench) -> None:
    for number in range(10, 15):
        bench.answers.store(number, chunk(0, str(number)))
    messages, was_last = await bench.desk.fetch(11, "test.n", BatchSize(2, 1000))
    assert ([message.number for message in messages], was_last) == ([11, 12], False)
    messages, was_last = await bench.desk.fetch(13, "test.n", BatchSize(2, 1000))
    assert ([message.number for message in messages], was_last) == ([13, 14], True)
    assert await bench.desk.fetch(15, "test.n", BatchSize(2, 1000)) == ([], True)


async def test_a_batch_that_was_asked_for_has_both_bounds(bench: Bench) -> None:
    sent = []
    bench.answers.send = lambda _, payload, token: sent.append(json.loads(payload))  # type: ignore[method-assign]  # noqa: ARG005
    fetching = asyncio.create_task(bench.desk.fetch(7, "test.n", BatchSize(2, 1000)))
    while not sent:  # noqa: ASYNC110 - nothing tells the test
        await asyncio.sleep(0)
    fetching.cancel()
    assert sent == [{"seq": 7, "next_by_subj": "test.n", "batch": 2, "max_bytes": 1000}]


async def test_those_that_have_something_to_deliver_take_turns(bench: Bench) -> None:
    taken = list[str]()
    for name, steps in (("a", 3), ("b", 1), ("c", 2)):
        bench.desk.schedule(Work(name, steps, taken))
    while len(taken) < 6:  # noqa: ASYNC110 - nothing tells the test
        await asyncio.sleep(0)
    assert taken == list("abcaca")


async def test_after_some_milliseconds_others_get_a_turn(bench: Bench) -> None:
    now, taken = 0.0, list[str]()

    def time() -> float:
        nonlocal now
        now += 0.001
        return now

    bench.desk.time = time
    bench.desk.schedule(Work("a", 20, taken))
    counts = []
    while len(taken) < 20:
        await asyncio.sleep(0)
        counts.append(len(taken))
    assert 3 <= len(counts) <= 8


async def test_a_desk_that_is_closed_delivers_nothing(bench: Bench) -> None:
    taken = list[str]()
    bench.desk.schedule(Work("a", 3, taken))
    bench.desk.close()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taken
