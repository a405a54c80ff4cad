"""A budget for the work that an odd body may cause."""

from __future__ import annotations

# One step is about half a microsecond: all odd records of a body may take three seconds, some milliseconds at a time.
STEPS = 6_000_000
STEPS_A_TURN = 8_000


class Budget:
    """The work that odd records of one body may take in all, counted in steps of about half a microsecond.

    A clock would do as well, but results would depend on how fast the machine is. What is spent never comes back:
    once the budget is exhausted, the rest of the body is given up.
    """

    __slots__ = ("_left", "_turn")

    def __init__(self, steps: int = STEPS) -> None:
        self._left = steps
        self._turn = STEPS_A_TURN

    @property
    def exhausted(self) -> bool:
        """Whether no more work should be done."""
        return self._left <= 0

    def spend(self, steps: int) -> bool:
        """Spend so many steps; return whether it is time to let others have their turn."""
        self._left -= steps
        self._turn -= steps
        if self._turn > 0:
            return False
        self._turn = STEPS_A_TURN
        return True
