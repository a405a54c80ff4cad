"""Coroutines that are begun at once: a task is made only for what has to wait.

Python 3.12 has such tasks, too; before, one is begun in the next pass of the event loop at the earliest.
"""

from __future__ import annotations

import asyncio
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator

_T = TypeVar("_T")


def begin(work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T] | None:
    """Run a coroutine until it waits for something; return the task in which it goes on, None if it is over.

    What it does before that is not done in a task: the timeouts of asyncio do not work there. Raises what it raises.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    rest = _rest(_going_on(work, awaited))
    rest.send(None)  # or it would not be told if its task were cancelled before it runs
    return asyncio.get_running_loop().create_task(rest)


async def _rest(going_on: Awaitable[_T]) -> _T:
    return await going_on


@coroutine
def _going_on(work: Coroutine[Any, Any, _T], awaited: object) -> Generator[Any, Any, _T]:
    """Hand what the coroutine waits for on to the task, and what the task is told on to the coroutine."""
    is_in_task = False
    while True:
        try:
            if not is_in_task:
                is_in_task = True
                yield
            yield awaited
        except BaseException as error:  # noqa: BLE001 - above all, that it is cancelled
            go_on = partial(work.throw, error.with_traceback(None))
        else:
            go_on = partial(work.send, None)
        del awaited  # tracebacks know this frame: it must know nothing of what failed (see `tune_gc` on cycles)
        try:
            awaited = go_on()
        except StopIteration as over:
            result: _T = over.value
            return result
        finally:
            del go_on
