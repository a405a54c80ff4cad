"""Coroutines that are begun at once: a task is made only for what has to wait.

Python 3.12 has such tasks, too; before, one is begun in the next pass of the event loop at the earliest.
"""

from __future__ import annotations

import asyncio
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

_T = TypeVar("_T")


def begin(work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T] | None:
    """Run a coroutine until it waits for something; return the task in which it goes on, None if it is over.

    What it does before that is not done in a task: the timeouts of asyncio do not work there. Raises what it raises.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_rest(work, awaited))


async def _rest(work: Coroutine[Any, Any, _T], awaited: object) -> _T:
    return await _going_on(work, awaited)


@coroutine
def _going_on(work: Coroutine[Any, Any, _T], awaited: object) -> Generator[Any, Any, _T]:
    """Hand what the coroutine waits for on to the task, and what the task is told on to the coroutine."""
    while True:
        told: BaseException | None = None
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - above all, that it is cancelled
            told = error.with_traceback(None)  # which knows this frame (see `tune_gc` on cycles)
        try:
            awaited = work.send(None) if told is None else work.throw(told)
        except StopIteration as over:
            result: _T = over.value
            return result
