from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from handlers import turns as module
from handlers.turns import Turns

if TYPE_CHECKING:
    import pytest


async def test_the_first_of_a_tag_does_not_wait() -> None:
    turns = Turns()
    await turns.take("a").come()


async def test_a_later_one_of_the_same_tag_waits_for_the_earlier_to_end() -> None:
    turns = Turns()
    first, second = turns.take("a"), turns.take("a")
    waiting = asyncio.create_task(second.come())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.end()
    await waiting


async def test_another_tag_waits_for_nobody() -> None:
    turns = Turns()
    turns.take("a")
    await turns.take("b").come()


async def test_without_a_tag_nobody_waits_for_another() -> None:
    turns = Turns()
    turns.take("")
    await turns.take("").come()
    assert len(turns) == 0


async def test_turns_come_in_the_order_in_which_they_were_taken() -> None:
    turns, order = Turns(), list[int]()

    async def run(number: int) -> None:
        await taken[number].come()
        order.append(number)
        taken[number].end()

    taken = [turns.take("a") for _ in range(5)]
    await asyncio.gather(*map(run, (4, 2, 0, 3, 1)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_wait_ends_even_if_the_one_before_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 0.01)
    turns = Turns()
    turns.take("a")
    await turns.take("a").come()


async def test_nothing_is_kept_of_turns_that_have_ended() -> None:
    turns = Turns()
    first, second = turns.take("a"), turns.take("a")
    second.end()
    first.end()
    first.end()
    assert len(turns) == 0
