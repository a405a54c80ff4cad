from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from buffer.jetstream.connection import Connection, Servers
from buffer.jetstream.epoch import Epoch
from buffer.jetstream.stream import Stream
from buffer.jetstream.subjects import Subjects
from tests.buffer.jetstream.doubles import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.cluster.nats_server import NatsServer


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Party:
    """One of those that agree on an epoch."""

    def __init__(self, url: str, stream: str, clock: Callable[[], float]) -> None:
        self.learnt: list[str] = []
        self.connection = Connection(Servers([url]), lambda: None)
        subjects = Subjects(stream)
        self.stream = Stream(self.connection, options(url, stream).stream, subjects)
        self.epoch = Epoch(self.connection, self.stream, subjects, self.learnt.append, clock)

    async def join(self) -> Party:
        await self.connection.open(5)
        await self.stream.ensure(1000)
        return self


async def test_of_many_that_write_an_epoch_one_succeeds(nats: NatsServer, stream: str) -> None:
    parties = [await Party(nats.url, stream, Clock()).join() for _ in range(6)]
    assert all(await asyncio.gather(*[party.epoch.check() for party in parties]))
    assert len({name for party in parties for name in party.learnt}) == 1
    assert all(len(party.learnt) == 1 for party in parties)
    for party in parties:
        await party.connection.close()


async def test_an_epoch_is_written_again_before_the_stream_drops_it(nats: NatsServer, stream: str) -> None:
    clock = Clock()
    party = await Party(nats.url, stream, clock).join()
    await party.epoch.check()
    before = await party.stream.state()
    clock.now += 21
    assert await party.epoch.check()
    after = await party.stream.state()
    assert before is not None
    assert after is not None
    assert (after.first_seq, after.last_seq) == (before.last_seq + 1, before.last_seq + 1)
    assert len(party.learnt) == 1
    await party.connection.close()


async def test_an_epoch_is_written_again_once_it_is_in_the_older_half_of_the_stream(
    nats: NatsServer, stream: str
) -> None:
    party = await Party(nats.url, stream, Clock()).join()
    await party.epoch.check()
    written = await party.stream.state()
    for _ in range(2):
        await party.connection.ask(Subjects(stream).of("n"), b"", 5)
    assert await party.epoch.check()
    after = await party.stream.state()
    assert written is not None
    assert after is not None
    assert after.last_seq == written.last_seq + 3
    assert await party.epoch.check()
    assert await party.stream.state() == after
    assert len(party.learnt) == 1
    await party.connection.close()


async def test_an_epoch_that_is_written_shows_how_far_the_numbers_have_got(nats: NatsServer, stream: str) -> None:
    clock = Clock()
    party = await Party(nats.url, stream, clock).join()
    await party.epoch.check()
    await party.connection.ask(Subjects(stream).of("n"), b"", 5)
    clock.now += 1
    assert await party.epoch.written(clock.now) == 1002
    assert await party.epoch.written(clock.now) == 1002
    clock.now += 1
    assert await party.epoch.written(clock.now) == 1003
    await party.connection.close()
    assert await party.epoch.written(clock.now + 1) is None
    assert len(party.learnt) == 1


@pytest.mark.parametrize(("verb", "request_", "names"), [("MSG.DELETE", b'{"seq":1002}', 1), ("PURGE", b"", 2)])
async def test_an_epoch_that_was_dropped_keeps_its_name_if_the_last_message_is_still_there(
    nats: NatsServer, stream: str, verb: str, request_: bytes, names: int
) -> None:
    party = await Party(nats.url, stream, Clock()).join()
    await party.epoch.check()
    await party.connection.ask(Subjects(stream).of("n"), b"", 5)
    await party.epoch.check()
    await party.connection.ask(f"$JS.API.STREAM.{verb}.{stream}", request_, 5)
    await party.connection.ask(Subjects(stream).of("n"), b"", 5)
    assert await party.epoch.check()
    before = await party.stream.state()
    assert await party.epoch.check()
    assert before is not None
    assert before.last_seq == 1004  # it has been written three times, and 1001 and 1003 were others
    assert len(party.learnt) == names
    await party.connection.close()


async def test_those_that_come_second_to_write_an_epoch_again_are_answered_too(nats: NatsServer, stream: str) -> None:
    clock = Clock()
    parties = [await Party(nats.url, stream, clock).join() for _ in range(3)]
    await asyncio.gather(*[party.epoch.check() for party in parties])
    clock.now += 21
    assert all(await asyncio.gather(*[party.epoch.check() for party in parties]))
    assert all(len(party.learnt) == 1 for party in parties)
    for party in parties:
        await party.connection.close()


async def test_numbers_that_have_gone_back_for_some_seconds_get_a_new_epoch(nats: NatsServer, stream: str) -> None:
    clock = Clock()
    party = await Party(nats.url, stream, clock).join()
    await party.epoch.check()
    party.epoch.highest += 1000
    await party.epoch.check()
    clock.now += 2
    await party.epoch.check()
    assert len(party.learnt) == 1
    clock.now += 2
    await party.epoch.check()
    assert len(set(party.learnt)) == 2
    await party.connection.close()


async def test_a_leader_that_is_behind_for_a_moment_changes_nothing(nats: NatsServer, stream: str) -> None:
    clock = Clock()
    party = await Party(nats.url, stream, clock).join()
    await party.epoch.check()
    highest, party.epoch.highest = party.epoch.highest, party.epoch.highest + 1000
    await party.epoch.check()
    party.epoch.highest = highest
    clock.now += 10
    await party.epoch.check()
    party.epoch.highest += 1000
    await party.epoch.check()
    assert len(party.learnt) == 1
    await party.connection.close()


async def test_nobody_that_answers_is_no_epoch(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.jetstream.stream._ASK_SECONDS", 0.1)
    party = Party("nats://127.0.0.1:1", stream, Clock())
    await party.connection.open(0.1)
    assert not await party.epoch.check()
    assert not party.learnt
    await party.connection.close()
