from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from handlers.pass_budget import PassBudget

if TYPE_CHECKING:
    import pytest


async def test_what_is_little_may_always_be_handled() -> None:
    budget = PassBudget(free=100, each=10)
    for _ in range(3):
        assert [budget.may_handle(size) for size in (20, 30, 10)] == [True] * 3
        budget.may_handle(1000)  # so that it begins anew in the next pass
        await asyncio.sleep(0)


async def test_what_is_a_lot_may_be_handled_until_the_time_of_the_pass_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = PassBudget(free=100, each=10)
    assert [budget.may_handle(size) for size in (1000, 1000)] == [True, True]
    await asyncio.sleep(0)
    monkeypatch.setattr("handlers.pass_budget.PASS_SECONDS", 0)
    assert [budget.may_handle(size) for size in (90, 0, 1000)] == [True, False, False]
    await asyncio.sleep(0)
    assert budget.may_handle(90)
