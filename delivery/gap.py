"""Gaps: lines that a reader should have been sent and will not get."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from protocol import gap_sentence

Reason: TypeAlias = Literal["slow", "evicted", "restarted"]


class Gap(NamedTuple):
    """How many lines are lost (None: it is not known), and why."""

    lost: int | None
    reason: Reason

    def __str__(self) -> str:
        return gap_sentence(self.lost, self.reason)
