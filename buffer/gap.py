"""Gaps: lines that a reader should have had and will not get."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Reason: TypeAlias = Literal["slow", "evicted", "restarted"]

_BECAUSE: dict[Reason, str] = {
    "slow": "this reader was too slow",
    "evicted": "they had left the buffer before this reader came back",
    "restarted": "the server has started anew since this reader left",
}


class Gap(NamedTuple):
    """How many lines are lost (None: no longer known), and why."""

    lost: int | None
    reason: Reason

    def __str__(self) -> str:
        match self.lost:
            case None:
                lost = "an unknown number of lines lost"
            case 1:
                lost = "1 line lost"
            case number:
                lost = f"{number} lines lost"
        return f"[logurt] {lost}: {_BECAUSE[self.reason]}"
