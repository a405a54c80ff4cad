from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from buffer.broker import Lagging
from tests.buffer.factories import chunk, source
from tests.buffer.jetstream.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado.ioloop import IOLoop

    from benchmarks.cluster.nats_server import NatsServer
    from tests.buffer.jetstream.doubles import Replicas


@pytest.fixture
def proxy(io_loop: IOLoop, nats: NatsServer) -> Iterator[Proxy]:
    made = Proxy(nats.port)
    io_loop.run_sync(made.start)
    yield made
    io_loop.run_sync(made.close)


@pytest.fixture
def replicas(proxy: Proxy, replicas: Replicas) -> Replicas:
    """Those that are closed before the proxy is."""
    assert proxy.url
    return replicas


async def test_what_is_not_heard_is_fetched_once_the_next_message_is(replicas: Replicas, proxy: Proxy) -> None:
    a, _ = await replicas.start()
    b, heard = await replicas.start(url=proxy.url)
    await b.follow("n")
    proxy.passes = lambda subject: "-live.n" not in subject
    await a.publish([chunk(0, "one"), chunk(0, "two")])
    proxy.passes = lambda _: True
    await a.publish([chunk(0, "three")])
    await heard.until_texts("one", "two", "three")
    assert not heard.lost


@pytest.mark.parametrize("earlier", [0, 1])
async def test_what_is_not_heard_at_first_is_fetched_once_the_next_message_is(
    replicas: Replicas, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, earlier: int
) -> None:
    monkeypatch.setattr("buffer.jetstream.follower.Follower.peek", lambda _: None)  # nothing else may find it
    a, _ = await replicas.start()
    b, heard = await replicas.start(url=proxy.url)
    for _ in range(earlier):
        await a.publish([chunk(0, "zero")])
    await b.follow("n")
    passing = iter([False, False])
    proxy.passes = lambda subject: "-live.n" not in subject or next(passing, True)
    await a.publish([chunk(0, text) for text in ("one", "two", "three")])
    await heard.until_texts(*["zero"] * earlier, "one", "two", "three")
    assert not heard.lost


async def test_a_last_message_that_is_not_heard_is_fetched_within_seconds(replicas: Replicas, proxy: Proxy) -> None:
    a, _ = await replicas.start()
    b, heard = await replicas.start(url=proxy.url)
    await b.follow("n")
    proxy.passes = lambda subject: "-live.n" not in subject
    await a.publish([chunk(0, "one")])
    await heard.until_texts("one")


async def test_messages_that_change_places_are_delivered_in_order(replicas: Replicas, proxy: Proxy) -> None:
    a, _ = await replicas.start()
    b, heard = await replicas.start(url=proxy.url)
    await b.follow("n")
    proxy.swapping = f"{replicas.stream.lower()}-live.n"
    for number in range(100):
        await a.publish([chunk(0, str(number))])
    await heard.until(lambda: len(heard.chunks) == 100)
    assert heard.texts == [str(number) for number in range(100)]
    assert not heard.lost


async def test_any_message_may_get_lost_on_the_way(replicas: Replicas, proxy: Proxy) -> None:
    dice = random.Random(5)
    a, _ = await replicas.start()
    b, heard = await replicas.start(url=proxy.url)
    await b.follow("n")
    proxy.passes = lambda subject: "-live." not in subject or dice.random() < 0.7
    for number in range(200):
        await a.publish([chunk(0, str(number), writer=source(pod=f"web-{number % 5}"))])
    await heard.until(lambda: len(heard.chunks) == 200)
    assert heard.texts == [str(number) for number in range(200)]
    assert not heard.lost


async def test_a_replica_that_was_cut_off_goes_on_where_it_was(replicas: Replicas, proxy: Proxy) -> None:
    a, _ = await replicas.start()
    b, heard = await replicas.start(url=proxy.url)
    await b.follow("n")
    await a.publish([chunk(0, "one")])
    await heard.until_texts("one")
    proxy.hold()
    await a.publish([chunk(0, "two")])
    proxy.cut()
    proxy.let_go()
    await a.publish([chunk(0, "three")])
    await heard.until_texts("one", "two", "three")
    assert not heard.lost
    assert len(heard.epochs) == 1


@pytest.fixture
def short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all messages gone after a second."""
    monkeypatch.setattr("buffer.jetstream.shares.MIN_SECONDS", 1)
    monkeypatch.setattr("buffer.jetstream.publisher._FAREWELL_SECONDS", 0)


@pytest.mark.usefixtures("short_lives")
async def test_what_has_gone_before_it_was_fetched_is_counted(replicas: Replicas, proxy: Proxy) -> None:
    a, _ = await replicas.start(namespace_bytes=1)
    b, heard = await replicas.start(url=proxy.url)
    c, at_c = await replicas.start()
    await b.follow("n")
    await c.follow("n")
    await a.publish([chunk(0, "one", "two")])
    await heard.until_texts("one\ntwo")
    proxy.hold()
    await a.publish([chunk(0, "three", "four", "five"), chunk(0, "six")])
    await at_c.until(lambda: len(at_c.chunks) == 3)
    await _until_gone(replicas, at_c.chunks[2].seq)
    await a.publish([chunk(0, "seven")])
    proxy.let_go()
    proxy.cut()
    await heard.until(lambda: len(heard.chunks) == 2)
    assert heard.texts[-1] == "seven"
    assert heard.lost == [("web-0", at_c.chunks[2].seq, 4)]


async def _until_gone(replicas: Replicas, number: int) -> None:
    """Wait until the stream has let go of a message."""
    admin = await replicas.admin()
    while "error" not in await admin.do("MSG.GET", seq=number):
        pass
    await admin.close()


@pytest.mark.usefixtures("short_lives")
async def test_a_source_that_is_silent_says_farewell_before_its_last_message_goes(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.publisher._FAREWELL_SECONDS", 1)
    monkeypatch.setattr("buffer.jetstream.broker._PULSE_SECONDS", 0.1)
    a, _ = await replicas.start(namespace_bytes=1)
    b, at_b = await replicas.start()
    await b.follow("n")
    await a.publish([chunk(0, "one", "two")])
    await at_b.until_texts("one\ntwo")
    seen = at_b.chunks[0].seq
    await _until_gone(replicas, seen)
    c, at_c = await replicas.start()
    assert not await c.follow("n", seen)
    assert at_c.events == [("lost", "web-0", seen, None)]


@pytest.mark.usefixtures("short_lives")
async def test_a_number_that_has_gone_without_a_trace_is_doubtful(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.publisher.Publisher.say_farewells", lambda *_, **__: None)
    a, at_a = await replicas.start(namespace_bytes=1)
    await a.follow("n")
    await a.publish([chunk(0, "one")])
    await at_a.until_texts("one")
    seen = at_a.chunks[0].seq
    await _until_gone(replicas, seen)
    await a.publish([chunk(0, "other", writer=source("other"))])
    c, at_c = await replicas.start()
    assert await c.follow("n", seen)
    assert at_c.events == [("reached", "n", seen)]
    assert not await a.follow("n", seen)


async def test_a_number_that_nobody_can_say_anything_about_is_refused(
    replicas: Replicas, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.broker._FOLLOW_SECONDS", 0.3)
    a, at_a = await replicas.start()
    b, heard = await replicas.start(url=proxy.url)
    await a.follow("n")
    await b.follow("n")
    proxy.hold()
    await a.publish([chunk(0, "one")])
    await at_a.until_texts("one")
    with pytest.raises(Lagging):
        await b.follow("n", at_a.chunks[0].seq)
    proxy.let_go()
    await heard.until_texts("one")
    await b.follow("n", at_a.chunks[0].seq)


async def test_what_cannot_be_loaded_now_is_loaded_once_nats_is_back(
    replicas: Replicas, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.broker._FOLLOW_SECONDS", 0.1)
    a, _ = await replicas.start()
    await a.publish([chunk(0, "one")])
    b, heard = await replicas.start(url=proxy.url)
    proxy.hold()
    await b.follow("n", whole=False)
    await b.follow("n")  # who looks for some lines begins with what there is after a while
    assert heard.loads == [("n", "begins", 0)]
    proxy.let_go()
    await heard.until(lambda: heard.loads[-1] == ("n", "ends", 1))
    assert heard.texts == ["one"]
