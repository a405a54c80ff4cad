from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress

import pytest

from handlers import eager


class Work:
    """Waits for a future, and notes how far it has got."""

    def __init__(self) -> None:
        self.awaited = asyncio.get_running_loop().create_future()
        self.steps: list[str] = []

    async def run(self) -> str:
        self.steps.append("begun")
        try:
            return str(await self.awaited)
        finally:
            await asyncio.sleep(0)
            self.steps.append("over")


async def test_what_need_not_wait_is_done_at_once_and_has_no_task() -> None:
    steps = list[str]()

    async def work() -> None:
        steps.append("done")

    before = asyncio.all_tasks()
    assert eager.begin(work()) is None
    assert steps == ["done"]
    assert asyncio.all_tasks() == before


async def test_what_has_to_wait_is_begun_at_once_and_goes_on_in_a_task() -> None:
    work = Work()
    task = eager.begin(work.run())
    assert work.steps == ["begun"]
    assert task is not None
    work.awaited.set_result("result")
    assert await task == "result"
    assert work.steps == ["begun", "over"]


async def test_what_it_waits_for_may_fail() -> None:
    work = Work()
    task = eager.begin(work.run())
    work.awaited.set_exception(OSError("failed"))
    assert task is not None
    with pytest.raises(OSError, match="failed"):
        await task
    assert work.steps == ["begun", "over"]


@pytest.mark.parametrize("turns", [0, 1], ids=["before it runs", "while it waits"])
async def test_a_task_that_is_cancelled_ends_what_it_does(turns: int) -> None:
    work = Work()
    task = eager.begin(work.run())
    assert task is not None
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.steps == ["begun", "over"]


async def test_what_is_raised_before_anything_is_waited_for_is_raised_at_once() -> None:
    async def work() -> None:
        raise OSError("at once")

    with pytest.raises(OSError, match="at once"):
        eager.begin(work())


async def test_timeouts_work_once_it_has_waited() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        async with asyncio.timeout(0.001):
            await asyncio.get_running_loop().create_future()

    task = eager.begin(work())
    assert task is not None
    with pytest.raises(TimeoutError):
        await task


async def test_nothing_of_a_failure_is_left_to_the_garbage_collector() -> None:
    class Failure(OSError):
        pass

    def failing() -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        failures.append(weakref.ref(error := Failure()))
        loop.call_soon(future.set_exception, error)
        return future

    async def work() -> None:
        with suppress(Failure):
            await failing()

    failures = list["weakref.ref[Failure]"]()
    gc.collect()
    gc.disable()
    try:
        task = eager.begin(work())
        assert task is not None
        await task
        assert [failure() for failure in failures] == [None]
    finally:
        gc.enable()
