from __future__ import annotations

import asyncio
import time

import pytest

from buffer.broker import BrokerUnavailable, MemoryBroker
from buffer.chunk import Chunk, pack
from buffer.source import Source


def chunks(*texts: str) -> list[Chunk]:
    return [
        chunk
        for text in texts
        for chunk in pack(Source("myapp"), [text], [""], [None], arrived=1.0, max_line_bytes=1024)
    ]


async def started() -> tuple[MemoryBroker, list[Chunk]]:
    broker, delivered = MemoryBroker(), list[Chunk]()
    await broker.start(delivered.append)
    return broker, delivered


async def test_chunks_are_delivered_in_the_order_given_before_publish_returns() -> None:
    broker, delivered = await started()
    given = chunks("one", "two", "three")
    await broker.publish(given)
    assert delivered == given


async def test_numbers_grow_from_one_over_all_calls() -> None:
    broker, delivered = await started()
    await broker.publish(chunks("one", "two"))
    await broker.publish([])
    await broker.publish(chunks("three"))
    assert [chunk.seq for chunk in delivered] == [1, 2, 3]


async def test_a_chunk_has_its_number_when_it_is_delivered() -> None:
    broker, numbers = MemoryBroker(), list[int]()
    await broker.start(lambda chunk: numbers.append(chunk.seq))
    await broker.publish(chunks("one"))
    assert numbers == [1]


async def test_a_broker_that_has_not_been_started_takes_nothing() -> None:
    with pytest.raises(BrokerUnavailable) as raised:
        await MemoryBroker().publish(chunks("one"))
    assert raised.value.problem == "it has not been started"


def test_every_broker_numbers_in_an_epoch_of_its_own() -> None:
    assert len({MemoryBroker().epoch for _ in range(100)}) == 100


async def test_a_large_request_lets_others_run_in_between() -> None:
    broker, turns = MemoryBroker(), 0
    await broker.start(lambda _: time.sleep(0.001))

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_turns())
    await broker.publish(chunks(*["x"] * 30))
    counting.cancel()
    assert 3 <= turns <= 12


async def test_a_broker_in_memory_is_always_well_and_can_be_closed() -> None:
    broker, _ = await started()
    assert broker.problem == ""
    await broker.close()


def test_an_unavailable_broker_keeps_the_problem_out_of_its_sentence() -> None:
    error = BrokerUnavailable("it cannot reach nats://10.0.0.1")
    assert str(error) == "the broker cannot take logs now"
    assert error.problem == "it cannot reach nats://10.0.0.1"
