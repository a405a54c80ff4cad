"""Lateness: for how long the event loop keeps everybody waiting."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from delivery.histogram import Histogram

INTERVAL_SECONDS = 0.1


class Lateness:
    """Notes, ten times a second, how late the event loop comes to do so. To be started once.

    `monotonic()` returns seconds; `call_later(delay, callback)` has the event loop run the callback after that many.
    """

    def __init__(
        self,
        waits: Histogram,
        *,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._waits = waits
        self._monotonic = monotonic
        self._call_later = call_later
        self._is_running = False

    def start(self) -> None:
        """Begin."""
        self._is_running = True
        self._wait()

    def stop(self) -> None:
        """Do no more."""
        self._is_running = False

    def _wait(self) -> None:
        self._call_later(INTERVAL_SECONDS, partial(self._note, self._monotonic() + INTERVAL_SECONDS))

    def _note(self, due: float) -> None:
        if self._is_running:
            self._waits.observe(max(0.0, self._monotonic() - due))
            self._wait()
