"""What every broker does: the same tests for all of them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from buffer.broker import BrokerUnavailable, MemoryBroker
from buffer.chunk import Chunk, pack
from buffer.disk import DiskBroker
from buffer.jetstream.broker import JetStreamBroker
from buffer.source import Source
from tests.buffer.jetstream.doubles import options
from tests.buffer.receivers import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.broker import Broker

BROKERS = ("memory", "disk", "jetstream")


def chunks(*texts: str, namespace: str = "myapp") -> list[Chunk]:
    return [
        chunk
        for text in texts
        for chunk in pack(Source(namespace), [text], [""], [None], arrived=1.0, max_line_bytes=1024)
    ]


@pytest.fixture(params=BROKERS)
def make(request: pytest.FixtureRequest) -> Callable[[], Broker]:
    """Return what makes a broker."""
    if request.param == "memory":
        return MemoryBroker
    if request.param == "disk":
        folder = str(request.getfixturevalue("tmp_path"))
        return lambda: DiskBroker(folder, key_seconds=120, now=time.time, report=pytest.fail)
    nats, stream = request.getfixturevalue("nats"), request.getfixturevalue("stream")
    return lambda: JetStreamBroker(options(nats.url, stream), time.time)


async def started(make: Callable[[], Broker], receiver: Recorder | None = None) -> tuple[Broker, Recorder]:
    """Return a broker that delivers two namespaces."""
    broker, receiver = make(), receiver or Recorder()
    await broker.start(receiver)
    await broker.follow("myapp")
    await broker.follow("another")
    return broker, receiver


async def test_chunks_are_delivered_in_the_order_given(make: Callable[[], Broker]) -> None:
    broker, receiver = await started(make)
    await broker.publish(chunks("one", "two", "three"))
    await receiver.until(3)
    assert receiver.texts == ["one", "two", "three"]
    await broker.close()


async def test_numbers_grow_over_all_calls_and_namespaces(make: Callable[[], Broker]) -> None:
    broker, receiver = await started(make)
    await broker.publish(chunks("one", "two"))
    await broker.publish([])
    await receiver.until(2)
    await broker.publish(chunks("three", namespace="another"))
    await receiver.until(3)
    assert receiver.texts == ["one", "two", "three"]
    assert receiver.seqs == sorted(set(receiver.seqs))
    assert receiver.seqs[0] > 0
    await broker.close()


async def test_a_chunk_has_its_number_when_it_is_delivered(make: Callable[[], Broker]) -> None:
    numbers = list[int]()
    broker, receiver = await started(make, Recorder(lambda chunk: numbers.append(chunk.seq)))
    await broker.publish(chunks("one"))
    await receiver.until(1)
    assert numbers == receiver.seqs
    await broker.close()


async def test_requests_that_come_together_are_numbered_in_order_and_none_is_torn(make: Callable[[], Broker]) -> None:
    broker, receiver = await started(make)
    requests = [chunks(*(f"{request}-{line}" for line in range(3))) for request in range(20)]
    await asyncio.gather(*(broker.publish(request) for request in requests))
    await receiver.until(60)
    assert receiver.texts == [line.decode() for request in requests for chunk in request for line in chunk.lines()]
    assert receiver.seqs == sorted(set(receiver.seqs))
    await broker.close()


async def test_a_broker_that_has_not_been_started_takes_nothing(make: Callable[[], Broker]) -> None:
    with pytest.raises(BrokerUnavailable) as raised:
        await make().publish(chunks("one"))
    assert raised.value.problem == "it has not been started"


async def test_what_is_followed_has_been_delivered(make: Callable[[], Broker]) -> None:
    broker, receiver = await started(make)
    await broker.publish(chunks("one"))
    await receiver.until(1)
    await broker.follow("myapp", receiver.seqs[-1])
    await broker.follow("myapp", receiver.seqs[-1] + 1000)
    assert receiver.texts == ["one"]
    broker.release("myapp")
    broker.release("myapp")
    await broker.close()


@pytest.mark.parametrize("whole", [True, False])
async def test_every_load_that_begins_comes_to_its_end(make: Callable[[], Broker], *, whole: bool) -> None:
    broker, receiver = await started(make)
    await broker.publish(chunks("one", namespace="third"))
    await broker.follow("third", whole=whole)
    await receiver.until(1)
    await broker.follow("third")
    assert receiver.texts == ["one"]
    assert receiver.loads[4:] in ([], [("third", "begins"), ("third", "ends")])
    await broker.close()


async def test_a_namespace_may_be_released_after_the_broker_is_closed(make: Callable[[], Broker]) -> None:
    broker, _ = await started(make)
    await broker.follow("myapp")
    await broker.close()
    broker.release("myapp")


@pytest.mark.parametrize("make", ["memory", "disk"], indirect=True)
async def test_a_large_request_lets_others_run_in_between(make: Callable[[], Broker]) -> None:
    turns, turns_at = 0, list[int]()

    def take_a_millisecond(_: Chunk) -> None:
        turns_at.append(turns)
        time.sleep(0.001)

    broker, receiver = await started(make, Recorder(take_a_millisecond))

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_turns())
    await broker.publish(chunks(*["x"] * 30))
    await receiver.until(30)
    counting.cancel()
    assert 3 <= turns_at[-1] - turns_at[0] <= 12
    await broker.close()


async def test_a_broker_is_well_from_its_start_to_its_close(make: Callable[[], Broker]) -> None:
    broker, _ = await started(make)
    assert (broker.problem, broker.weakness) == ("", "")
    await broker.close()


def test_brokers_in_memory_number_in_epochs_of_their_own() -> None:
    assert len({MemoryBroker().epoch for _ in range(100)}) == 100


def test_an_unavailable_broker_keeps_the_problem_out_of_its_sentence() -> None:
    error = BrokerUnavailable("it cannot reach nats://10.0.0.1")
    assert str(error) == "the broker cannot take logs now"
    assert error.problem == "it cannot reach nats://10.0.0.1"
