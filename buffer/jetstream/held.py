"""Held: which numbers of a namespace a replica can vouch for that has not followed it from the beginning."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort


class Held:
    """The numbers that the stream held when a namespace was loaded.

    As long as the stream holds a message, it holds what came after it in the namespace, or what says that more has come
    and gone.
    """

    def __init__(self) -> None:
        self._numbers = array("Q")
        self._watched_from = 0  # the first number that could be heard, once everything is loaded; 0 before

    def add(self, number: int) -> None:
        """Note a message that the stream holds, or one that a farewell says has been there.

        Some come late: the server that everything was loaded from may not have had the last ones.
        """
        if not self._watched_from:
            self._numbers.append(number)
        elif number < self._watched_from:
            insort(self._numbers, number)

    def close(self, watched_from: int) -> None:
        """Note that these were all, and that from this number on everything is heard."""
        self._numbers = array("Q", sorted(self._numbers))
        self._watched_from = watched_from

    def doubts(self, number: int) -> bool:
        """Tell whether messages after this one may have gone, without a trace, before everything was heard."""
        index = bisect_left(self._numbers, number)
        is_held = index < len(self._numbers) and self._numbers[index] == number
        return 0 < number < self._watched_from and not is_held
