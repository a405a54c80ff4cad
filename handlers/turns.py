"""Turns: what one sender posts with one tag is stored in the order in which its heads arrived.

Fluent Bit posts several chunks of one file at the same time, and a small later one may be complete before a large
earlier one. Senders elsewhere cannot hold them up, nor can a connection that has stalled.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# How long a request waits for the ones before it: an order is worth a delay, but no loss.
MAX_WAIT_SECONDS = 2.0
# A body must go on arriving at this pace to be waited for: so many bytes, and how often that is looked at, in seconds.
_PACE_BYTES, PACE_SECONDS = 16 << 10, 0.03


class Turn:
    """A request's place among those with its tag."""

    __slots__ = ("_next", "_previous", "_received", "_tag", "_turns", "is_over")

    def __init__(self, turns: Turns, tag: str, received: Callable[[], int], previous: Turn | None) -> None:
        self._turns = turns
        self._tag = tag
        self._received: Callable[[], int] | None = received  # while the body arrives
        self._previous = previous
        self._next: asyncio.Future[None] | None = None  # while a later one waits
        self.is_over = False

    def arrived(self) -> None:
        """Note that the body has arrived."""
        self._received = None

    async def come(self) -> bool:
        """Wait until the request before is over, but only for so long; tell whether there was one to wait for."""
        previous, self._previous = self._previous, None
        if previous is None or previous.is_over:
            return False
        await previous.over()
        return True

    async def over(self) -> None:
        """Wait until this turn is over, but only for so long. Only the next request does so."""
        loop = asyncio.get_running_loop()
        self._next = loop.create_future()
        until = loop.time() + MAX_WAIT_SECONDS
        expected = 0  # bytes of the body
        while not self.is_over and loop.time() < until:
            if self._received is None:
                await asyncio.wait([self._next], timeout=until - loop.time())
            elif self._received() >= expected:
                expected = self._received() + _PACE_BYTES
                await asyncio.wait([self._next], timeout=PACE_SECONDS)
            else:
                break

    def end(self) -> None:
        """Let the next one have its turn. Does nothing the second time."""
        if not self.is_over:
            self.is_over = True
            self._previous = self._received = None
            self._turns.forget(self._tag, self)
            if self._next is not None and not self._next.done():
                self._next.set_result(None)


class Turns:
    """The last request of each tag that is not over."""

    def __init__(self) -> None:
        self._last: dict[str, Turn] = {}

    def __len__(self) -> int:
        return len(self._last)

    def take(self, tag: str, received: Callable[[], int]) -> Turn:
        """Return the turn of a new request; without a tag it does not wait. It must be ended.

        `received()` returns how many bytes of its body have arrived.
        """
        turn = Turn(self, tag, received, self._last.get(tag))
        if tag:
            self._last[tag] = turn
        return turn

    def forget(self, tag: str, turn: Turn) -> None:
        """Forget a turn that is over, unless a later request waits for its own."""
        if self._last.get(tag) is turn:
            del self._last[tag]
