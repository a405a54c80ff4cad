from __future__ import annotations

from buffer.broker import Broker, BrokerUnavailable, MemoryBroker
from buffer.chunk import Chunk, pack
from buffer.source import Source


def chunks(*texts: str) -> list[Chunk]:
    return [
        chunk
        for text in texts
        for chunk in pack(Source("myapp"), [text], [""], [None], arrived=1.0, max_line_bytes=1024)
    ]


def subscribed() -> tuple[Broker, list[Chunk]]:
    broker, delivered = MemoryBroker(), list[Chunk]()
    broker.subscribe(delivered.append)
    return broker, delivered


async def test_chunks_are_delivered_in_the_order_given_before_publish_returns() -> None:
    broker, delivered = subscribed()
    given = chunks("one", "two", "three")
    await broker.publish(given)
    assert delivered == given


async def test_numbers_grow_from_one_over_all_calls() -> None:
    broker, delivered = subscribed()
    await broker.publish(chunks("one", "two"))
    await broker.publish([])
    await broker.publish(chunks("three"))
    assert [chunk.seq for chunk in delivered] == [1, 2, 3]


async def test_a_chunk_has_its_number_when_it_is_delivered() -> None:
    broker, numbers = MemoryBroker(), list[int]()
    broker.subscribe(lambda chunk: numbers.append(chunk.seq))
    await broker.publish(chunks("one"))
    assert numbers == [1]


def test_every_broker_numbers_in_an_epoch_of_its_own() -> None:
    assert len({MemoryBroker().epoch for _ in range(100)}) == 100


def test_an_unavailable_broker_says_so() -> None:
    assert str(BrokerUnavailable()) == "the broker cannot take logs now"
