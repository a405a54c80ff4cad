from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from buffer.jetstream.followers import Followers
from tests.buffer.factories import chunk
from tests.buffer.jetstream.answers import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tornado.ioloop import IOLoop

    from buffer.jetstream.follower import Follower


class Party:
    """Followers between answers and a recorder, which forget at once."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.followers = Followers(self.bench.desk, 0.0)

    async def loaded(self, namespace: str = "n") -> Follower:
        follower = self.followers.add_reader(namespace)
        await follower.wait(0)
        return follower


@pytest.fixture
def party(io_loop: IOLoop) -> Iterator[Party]:
    async def made() -> Party:
        return Party()

    party: Party = io_loop.run_sync(made)
    yield party

    async def close() -> None:
        party.followers.close()
        party.bench.desk.close()
        await asyncio.sleep(0)

    io_loop.run_sync(close)


async def test_readers_of_a_namespace_share_a_follower(party: Party) -> None:
    follower = await party.loaded()
    assert await party.loaded() is follower
    assert await party.loaded("other") is not follower
    assert follower.readers == 2


async def test_a_namespace_is_forgotten_after_its_last_reader(party: Party) -> None:
    await party.loaded()
    await party.loaded()
    party.followers.remove_reader("n")
    await asyncio.sleep(0.01)
    assert not party.bench.heard.events
    party.followers.remove_reader("n")
    await party.bench.heard.until(lambda: party.bench.heard.events == [("forgotten", "n")])


async def test_a_reader_that_comes_in_time_keeps_the_namespace(party: Party) -> None:
    follower = await party.loaded()
    party.followers.remove_reader("n")
    assert party.followers.add_reader("n") is follower
    await asyncio.sleep(0.01)
    assert not party.bench.heard.events
    assert party.bench.heard.loads == [("n", "begins", 0), ("n", "ends", 0)]


async def test_a_namespace_that_was_forgotten_is_loaded_anew(party: Party) -> None:
    party.bench.answers.store(10, chunk(0, "one"))
    await party.loaded()
    party.followers.remove_reader("n")
    await party.bench.heard.until(lambda: ("forgotten", "n") in party.bench.heard.events)
    await party.loaded()
    assert party.bench.heard.texts == ["one", "one"]


async def test_readers_of_a_namespace_that_is_not_followed_may_leave(party: Party) -> None:
    party.followers.remove_reader("n")
    assert not party.bench.heard.events


async def test_all_are_looked_at_in_turns_for_a_message_that_was_not_heard(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.followers._PEEKS", 2)
    peeked = list[str]()
    monkeypatch.setattr("buffer.jetstream.follower.Follower.peek", lambda self: peeked.append(self.namespace))
    for name in "abcde":
        await party.loaded(name)
    for _ in range(3):
        party.followers.peek()
    assert sorted(peeked) == list("abcde")
    party.followers.peek()
    assert len(peeked) == 7


async def test_one_that_was_forgotten_meanwhile_is_not_looked_at(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.jetstream.followers._PEEKS", 1)
    peeked = list[str]()
    monkeypatch.setattr("buffer.jetstream.follower.Follower.peek", lambda self: peeked.append(self.namespace))
    for name in "ab":
        await party.loaded(name)
    party.followers.peek()
    party.followers.remove_reader("a")
    await party.bench.heard.until(lambda: ("forgotten", "a") in party.bench.heard.events)
    party.followers.peek()
    assert peeked == ["b"]


async def test_a_new_numbering_and_a_new_connection_concern_all_of_them(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = list[tuple[str, str]]()
    for name in "ab":
        await party.loaded(name)
    for what in ("restart", "refresh"):
        monkeypatch.setattr(
            f"buffer.jetstream.follower.Follower.{what}",
            lambda self, what=what: called.append((what, self.namespace)),
        )
    party.followers.restart()
    party.followers.refresh()
    assert called == [("restart", "a"), ("restart", "b"), ("refresh", "a"), ("refresh", "b")]


async def test_once_closed_nothing_is_forgotten_any_more(party: Party) -> None:
    await party.loaded()
    party.followers.remove_reader("n")
    party.followers.close()
    await asyncio.sleep(0.01)
    assert not party.bench.heard.events


async def test_the_highest_number_is_that_of_the_follower_that_is_furthest(party: Party) -> None:
    assert party.followers.highest == 0
    party.bench.answers.store(10, chunk(0, "one"))
    await party.loaded("a")
    party.bench.answers.store(12, chunk(0, "two"))
    await party.loaded("b")
    assert party.followers.highest == 12
