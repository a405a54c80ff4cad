from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from buffer.broker import BrokerUnavailable
from tests.buffer.factories import chunk, source
from tests.buffer.jetstream.proxy import Proxy

if TYPE_CHECKING:
    from benchmarks.cluster.nats_server import NatsServer
    from tests.buffer.jetstream.doubles import Replicas


async def test_what_is_not_acknowledged_is_sent_again_and_stored_once(replicas: Replicas, nats: NatsServer) -> None:
    proxy = Proxy(nats.port)
    await proxy.start()
    a, _ = await replicas.start(url=proxy.url)
    b, heard = await replicas.start()
    await b.follow("n")
    proxy.passes = lambda subject: not subject.startswith("_INBOX")
    publishing = asyncio.ensure_future(a.publish([chunk(0, "one"), chunk(0, "two")]))
    await heard.until_texts("one")
    proxy.passes = lambda _: True
    await publishing
    await heard.until_texts("one", "two")
    assert a.counts["sent_again"] >= 1
    await a.publish([chunk(0, "three")])
    await heard.until_texts("one", "two", "three")
    assert not heard.lost
    await a.close()
    await proxy.close()


async def test_a_request_is_given_up_after_its_time_and_can_come_again(
    replicas: Replicas, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(nats.port)
    await proxy.start()
    a, _ = await replicas.start(url=proxy.url)
    b, heard = await replicas.start()
    await b.follow("n")
    monkeypatch.setattr("buffer.jetstream.publisher.GIVE_UP_SECONDS", 0.4)
    proxy.hold()
    request = [chunk(0, text, writer=source(pod=text)) for text in ("one", "two")]
    refused = await asyncio.gather(
        a.publish(request, b"key"), a.publish([chunk(0, "three")], b"another"), return_exceptions=True
    )
    assert [type(error) for error in refused] == [BrokerUnavailable] * 2
    monkeypatch.undo()
    proxy.let_go()
    await b.publish(request, b"key")
    await a.publish(request, b"key")
    await a.publish([chunk(0, "three")], b"another")
    await heard.until(lambda: len(heard.chunks) == 3)
    await a.publish([chunk(0, "four")])
    await heard.until(lambda: len(heard.chunks) == 4)
    assert sorted(heard.texts) == ["four", "one", "three", "two"]
    assert not heard.lost
    await a.close()
    await proxy.close()


async def test_a_publisher_that_is_cancelled_leaves_room_for_others(
    replicas: Replicas, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.publisher.WINDOW_MESSAGES", 4)
    proxy = Proxy(nats.port)
    await proxy.start()
    a, heard = await replicas.start(url=proxy.url)
    await a.follow("n")
    proxy.hold()
    publishing = asyncio.ensure_future(a.publish([chunk(0, str(number)) for number in range(20)]))
    await asyncio.sleep(0)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    proxy.let_go()
    await a.publish([chunk(0, f"new {number}") for number in range(20)])
    await heard.until(lambda: len([text for text in heard.texts if text.startswith("new")]) == 20)
    await a.close()
    await proxy.close()


@pytest.mark.parametrize("replica_count", [1, 2])
async def test_chatty_pods_leave_a_quiet_one_its_lines(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch, replica_count: int
) -> None:
    monkeypatch.setattr("buffer.jetstream.shares.MIN_SECONDS", 1)
    monkeypatch.setattr("buffer.jetstream.shares._MEMORY_SECONDS", 1)
    started = [await replicas.start(namespace_bytes=300_000) for _ in range(replica_count)]
    await started[0][0].publish([chunk(0, "quiet", writer=source(pod="quiet"))])
    for number in range(40):
        broker = started[number % replica_count][0]
        await broker.publish([chunk(0, "x" * 50_000, writer=source(pod=f"chatty-{pod}")) for pod in range(4)])
    admin = await replicas.admin()
    subject = f"{replicas.stream.lower()}.n"
    while True:
        state = (await admin.do("INFO", subjects_filter=subject))["state"]
        if state["subjects"].get(subject, 0) <= 30:
            break
    await admin.close()
    other, heard = await replicas.start()
    await other.follow("n")
    assert heard.texts.count("quiet") == 1
