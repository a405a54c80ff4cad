from __future__ import annotations

import asyncio

from handlers.inflight import Inflight


async def test_nothing_is_waited_for_where_nothing_is_under_way() -> None:
    await asyncio.wait_for(Inflight().over(60), 1)


async def test_the_last_request_to_be_over_ends_the_wait() -> None:
    underway = Inflight()
    underway.add("one")
    underway.add("two")
    waiting = asyncio.ensure_future(underway.over(60))
    underway.remove("one")
    underway.remove("one")
    await asyncio.sleep(0)
    assert not waiting.done()
    underway.remove("two")
    await asyncio.wait_for(waiting, 1)


async def test_a_request_that_takes_too_long_is_not_waited_for() -> None:
    underway = Inflight()
    underway.add("slow")
    await asyncio.wait_for(underway.over(0.01), 1)
