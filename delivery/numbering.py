"""The broker's numbering, and what a cursor means in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buffer.ring import Position
from delivery.gap import Gap

if TYPE_CHECKING:
    from delivery.cursor import Cursor

_RESTARTED = Gap(None, "restarted")
_EVICTED = Gap(None, "evicted")


class Meaning(NamedTuple):
    """Where a cursor leads (None: it has no meaning here), and what its holder is to be told of at once."""

    cursor: Cursor | None
    gap: Gap | None


class Numbering:
    """The numbering that is in use. `epoch` is its name."""

    __slots__ = ("_skipped", "epoch")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self._skipped: list[tuple[Position, Position]] = []  # both ends excluded

    def skip(self, first: int, until: int) -> None:
        """Note that a cursor after the first line of chunk `first` and before that of `until` is doubtful."""
        self._skipped.append((Position(first, 0), Position(until, 0)))

    def restart(self, epoch: str) -> None:
        """Begin a new numbering."""
        self.epoch = epoch
        self._skipped.clear()

    def meaning(self, cursor: Cursor, next_seq: int, *, is_doubtful: bool = False) -> Meaning:
        """Return what a cursor means in a namespace whose next number is at least `next_seq` (see `Start`)."""
        place = Position(cursor.seq, cursor.line)
        if cursor.epoch != self.epoch:
            return Meaning(None, _RESTARTED)
        if any(first < place < until for first, until in self._skipped):
            return Meaning(cursor, _RESTARTED)
        # A place that the numbering has not reached belongs to an earlier one, even if it has the same name.
        if place > (next_seq, 0):
            return Meaning(None, _RESTARTED)
        return Meaning(cursor, _EVICTED if is_doubtful else None)
