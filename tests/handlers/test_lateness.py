from __future__ import annotations

import asyncio
import time

from delivery.histogram import Histogram
from handlers.lateness import INTERVAL_SECONDS, Lateness
from tests.handlers.peers import until


async def test_a_loop_that_was_held_up_is_late() -> None:
    waits = Histogram((0.1,))
    lateness = Lateness(waits)
    lateness.start()
    time.sleep(INTERVAL_SECONDS + 0.15)  # noqa: ASYNC251 - this is what is to be noticed
    await until(lambda: sum(waits.counts))
    lateness.stop()
    assert waits.counts == [0, 1]


async def test_nothing_is_noted_once_it_has_stopped() -> None:
    waits = Histogram()
    lateness = Lateness(waits)
    lateness.start()
    lateness.stop()
    lateness.stop()
    await asyncio.sleep(2 * INTERVAL_SECONDS)
    assert not sum(waits.counts)
