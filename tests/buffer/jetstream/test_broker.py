from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest

from buffer.broker import BrokerUnavailable, Lagging
from buffer.jetstream.broker import JetStreamBroker
from buffer.jetstream.connection import Connection
from buffer.jetstream.stream import StreamMissing
from tests.buffer.factories import chunk, source
from tests.buffer.jetstream.doubles import Recorder, options
from tests.buffer.jetstream.proxy import Proxy

if TYPE_CHECKING:
    from benchmarks.cluster.nats_server import NatsServer
    from tests.buffer.jetstream.doubles import Replicas


async def test_replicas_agree_on_the_epoch(replicas: Replicas) -> None:
    started = await asyncio.gather(*[replicas.start() for _ in range(5)])
    assert len({broker.epoch for broker, _ in started}) == 1
    assert [recorder.epochs for _, recorder in started] == [[started[0][0].epoch]] * 5


async def test_what_one_replica_publishes_another_delivers_live(replicas: Replicas) -> None:
    (a, _), (b, heard) = await replicas.start(), await replicas.start()
    await b.follow("n")
    await a.publish([chunk(0, "one", "two"), chunk(0, "three")])
    await heard.until_texts("one\ntwo", "three")
    assert heard.chunks[0].seq < heard.chunks[1].seq


async def test_a_replica_delivers_what_it_has_published_itself(replicas: Replicas) -> None:
    broker, heard = await replicas.start()
    await broker.follow("n")
    await broker.publish([chunk(0, "one")])
    await heard.until_texts("one")


async def test_what_was_published_before_has_been_delivered_once_follow_returns(replicas: Replicas) -> None:
    (a, _), (b, heard) = await replicas.start(), await replicas.start()
    await a.publish([chunk(0, f"line {number}") for number in range(300)])
    await b.follow("n")
    assert heard.texts == [f"line {number}" for number in range(300)]
    assert not heard.lost


async def test_a_namespace_that_is_not_followed_is_not_delivered(replicas: Replicas) -> None:
    broker, heard = await replicas.start()
    await broker.follow("n")
    await broker.publish([chunk(0, "other", writer=source("other")), chunk(0, "ours")])
    await heard.until_texts("ours")


async def test_a_place_that_one_replica_has_reached_is_waited_for_at_another(replicas: Replicas) -> None:
    (a, at_a), (b, at_b) = await replicas.start(), await replicas.start()
    await a.follow("n")
    await b.follow("n")
    for number in range(50):
        await a.publish([chunk(0, str(number))])
        await at_a.until(lambda: at_a.chunks)
        await b.follow("n", at_a.chunks[-1].seq)
        assert at_b.chunks[-1].seq >= at_a.chunks[-1].seq
        b.release("n")


async def test_a_place_that_nobody_has_reached_is_not_waited_for(replicas: Replicas) -> None:
    broker, _ = await replicas.start()
    async with asyncio.timeout(2):
        await broker.follow("n", 1 << 59)


@pytest.mark.parametrize("namespace", ["a.b c*>", "ünï", "x" * 5000, "A", "$epoch", "%24epoch", "\udcff"])
async def test_any_namespace_can_be_followed(replicas: Replicas, namespace: str) -> None:
    broker, heard = await replicas.start()
    await broker.follow(namespace)
    if namespace == "\udcff":
        return  # no line can have it: it is not UTF-8
    await broker.publish([chunk(0, "live", writer=source(namespace))])
    await heard.until_texts("live")
    other, again = await replicas.start()
    await other.follow(namespace)
    assert again.texts == ["live"]


async def test_a_namespace_is_forgotten_some_time_after_its_last_reader_has_left(replicas: Replicas) -> None:
    broker, heard = await replicas.start(linger=0.05)
    await broker.follow("n")
    await broker.follow("n")
    broker.release("n")
    await broker.publish([chunk(0, "one")])
    await heard.until_texts("one")
    broker.release("n")
    await heard.until(lambda: heard.events[-1] == ("forgotten", "n"))
    await broker.publish([chunk(0, "two")])
    await broker.follow("n")
    assert heard.texts == ["one", "one", "two"]


async def test_a_namespace_whose_readers_come_back_in_time_is_not_forgotten(replicas: Replicas) -> None:
    broker, heard = await replicas.start(linger=0.2)
    await broker.follow("n")
    broker.release("n")
    await broker.follow("n")
    await asyncio.sleep(0.3)
    assert not heard.events


async def test_publishing_before_the_start_is_refused() -> None:
    broker = JetStreamBroker(options("nats://127.0.0.1:1", "NONE"), time.time)
    with pytest.raises(BrokerUnavailable) as raised:
        await broker.publish([chunk(0, "x")])
    assert raised.value.problem == "it has not been started"


async def test_without_nats_it_starts_and_says_so_and_serves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.jetstream.broker._START_SECONDS", 0.1)
    broker = JetStreamBroker(options("nats://127.0.0.1:1", "NONE"), time.time)
    await broker.start(Recorder())
    assert broker.problem.startswith("there is no connection to NATS")
    with pytest.raises(Lagging):
        await broker.follow("n")
    broker.release("n")
    with pytest.raises(BrokerUnavailable):
        await broker.publish([chunk(0, "x")])
    await broker.close()


async def test_a_replica_that_started_before_nats_serves_once_that_is_there(
    own_nats: NatsServer, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.broker._START_SECONDS", 0.1)
    own_nats.kill()
    broker, heard = JetStreamBroker(options(own_nats.url, stream), time.time), Recorder()
    await broker.start(heard)
    own_nats.start()
    await heard.until(lambda: heard.epochs)
    await broker.follow("n")
    await broker.publish([chunk(0, "one")])
    await heard.until_texts("one")
    assert not broker.problem
    await broker.close()


async def test_what_is_stored_outlives_the_server(
    replicas: Replicas, own_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.publisher.GIVE_UP_SECONDS", 0.5)
    broker, heard = await replicas.start(url=own_nats.url)
    await broker.follow("n")
    await broker.publish([chunk(0, "before")])
    own_nats.kill()
    with pytest.raises(BrokerUnavailable):
        await broker.publish([chunk(0, "refused")], b"key")
    assert broker.problem
    monkeypatch.undo()
    own_nats.start()
    await broker.publish([chunk(0, "after")])
    assert not broker.problem
    await heard.until_texts("before", "after")
    assert not heard.lost
    assert len(heard.epochs) == 1
    other, again = await replicas.start(url=own_nats.url)
    await other.follow("n")
    assert again.texts == ["before", "after"]


async def test_a_request_that_comes_again_elsewhere_is_completed_and_nothing_doubled(replicas: Replicas) -> None:
    (a, _), (b, heard) = await replicas.start(), await replicas.start()
    await b.follow("n")
    request = [chunk(0, text, writer=source(pod=text)) for text in ("one", "two", "three")]
    await a.publish(request[:2], b"key")  # it was cut off then
    await b.publish(request, b"key")
    await a.publish(request, b"key")
    await heard.until_texts("one", "two", "three")
    await a.publish([chunk(0, "last")])
    await heard.until_texts("one", "two", "three", "last")
    assert not heard.lost


async def test_requests_without_a_key_are_all_stored(replicas: Replicas) -> None:
    broker, heard = await replicas.start()
    await broker.follow("n")
    await broker.publish([chunk(0, "x")])
    await broker.publish([chunk(0, "x")])
    await heard.until_texts("x", "x")


async def test_more_than_the_window_holds_is_stored_in_order(replicas: Replicas) -> None:
    broker, heard = await replicas.start()
    await broker.follow("n")
    await broker.publish([chunk(0, str(number), writer=source(pod=f"web-{number % 700}")) for number in range(2000)])
    await heard.until(lambda: len(heard.chunks) == 2000)
    by_pod: dict[str, list[int]] = {}
    for one in heard.chunks:
        by_pod.setdefault(one.source.pod, []).append(int(one.text))
    assert all(numbers == sorted(numbers) for numbers in by_pod.values())


async def test_a_stream_that_was_purged_is_another_one(replicas: Replicas) -> None:
    broker, heard = await replicas.start()
    other, at_other = await replicas.start()
    await broker.follow("n")
    await broker.publish([chunk(0, "before")])
    admin = await replicas.admin()
    await admin.do("PURGE")
    await asyncio.gather(heard.until(lambda: len(heard.epochs) == 2), at_other.until(lambda: len(at_other.epochs) == 2))
    assert broker.epoch == other.epoch == heard.epochs[1] == at_other.epochs[1]
    await other.publish([chunk(0, "after")])
    await heard.until_texts("after")
    await admin.close()


async def test_a_stream_that_was_deleted_is_made_again(replicas: Replicas) -> None:
    broker, heard = await replicas.start()
    other, _ = await replicas.start()
    await broker.follow("n")
    await broker.publish([chunk(0, "before")])
    await heard.until_texts("before")
    highest = heard.chunks[0].seq
    admin = await replicas.admin()
    await admin.do("DELETE")
    await other.publish([chunk(0, "after")])
    await heard.until(lambda: len(heard.epochs) == 2)
    await heard.until_texts("after")
    assert heard.chunks[0].seq > highest
    await broker.follow("n")
    assert broker.epoch == other.epoch
    await admin.close()


async def test_what_is_no_message_is_passed_over(replicas: Replicas) -> None:
    broker, heard = await replicas.start()
    await broker.follow("n")
    admin = await replicas.admin()
    await admin.publish(f"{replicas.stream.lower()}.n", b"hello")
    await broker.publish([chunk(0, "one")])
    await heard.until_texts("one")
    assert not heard.lost
    await admin.close()


async def test_a_closed_broker_lets_readers_go() -> None:
    broker = JetStreamBroker(options("nats://127.0.0.1:1", "NONE"), time.time)
    await broker.close()
    broker.release("n")


async def test_a_cursor_of_another_numbering_has_the_leader_asked_which_one_it_is(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = Connection.hear

    def hear_no_epoch(connection: Connection, subject: str, handler: Any) -> None:
        if "$epoch" not in subject:
            hear(connection, subject, handler)

    monkeypatch.setattr(Connection, "hear", hear_no_epoch)
    monkeypatch.setattr("buffer.jetstream.broker._PULSE_SECONDS", 60)
    a, _ = await replicas.start()
    b, at_b = await replicas.start()
    for broker in (a, b):
        await broker.follow("n")
    await a.publish([chunk(0, "one")])
    await at_b.until_texts("one")
    admin = await replicas.admin()
    await admin.do("PURGE")
    await admin.close()
    assert await a.check()
    assert a.epoch != b.epoch
    assert not await b.follow("n", 0, a.epoch)
    assert a.epoch == b.epoch
    assert not at_b.texts


async def test_a_stream_that_is_deleted_again_and_again_is_made_once_that_ends(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = await replicas.start()
    with monkeypatch.context() as missing:
        missing.setattr("buffer.jetstream.epoch.Epoch.check", AsyncMock(side_effect=StreamMissing))
        assert not await a.check()
    assert await a.check()


async def test_a_namespace_is_loaded_from_its_first_message_to_its_last(replicas: Replicas) -> None:
    (a, _), (b, heard) = await replicas.start(), await replicas.start()
    await a.publish([chunk(0, f"line {number}") for number in range(300)])
    await b.follow("n")
    assert heard.loads == [("n", "begins", 0), ("n", "ends", 300)]
    await b.follow("n", whole=False)
    assert len(heard.loads) == 2


async def test_who_does_not_want_to_wait_for_the_whole_is_let_in_at_once(replicas: Replicas) -> None:
    (a, _), (b, heard) = await replicas.start(), await replicas.start()
    await a.publish([chunk(0, f"line {number}") for number in range(300)])
    assert not await b.follow("n", whole=False)
    assert heard.loads == [("n", "begins", 0)]
    await heard.until(lambda: heard.loads[-1] == ("n", "ends", 300))


async def test_a_new_numbering_is_loaded_anew(replicas: Replicas) -> None:
    broker, heard = await replicas.start()
    await broker.publish([chunk(0, "before")])
    await broker.follow("n")
    admin = await replicas.admin()
    await admin.do("PURGE")
    await admin.close()
    await heard.until(lambda: heard.loads[2:] == [("n", "begins", 0), ("n", "ends", 0)])
    await broker.publish([chunk(0, "after")])
    await heard.until_texts("after")


async def test_a_replica_that_was_cut_off_until_all_that_it_knew_was_gone_begins_anew(
    replicas: Replicas, own_nats: NatsServer
) -> None:
    proxy, chance = Proxy(own_nats.port), random.Random(1)
    await proxy.start()
    a, _ = await replicas.start(url=own_nats.url, max_bytes=200_000)
    b, heard = await replicas.start(url=proxy.url, max_bytes=200_000)
    await b.follow("n")
    await a.publish([chunk(0, "one")])
    await heard.until_texts("one")
    assert await b.check()
    proxy.hold()
    await a.publish([chunk(0, "two", writer=source(pod="web-1"))])  # of this one, nothing is left, nor will be
    for _ in range(5):
        await a.publish([chunk(0, chance.randbytes(4000).hex(), writer=source("other", f"{n}")) for n in range(20)])
        assert await a.check()
    proxy.cut()
    proxy.let_go()
    await heard.until(lambda: len(heard.epochs) == 2)
    assert heard.epochs == [b.epoch] * 2
    await a.publish([chunk(0, "three")])
    await heard.until_texts("three")
    await b.close()
    await proxy.close()


async def test_a_replica_that_was_cut_off_for_a_moment_goes_on(replicas: Replicas, own_nats: NatsServer) -> None:
    proxy = Proxy(own_nats.port)
    await proxy.start()
    a, _ = await replicas.start(url=own_nats.url)
    b, heard = await replicas.start(url=proxy.url)
    await b.follow("n")
    await a.publish([chunk(0, "one")])
    await heard.until_texts("one")
    proxy.hold()
    await a.publish([chunk(0, "two", writer=source(pod="web-1"))])
    proxy.cut()
    proxy.let_go()
    await heard.until_texts("one", "two")
    assert await b.check()
    assert len(heard.epochs) == 1
    await b.close()
    await proxy.close()


async def test_a_cursor_waits_for_the_whole_and_is_refused_if_that_does_not_come(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    a, at_a = await replicas.start()
    await a.follow("n")
    await a.publish([chunk(0, f"line {number}") for number in range(300)])
    await at_a.until(lambda: len(at_a.chunks) == 300)
    monkeypatch.setattr("buffer.jetstream.broker._FOLLOW_SECONDS", 0.3)
    monkeypatch.setattr("buffer.jetstream.leader.Leader.last", never)  # it is loaded nearly to its end
    b, at_b = await replicas.start()
    with pytest.raises(Lagging):
        await b.follow("n", at_a.chunks[7].seq, b.epoch)
    assert at_b.loads == [("n", "begins", 0)]
    assert not await b.follow("n")
