"""A gate for work that takes a moment: one after the other goes through, and everybody else has a turn in between.

Requests that arrive together are all handled in one pass of the event loop. A hundred readers that join at once would
keep the lines of all others waiting for as long as all of their joins take.
"""

from __future__ import annotations

import asyncio
from collections import deque

# Work that took longer than this, in seconds, is followed by as long a time without any.
_QUICK = 0.005
# So many with light work go through together: a pass of the event loop costs as much as a join.
_LIGHT = 4


class Gate:
    """Lets one through in each pass of the event loop, or a few whose work is light, in the order they came."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()  # each with whether its work is light
        self._is_shut = False
        self._entered_at = 0.0  # on the loop's clock, when the last one came through

    def __len__(self) -> int:
        """Return how many are waiting."""
        return len(self._waiting)

    async def enter(self, *, light: bool = False) -> None:
        """Return at once if nobody has come through just now, else when it is this one's turn.

        `light` work takes a millisecond or so.
        """
        loop = asyncio.get_running_loop()
        if self._is_shut:
            turn = loop.create_future()
            self._waiting.append((turn, light))
            await turn
        else:
            self._is_shut = True
            self._let_work(loop)

    def _let_work(self, loop: asyncio.AbstractEventLoop) -> None:
        self._entered_at = loop.time()
        loop.call_soon(self._rest, loop)

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go on, now that the work is done; after a pause if it took long, for what others do takes several passes."""
        spent = loop.time() - self._entered_at
        if spent > _QUICK:
            loop.call_later(spent, self._open, loop)
        else:
            self._open(loop)

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        entered, is_light = 0, True
        while self._waiting and is_light and entered < _LIGHT:
            turn, is_light = self._waiting[0]
            if turn.done():  # the waiter has given up
                is_light = True
            elif entered and not is_light:
                break
            else:
                turn.set_result(None)
                entered += 1
            self._waiting.popleft()
        if entered:
            self._let_work(loop)
        else:
            self._is_shut = False
