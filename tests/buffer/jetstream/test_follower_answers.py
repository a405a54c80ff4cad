"""The follower, and answers that a real server gives only with bad luck."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from buffer.jetstream.desk import BatchSize
from tests.buffer.factories import chunk
from tests.buffer.jetstream.answers import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado.ioloop import IOLoop


@pytest.fixture
def bench(io_loop: IOLoop) -> Iterator[Bench]:
    async def made() -> Bench:
        return Bench()

    bench: Bench = io_loop.run_sync(made)
    yield bench

    async def close() -> None:
        bench.follower.stop()
        bench.desk.close()
        await asyncio.sleep(0)

    io_loop.run_sync(close)


@pytest.mark.parametrize("lost", [{11}, {13}, {10, 11}, {10, 11, 12, 13}])
async def test_what_gets_lost_of_a_batch_is_fetched_again(
    bench: Bench, lost: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.desk._BATCH_SECONDS", 0.05)
    for number in range(10, 14):
        bench.answers.store(number, chunk(0, str(number)))
    bench.answers.unheard = set(lost)
    bench.follower.start()
    await bench.follower.wait(13)
    assert bench.heard.texts == ["10", "11", "12", "13"]
    assert not bench.heard.lost


async def test_a_number_is_gone_only_if_all_was_fetched_after_it_was_found_to_be_given_out(bench: Bench) -> None:
    bench.answers.store(10, chunk(0, "one"))
    bench.follower.start()
    await bench.follower.wait(0)
    bench.answers.copied = dict(bench.answers.stored)  # the server that answers batches lags behind
    bench.answers.store(11, chunk(0, "two"))
    bench.follower.peek()
    waiting = asyncio.create_task(bench.follower.wait(11))
    for _ in range(50):  # whenever one look is over, there is another one
        bench.follower.peek()
        await asyncio.sleep(0)
    bench.answers.copied = None
    await waiting
    assert bench.heard.texts == ["one", "two"]
    assert ("reached", "n", 11) not in bench.heard.events


@pytest.mark.parametrize("is_heard", [True, False])
async def test_what_follows_nothing_is_delivered_only_once_the_epoch_is_known_to_be_the_same(
    bench: Bench,
    is_heard: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    bench.answers.store(10, chunk(0, "one"))
    bench.follower.start()
    await bench.follower.wait(0)
    bench.answers.stored.clear()  # as after a purge
    bench.is_answered, checks = False, bench.checks
    data = bench.answers.store(20, chunk(0, "two"))
    if is_heard:
        bench.say(20, 0, data)
    else:
        bench.follower.peek()
    while bench.checks == checks:  # noqa: ASYNC110 - nothing tells the test
        await asyncio.sleep(0)
    assert bench.heard.texts == ["one"]
    bench.is_answered = True
    while len(bench.heard.texts) < 2:
        bench.follower.peek()
        await asyncio.sleep(0.01)
    assert bench.heard.texts == ["one", "two"]


async def test_the_first_message_that_is_heard_may_belong_to_a_new_numbering(bench: Bench) -> None:
    bench.follower.start()
    await bench.follower.wait(0)
    data = bench.answers.store(20, chunk(0, "one"))

    async def restart() -> bool:
        bench.heard.restart("e2")
        bench.follower.restart()
        return True

    bench.desk.check_epoch = restart
    bench.say(20, 0, data)
    await bench.heard.until(lambda: bench.heard.epochs)
    bench.desk.check_epoch = bench.check_epoch
    await bench.heard.until_texts("one")
    await asyncio.sleep(0.05)
    assert bench.heard.texts == ["one"]


async def test_a_leader_that_takes_nothing_cannot_say_that_a_number_was_not_given_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.follower._BEYOND_SECONDS", 0)
    bench.follower.start()
    waiting = asyncio.create_task(bench.follower.wait(11))
    while bench.writes < 3:  # noqa: ASYNC110 - nothing tells the test
        await asyncio.sleep(0)
    bench.given_out = 12
    while bench.writes < 6:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0)
    assert not waiting.done()
    bench.answers.store(11, chunk(0, "one"))
    await waiting
    assert bench.heard.texts == ["one"]


async def test_a_number_that_was_not_given_out_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.jetstream.follower._BEYOND_SECONDS", 0)
    bench.follower.start()
    bench.given_out = 10
    await bench.follower.wait(11)
    assert bench.writes == 1
    assert not bench.heard.events


async def test_what_a_server_that_lags_behind_holds_from_before_a_purge_does_not_come_again(bench: Bench) -> None:
    bench.answers.store(10, chunk(0, "one"))
    bench.follower.start()
    await bench.follower.wait(0)
    bench.answers.copied = dict(bench.answers.stored)
    bench.answers.stored.clear()
    bench.answers.store(12, chunk(0, "two"))
    bench.heard.restart("e2")
    bench.follower.restart()
    asyncio.get_running_loop().call_later(0.1, setattr, bench.answers, "copied", None)
    await bench.heard.until_texts("two")


@pytest.mark.parametrize("turns", range(6))
async def test_a_follower_that_has_stopped_delivers_nothing_more(bench: Bench, turns: int) -> None:
    bench.answers.store(10, chunk(0, "one"))
    bench.follower.start()
    await bench.follower.wait(0)
    bench.answers.store(11, chunk(0, "two"))
    data = bench.answers.store(12, chunk(0, "three"))
    bench.say(12, 11, data)
    for _ in range(turns):
        await asyncio.sleep(0)
    bench.follower.stop()
    delivered = list(bench.heard.texts)
    for _ in range(50):
        await asyncio.sleep(0)
    assert bench.heard.texts == delivered


async def test_what_is_loaded_is_delivered_once_it_is_known_which_numbering_it_belongs_to(bench: Bench) -> None:
    asked, is_answered = asyncio.Event(), asyncio.Event()

    async def check_epoch() -> bool:
        asked.set()
        return await is_answered.wait()

    bench.desk.check_epoch = check_epoch
    bench.answers.store(10, chunk(0, "one"))
    bench.follower.start()
    await asked.wait()
    assert not bench.heard.texts
    is_answered.set()
    await bench.follower.wait(0)
    assert bench.heard.texts == ["one"]
    assert bench.heard.loads == [("n", "begins", 0), ("n", "ends", 1)]


@pytest.mark.parametrize("is_silent", [False, True])
async def test_a_backlog_is_loaded_although_there_is_no_leader_to_ask(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, is_silent: bool
) -> None:
    async def never() -> bool:
        bench.checks += 1
        return await asyncio.Event().wait()

    monkeypatch.setattr("buffer.jetstream.follower._LEADER_SECONDS", 0.01)
    monkeypatch.setattr("buffer.jetstream.follower.FIRST_BATCH", BatchSize(1, 1 << 20))
    bench.is_answered = bench.answers.is_led = False
    if is_silent:
        bench.desk.check_epoch = never
    for number in range(10, 14):
        bench.answers.store(number, chunk(0, str(number)))
    bench.follower.start()
    await bench.follower.wait(0)
    assert bench.heard.texts == ["10", "11", "12", "13"]
    assert bench.checks == 1


@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_number_that_the_server_of_the_first_load_had_not_yet_is_not_doubtful(
    bench: Bench,
    is_heard: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    bench.desk.highest_known = lambda: 20
    bench.answers.store(10, chunk(0, "one"))
    bench.answers.copied = dict(bench.answers.stored)  # it lags behind, and there is no leader to say so
    data = bench.answers.store(11, chunk(0, "two"))
    bench.is_answered = bench.answers.is_led = False
    bench.follower.start()
    await bench.follower.wait(0)
    bench.is_answered = bench.answers.is_led = True
    bench.answers.copied = None
    if is_heard:
        bench.say(11, 10, data)
    await bench.follower.wait(11)
    assert bench.heard.texts == ["one", "two"]
    assert [number for number in range(1, 22) if not bench.follower.held.doubts(number)] == [10, 11, 21]
