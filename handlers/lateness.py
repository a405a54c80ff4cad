"""Lateness: for how long the event loop keeps everybody waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from delivery.histogram import Histogram

INTERVAL_SECONDS = 0.1


class Lateness:
    """Notes, ten times a second, how late the event loop comes to do so."""

    def __init__(self, waits: Histogram) -> None:
        self._waits = waits
        self._timer: asyncio.TimerHandle | None = None  # set while it runs

    def start(self) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        due = loop.time() + INTERVAL_SECONDS
        self._timer = loop.call_at(due, self._note, loop, due)

    def stop(self) -> None:
        """Do no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _note(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._waits.observe(max(0.0, loop.time() - due))
        self.start()
