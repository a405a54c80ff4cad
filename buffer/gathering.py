"""Gathering: what comes together is dealt with together, where to begin costs more than to deal with one more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# How often the event loop turns without anything more before that is all, and for how many seconds it goes on at most.
_QUIET_TURNS, _MOST_SECONDS = 4, 0.005


class Gathering:
    """Calls `done` once no more comes; `count()` says how much there is.

    `call_soon` calls something in the next turn of the event loop, `time` returns seconds of its clock.
    """

    def __init__(
        self,
        count: Callable[[], int],
        done: Callable[[], None],
        *,
        call_soon: Callable[..., object],
        time: Callable[[], float],
    ) -> None:
        self._count = count
        self._done = done
        self._call_soon = call_soon
        self._time = time
        self._is_on = False

    def begin(self) -> None:
        """Gather from now on, unless that is being done."""
        if not self._is_on:
            self._is_on = True
            self._go_on(0, 0, self._time() + _MOST_SECONDS)

    def _go_on(self, known: int, quiet_turns: int, until: float) -> None:
        count = self._count()
        quiet_turns = quiet_turns + 1 if count == known else 0
        if quiet_turns < _QUIET_TURNS and self._time() < until:
            self._call_soon(self._go_on, count, quiet_turns, until)
        else:
            self._is_on = False
            self._done()
