from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from buffer.broker import BrokerUnavailable
from buffer.jetstream.ledger import Ledger
from buffer.jetstream.publisher import Publisher
from buffer.jetstream.shares import Shares
from buffer.jetstream.subjects import Subjects
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


async def test_all_that_was_sent_on_a_connection_that_is_gone_is_sent_again_on_the_next_one(
    replicas: Replicas, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.publisher._ACK_SECONDS", 60)  # nothing else may have it sent again
    monkeypatch.setattr("buffer.jetstream.publisher._LEAVE_SECONDS", 60)
    proxy = Proxy(nats.port)
    await proxy.start()
    a, _ = await replicas.start(url=proxy.url)
    b, heard = await replicas.start()
    await b.follow("n")
    await a.publish([chunk(0, "zero")])
    proxy.hold()
    publishing = asyncio.ensure_future(a.publish([chunk(0, text, writer=source(pod=text)) for text in "abcde"]))
    await asyncio.sleep(0)
    proxy.cut()
    proxy.let_go()
    await publishing
    await heard.until(lambda: len(heard.chunks) == 6)
    await a.close()
    await proxy.close()


class Mute:
    """A connection on which nobody answers."""

    def __init__(self) -> None:
        self.cut_at: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def expect(self, _: object) -> str:
        return "token"

    def send(self, *_: object) -> None:
        pass

    def forget(self, _: str) -> None:
        pass

    def cut(self) -> None:
        self.cut_at.set_result(asyncio.get_running_loop().time())


async def test_a_server_is_given_its_time_before_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.jetstream.publisher._LEAVE_SECONDS", 0.15)
    monkeypatch.setattr("buffer.jetstream.publisher._AGAIN_SECONDS", 0.05)
    mute, time = Mute(), asyncio.get_running_loop().time
    shares = Shares(1 << 20, 3600, time)
    publisher = Publisher(cast("Any", mute), Subjects("TEST"), Ledger(), shares, stored=lambda _: None)
    publishing = asyncio.create_task(publisher.publish([chunk(0, "one")], b""))
    await asyncio.sleep(0.12)
    connected_at = time()
    publisher.connected()  # somebody else has left the last one
    assert await mute.cut_at - connected_at > 0.15
    publishing.cancel()
    await asyncio.wait({publishing})
    await publisher.close(0)
