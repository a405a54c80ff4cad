"""Readers: positions in a ring, each seen through a view.

A reader goes through the states of `State` from top to bottom, and may skip some. Only BEHIND and LIVE alternate.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from buffer.ring import Position
from delivery.gap import Gap

if TYPE_CHECKING:
    from collections.abc import Callable

    from delivery.cursor import Cursor
    from delivery.group import Group

OLDEST = Position(1, 0)


class State(Enum):
    """What a reader is doing. In all but the last two it has something to do in its turns."""

    GATHERING = "waits until it is known which sources its view admits"
    SEEKING = "walks forward through its backlog, to the first line that is not too old"
    COUNTING = "walks back through its backlog, by as many lines as it asked for"
    BEHIND = "reads on from its position, one range at a time, as its socket drains"
    LIVE = "has been written everything its view has flushed, and gets the next flush"
    GONE = "has left"


class Reader:
    """One position. Made by `Hub.join`; its state belongs to the hub and to its group.

    `write(data)` and `ended()` are as `Hub.join` says. `position` is the next line to read: whatever is evicted from
    there on is lost to the reader. It is not kept up to date while the reader is live.
    """

    __slots__ = (
        "cursor",
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
        "since",
        "state",
        "write",
    )

    def __init__(self, group: Group, write: Callable[[bytes], bool], ended: Callable[[], None]) -> None:
        self.group = group
        self.write = write
        self.ended = ended
        self.state = State.GATHERING
        self.position = OLDEST
        self.end: int | None = None  # sequence number to stop at; None: follow
        # Where it begins: at the cursor, else `missing` lines back (None: all), but not before `since`, Unix seconds.
        self.cursor: Cursor | None = None
        self.missing: int | None = None  # how many have still to be found
        self.since: float | None = None
        self.floor = OLDEST  # SEEKING: where the walk has got to; COUNTING: where it ends at the latest
        self.lost = 0  # lines evicted before they were read, and not reported yet
        self.gap: Gap | None = None  # what was lost before the reader came, and not reported yet
        self.queued = False  # waits for its turn
        self.live_announced = False  # has been sent the notice that the backlog is over

    @property
    def is_live(self) -> bool:
        """Whether it has been written everything its view has flushed."""
        return self.state is State.LIVE

    @property
    def is_searching(self) -> bool:
        """Whether it is still looking for the line to begin with."""
        return self.state is State.SEEKING or self.state is State.COUNTING

    @property
    def has_turns(self) -> bool:
        """Whether there is something to do for it in its turns."""
        return self.state is not State.LIVE and self.state is not State.GONE

    def begin(self) -> None:
        """Go to the cursor, or begin to search for the first line, now that the sources are known."""
        if self.cursor is not None:
            self.position = Position(self.cursor.seq, self.cursor.line)
            self.state = State.BEHIND
        elif self.since is not None:
            self.state = State.SEEKING
        elif self.missing is not None:
            self.state = State.COUNTING
        else:
            self.position = OLDEST
            self.state = State.BEHIND

    def take_gap_notices(self) -> bytes:
        """Return the notices of lost lines that are due, once."""
        gaps = [] if self.gap is None else [self.gap]
        if self.lost:
            gaps.append(Gap(self.lost, "slow"))
        self.gap, self.lost = None, 0
        return b"".join([self.group.view.render_gap(gap) for gap in gaps])
