from __future__ import annotations

import asyncio

from handlers.inflight import Inflight


async def test_nothing_is_waited_for_where_nothing_is_under_way() -> None:
    await asyncio.wait_for(Inflight().over(60), 1)


async def test_the_last_request_to_be_over_ends_the_wait() -> None:
    inflight = Inflight()
    inflight.add("one")
    inflight.add("two")
    waiting = asyncio.ensure_future(inflight.over(60))
    inflight.remove("one")
    inflight.remove("one")
    await asyncio.sleep(0)
    assert not waiting.done()
    inflight.remove("two")
    await asyncio.wait_for(waiting, 1)


async def test_all_who_wait_are_told() -> None:
    inflight = Inflight()
    inflight.add("one")
    waiting = [asyncio.ensure_future(inflight.over(60)) for _ in range(2)]
    await asyncio.sleep(0)
    inflight.remove("one")
    await asyncio.wait_for(asyncio.gather(*waiting), 1)


async def test_a_request_that_takes_too_long_is_not_waited_for() -> None:
    inflight = Inflight()
    inflight.add("slow")
    await asyncio.wait_for(inflight.over(0.01), 1)
