"""Readers: positions in a ring, each seen through a view.

A reader goes through the states of `State` from top to bottom, and may skip some. Only BEHIND and LIVE alternate: a
slow reader is one that is often BEHIND.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from buffer.ring import Position
from delivery.gap import Gap

if TYPE_CHECKING:
    from collections.abc import Callable

    from delivery.cursor import Cursor
    from delivery.gap import Loss
    from delivery.group import Group

OLDEST = Position(1, 0)
# Above all sequence numbers.
NEVER = 1 << 64


class Start(NamedTuple):
    """Where a reader begins: at the cursor, else `tail` lines back (None: all) but not before `since`, Unix seconds.

    Lines after a cursor that `is_doubtful` may have gone without a trace.
    """

    tail: int | None = None
    since: float | None = None
    cursor: Cursor | None = None
    is_doubtful: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether all that there is was asked for: there is nothing to look for in it."""
        return self.tail is None and self.since is None and self.cursor is None


class State(Enum):
    """What a reader is doing. In all states but the last two, it is served in turns."""

    GATHERING = "waiting until it is known which sources its view shows"
    SEEKING = "walking forward through the backlog, to the first line that is young enough"
    COUNTING = "walking back through the backlog, by as many lines as were asked for"
    BEHIND = "reading on from its position, one range at a time, as its socket drains"
    LIVE = "written everything its view has flushed, and waiting for the next flush"
    GONE = "left"


class Reader:
    """One reader. Made by `Hub.join`; only the hub and the reader's group change it.

    `write(data)` and `ended()` are as `Hub.join` says. `position` is the next line to read: whatever is evicted from
    there on is lost to the reader. It is not kept up to date while the reader is live.
    """

    __slots__ = (
        "began",
        "counted",
        "cursor",
        "end",
        "ended",
        "first",
        "floor",
        "follows",
        "gap",
        "group",
        "joined",
        "live_announced",
        "lost",
        "missing",
        "position",
        "queued",
        "since",
        "state",
        "write",
    )

    def __init__(
        self, group: Group, write: Callable[[bytes], bool], ended: Callable[[], None], *, follows: bool = True
    ) -> None:
        self.group = group
        self.write = write
        self.ended = ended
        self.follows = follows
        self.state = State.GATHERING
        self.position = OLDEST
        # Lines written to it. Those of a live reader are counted by its group, for all live readers at once: until it
        # is live no more, this is less by what the group had counted when it became live.
        self.counted = 0
        self.joined = OLDEST.seq  # the sequence number from which on all came after it had joined
        self.first = OLDEST.seq  # the sequence number from which on all that comes is meant for this reader
        self.began = NEVER  # the number of the chunk that it began with, once that is found
        self.end = NEVER  # sequence number to stop at; NEVER if it follows, or what it came for is still being loaded
        # Where to begin: at the cursor, else `missing` lines back (None: all), but not before `since`, Unix seconds.
        self.cursor: Cursor | None = None
        self.missing: int | None = None  # COUNTING: how many lines have yet to be found
        self.since: float | None = None
        self.floor = OLDEST  # SEEKING: where the walk has got to; COUNTING: where it ends at the latest
        self.lost = 0  # lines evicted before they were read, and not reported yet
        self.gap: Gap | None = None  # what was lost before it got here, and not reported yet
        self.queued = False  # waiting to be served
        self.live_announced = False  # the notice that the backlog is over has been sent

    @property
    def is_live(self) -> bool:
        """Whether the reader has been written everything its view has flushed."""
        return self.state is State.LIVE

    @property
    def lines(self) -> int:
        """How many lines have been written to it."""
        return self.counted + self.group.lines_written_to(self) if self.is_live else self.counted

    def become(self, state: State) -> None:
        """Change the state, and with it who counts the lines: the group does so for live readers."""
        if self.is_live:
            self.counted += self.group.lines
        if state is State.LIVE:
            self.counted -= self.group.lines
        self.state = state

    @property
    def is_searching(self) -> bool:
        """Whether the reader is still looking for the line to begin with."""
        return self.state is State.SEEKING or self.state is State.COUNTING

    @property
    def has_turns(self) -> bool:
        """Whether the reader is served in turns."""
        return self.state is not State.LIVE and self.state is not State.GONE

    def begin(self) -> None:
        """Go to the cursor, or begin the search for the first line, now that the sources are known."""
        if self.cursor is not None:
            self.begin_at(Position(self.cursor.seq, self.cursor.line))
        elif self.since is not None:
            self.state = State.SEEKING
        elif self.missing is not None:
            self.state = State.COUNTING
        else:
            self.begin_at(OLDEST)

    def begin_at(self, position: Position) -> None:
        """Read on from the place that was looked for."""
        self.position = position
        self.began = position.seq
        self.state = State.BEHIND

    def misses(self, loss: Loss) -> bool:
        """Tell whether lines that will never come leave a hole in what this reader is shown.

        They do if they come after it did, or if others of their source have been there for it that came before them.
        """
        return loss.seq < self.end and (self.first <= loss.seq or self.began <= loss.before)

    def miss(self, lines: int | None) -> None:
        """Note that so many lines (None: it is not known) were lost before they got here."""
        if self.gap is None:
            self.gap = Gap(lines, "evicted")
        elif self.gap.lost is not None:
            self.gap = Gap(None if lines is None else self.gap.lost + lines, self.gap.reason)

    def complete(self, next_seq: int) -> None:
        """Note that all is there that was kept of the namespace; `next_seq` is what may come next."""
        if self.cursor is None:
            self.first = max(self.first, next_seq)
        if not self.follows:
            self.end = min(self.end, next_seq)

    def restart(self) -> None:
        """Read on from the beginning of a new numbering, whatever it was doing in the old one."""
        if self.state is not State.GATHERING:
            self.begin_at(OLDEST)
        self.position, self.joined, self.first = OLDEST, OLDEST.seq, OLDEST.seq
        if self.end < NEVER:
            self.end = OLDEST.seq  # what it came for has left
        self.cursor = self.missing = self.since = None
        self.gap, self.lost = Gap(None, "restarted"), 0

    def take_gaps(self) -> list[Gap]:
        """Return the gaps that are due to be reported, once."""
        gaps = [] if self.gap is None else [self.gap]
        if self.lost:
            gaps.append(Gap(self.lost, "slow"))
        self.gap, self.lost = None, 0
        return gaps
