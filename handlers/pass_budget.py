"""What may be handled in one pass of the event loop: a herd takes several, with everybody else in between."""

from __future__ import annotations

import asyncio

# How long things may be handled in one pass, in seconds.
PASS_SECONDS = 0.005


class PassBudget:
    """Bytes that may be handled in a pass of the event loop. To be made where one runs.

    Up to `free` bytes, all things that are handled go without a look at the clock; each counts for `each` more bytes
    than it has.
    """

    __slots__ = ("_each", "_free", "_handled", "_loop", "_until")

    def __init__(self, *, free: int, each: int) -> None:
        self._free = free
        self._each = each
        self._loop = asyncio.get_running_loop()
        self._handled = 0  # in this pass, and some before it
        self._until: float | None = None  # on the loop's clock, once that is a lot

    def may_handle(self, size: int) -> bool:
        """Tell whether so many bytes may be handled now, and count them. What may not has to try in the next pass."""
        self._handled += size + self._each
        if self._handled <= self._free:
            return True
        if self._until is None:
            # Only now: to be told of each pass would cost a pass for each thing, where these are few.
            self._until = self._loop.time() + PASS_SECONDS
            self._loop.call_soon(self._begin)
        return self._loop.time() < self._until

    def _begin(self) -> None:
        self._handled, self._until = 0, None
