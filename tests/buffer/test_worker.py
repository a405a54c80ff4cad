from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from buffer.worker import Outcome, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def names() -> Iterator[list[str]]:
    names = list[str]()
    yield names
    assert not [thread for thread in threading.enumerate() if thread.name in names], "a thread is left"


async def test_work_is_done_in_order_by_a_thread_of_its_own_and_handed_to_the_event_loop(names: list[str]) -> None:
    worker, outcomes, at_end = Worker("worker"), list[Outcome[object]](), asyncio.Event()
    worker.submit(threading.get_ident, outcomes.append)
    worker.submit(lambda: 1 // 0, outcomes.append)
    worker.submit(lambda: None, lambda _: at_end.set())
    await at_end.wait()
    assert outcomes[0].value not in (None, threading.get_ident())
    assert isinstance(outcomes[1].error, ZeroDivisionError)
    worker.stop()
    names.append("worker")


async def test_what_is_waited_for_returns_or_raises() -> None:
    worker = Worker("worker")
    assert await worker.run(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    worker.stop()


async def test_whoever_gives_up_waiting_does_no_harm() -> None:
    worker, opened = Worker("worker"), threading.Event()
    waiting = asyncio.ensure_future(worker.run(opened.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    opened.set()
    assert await worker.run(lambda: 3) == 3
    worker.stop()


def test_an_event_loop_that_ends_first_does_no_harm() -> None:
    opened, ended = threading.Event(), threading.Event()

    async def leave_something_to_do() -> Worker:
        worker = Worker("worker")
        worker.submit(opened.wait, lambda _: None)
        worker.submit(ended.set, lambda _: None)
        worker.stop(wait=False)
        return worker

    worker = asyncio.run(leave_something_to_do())
    opened.set()
    assert ended.wait(10)
    worker.stop()


async def test_a_stop_waits_for_what_is_being_done() -> None:
    worker, done = Worker("worker"), list[int]()
    worker.submit(lambda: done.append(1), lambda _: None)
    worker.stop()
    assert done == [1]
    await asyncio.sleep(0)
