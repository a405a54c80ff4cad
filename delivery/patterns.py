"""How many patterns all views may have together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from delivery.filter import TextFilter

# A pattern takes some kilobytes once compiled, and up to a megabyte if it is meant to.
MAX_PATTERNS_IN_USE = 2000


class TooManyPatterns(Exception):
    """The views in use have as many include and exclude patterns as this server allows. `limit` is that number."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the views of all readers use {self.limit} patterns already"


class PatternBudget:
    """Counts the patterns of the views in use. `used` is how many they have."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = 0

    def check(self, text: TextFilter) -> None:
        """Raise TooManyPatterns if there is no room for the patterns of a view."""
        if text and self.used + text.patterns > MAX_PATTERNS_IN_USE:
            raise TooManyPatterns(MAX_PATTERNS_IN_USE)

    def take(self, text: TextFilter) -> None:
        """Count the patterns of a view that comes into use."""
        self.used += text.patterns

    def give_back(self, text: TextFilter) -> None:
        """Count them no more."""
        self.used -= text.patterns
