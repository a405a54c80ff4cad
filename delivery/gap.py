"""Gaps: lines that a reader should have been sent and will not get."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from buffer.source import Source  # noqa: TC001 - the type of a field
from protocol import gap_sentence

Reason: TypeAlias = Literal["slow", "evicted", "restarted"]


class Loss(NamedTuple):
    """Lines of a source that will never come (None: nobody knows how many); the last of them were in chunk `seq`.

    `before` is the number of the last chunk of the source before them, 0 if none is known. `is_held`: whether there are
    others of it in the ring.
    """

    source: Source
    seq: int
    lines: int | None
    before: int
    is_held: bool


class Gap(NamedTuple):
    """How many lines are lost (None: it is not known), and why."""

    lost: int | None
    reason: Reason

    def __str__(self) -> str:
        return gap_sentence(self.lost, self.reason)
