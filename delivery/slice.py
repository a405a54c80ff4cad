"""Slices of time: how long one piece of work may go on before others get their turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Slice:
    """Some seconds from now on, by a monotonic clock."""

    __slots__ = ("_monotonic", "_until")

    def __init__(self, monotonic: Callable[[], float], seconds: float) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + seconds

    def is_over(self) -> bool:
        """Tell whether they have passed."""
        return self._monotonic() > self._until

    def part(self, seconds: float) -> Slice:
        """Return a slice of so many seconds from now on, by the same clock."""
        return Slice(self._monotonic, seconds)
