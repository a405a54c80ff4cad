"""Slices of time: how long one piece of work may go on before others get a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Slice:
    """The next so many seconds of a monotonic clock."""

    __slots__ = ("_monotonic", "_until")

    def __init__(self, monotonic: Callable[[], float], seconds: float) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + seconds

    def is_over(self) -> bool:
        """Tell whether these seconds have passed."""
        return self._monotonic() > self._until

    def part(self, seconds: float) -> Slice:
        """Return the next so many seconds of the same clock."""
        return Slice(self._monotonic, seconds)


class LoopSlice:
    """One slice for each turn of the event loop, shared by everything that asks for it during that turn.

    `monotonic` and `call_later` are as `Hub` says.
    """

    __slots__ = ("_call_later", "_current", "_monotonic", "_seconds")

    def __init__(
        self,
        seconds: float,
        *,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._call_later = call_later
        self._current: Slice | None = None

    def current(self) -> Slice:
        """Return this turn's slice. It begins when it is first asked for."""
        if self._current is None:
            self._current = Slice(self._monotonic, self._seconds)
            self._call_later(0, self._end)
        return self._current

    def _end(self) -> None:
        self._current = None
