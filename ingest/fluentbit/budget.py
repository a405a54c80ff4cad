"""What a body may take: how much of it is looked at in one go, and how much work its odd records are."""

from __future__ import annotations

# Bytes that are decoded in one go, more only where a record is longer, and records that are read together otherwise.
PIECE = 512 << 10
# A body up to this size is tried as a whole first, as nearly all are, unless its first record is shorter than this:
# it takes some milliseconds, but tens of them where there are very many records.
WHOLE, SHORT_RECORD = 4 << 20, 256
TOGETHER = 64
# A larger record is skipped: no line is allowed to be nearly as long (MAX_LINE_KIB).
LARGEST_RECORD = 4 << 20
# Larger values, or so many of them together, are not made into Python objects.
LARGE = 256 << 10

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
