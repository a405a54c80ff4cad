"""Readers: positions in a ring, each seen through a view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buffer.ring import Position
from delivery.gap import Gap

if TYPE_CHECKING:
    from collections.abc import Callable

    from delivery.group import Group

_START = Position(1, 0)


class Reader:
    """One position. Made by `Hub.join`; its state belongs to the hub.

    `write(data)` and `ended()` are as `Hub.join` says.
    """

    __slots__ = (
        "end",
        "ended",
        "floor",
        "gap",
        "group",
        "live_announced",
        "lost",
        "missing",
        "position",
        "queued",
        "write",
    )

    def __init__(self, group: Group, write: Callable[[bytes], bool], ended: Callable[[], None]) -> None:
        self.group = group
        self.write = write
        self.ended = ended
        self.position = _START  # the next line to read; not kept up to date while the reader is live
        self.missing = 0  # lines of backlog still to be searched for; meanwhile the position moves backwards
        self.floor = _START  # where that search stops
        self.end: int | None = None  # sequence number to stop at; None: follow
        self.lost = 0  # lines evicted before they were read, and not reported yet
        self.gap: Gap | None = None  # what was lost before the reader came, and not reported yet
        self.queued = False  # in the hub's queue
        self.live_announced = False  # it has been sent the notice that the backlog is over

    @property
    def is_live(self) -> bool:
        """Whether it has been written everything its view has flushed."""
        return self in self.group.live

    def take_gap_notices(self) -> bytes:
        """Return the notices of lost lines that are due, once."""
        gaps = [] if self.gap is None else [self.gap]
        if self.lost:
            gaps.append(Gap(self.lost, "slow"))
        self.gap, self.lost = None, 0
        return b"".join([self.group.view.render_gap(gap) for gap in gaps])
