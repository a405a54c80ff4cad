"""A thread that does one thing after the other, beside an event loop that never waits for it.

An executor does that too, but costs twice as much for each thing, which shows where each request is one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Outcome(NamedTuple, Generic[_T]):
    """What a piece of work has returned, or else the error that it has raised."""

    value: _T | None
    error: Exception | None


class Worker:
    """Works for the event loop that it is made in. The thread ends with `stop`, or with the process."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[tuple[Callable[[], object], Callable[[Outcome[object]], None]] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], object], done: Callable[[Outcome[object]], None]) -> None:
        """Have something done, and `done` called by the event loop once it is."""
        self._queue.put((work, done))

    async def run(self, work: Callable[[], _T]) -> _T:
        """Have something done, and return what it returns or raise what it raises."""
        future: asyncio.Future[Outcome[object]] = self._loop.create_future()

        def hand_over(outcome: Outcome[object]) -> None:
            if not future.done():  # the caller may have given up
                future.set_result(outcome)

        self.submit(work, hand_over)
        outcome = await future
        if outcome.error is not None:
            raise outcome.error
        return cast("_T", outcome.value)

    def stop(self, *, wait: bool = True) -> None:
        """Have the thread end once it has done what it was given, and wait for that."""
        self._queue.put(None)
        if wait:
            self._thread.join()

    def _work(self) -> None:
        while (given := self._queue.get()) is not None:
            work, done = given
            try:
                outcome = Outcome[object](work(), None)
            except Exception as error:  # noqa: BLE001 - it is handed over
                outcome = Outcome(None, error)
            with suppress(RuntimeError):  # the event loop has ended first
                self._loop.call_soon_threadsafe(done, outcome)
            del given, work, done, outcome  # nothing stays alive while there is nothing to do
