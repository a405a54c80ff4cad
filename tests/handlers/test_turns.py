from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from handlers import turns as module
from handlers.turns import Turn, Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def take(turns: Turns, tag: str, received: Callable[[], int] | None = None) -> Turn:
    """Return the turn of a request whose body has arrived, unless there is something to tell how much has."""
    turn = turns.take(tag, received or int)
    if received is None:
        turn.arrived()
    return turn


async def test_the_first_of_a_tag_does_not_wait() -> None:
    turns = Turns()
    await take(turns, "a").come()


async def test_a_later_one_of_the_same_tag_waits_for_the_earlier_to_end() -> None:
    turns = Turns()
    first, second = take(turns, "a"), take(turns, "a")
    waiting = asyncio.create_task(second.come())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.end()
    await waiting


async def test_another_tag_waits_for_nobody() -> None:
    turns = Turns()
    take(turns, "a")
    await take(turns, "b").come()


async def test_without_a_tag_nobody_waits_for_another() -> None:
    turns = Turns()
    take(turns, "")
    await take(turns, "").come()
    assert len(turns) == 0


async def test_turns_come_in_the_order_in_which_they_were_taken() -> None:
    turns, order = Turns(), list[int]()

    async def run(number: int) -> None:
        await taken[number].come()
        order.append(number)
        taken[number].end()

    taken = [take(turns, "a") for _ in range(5)]
    await asyncio.gather(*map(run, (4, 2, 0, 3, 1)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_wait_ends_even_if_the_one_before_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 0.01)
    turns = Turns()
    take(turns, "a")
    await take(turns, "a").come()


async def test_a_body_that_has_stalled_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 60)
    monkeypatch.setattr(module, "PACE_SECONDS", 0.001)
    turns = Turns()
    take(turns, "a", lambda: 5)
    await take(turns, "a").come()


async def test_a_body_is_waited_for_as_long_as_it_arrives_and_until_it_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 60)
    monkeypatch.setattr(module, "PACE_SECONDS", 0.001)
    turns, asked, has_arrived = Turns(), list[int](), asyncio.Event()

    def received() -> int:
        asked.append(1)
        if len(asked) == 100:
            first.arrived()
            has_arrived.set()
        return len(asked) << 20

    first, second = take(turns, "a", received), take(turns, "a")
    waiting = asyncio.create_task(second.come())
    await has_arrived.wait()
    await asyncio.wait([waiting], timeout=0.02)
    assert not waiting.done()
    first.end()
    await waiting


async def test_nothing_is_kept_of_turns_that_have_ended() -> None:
    turns = Turns()
    first, second = take(turns, "a"), take(turns, "a")
    second.end()
    first.end()
    first.end()
    assert len(turns) == 0
