"""Turns: when readers that are behind are served.

Each turn serves some of them for a few milliseconds, one range each, and leaves the others to the next turn of the
event loop. Readers wait in three lines: those that a flush did not reach in time come first; those whose searches or
filters take long come last, so that they hold up nobody else.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from delivery.slice import Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from delivery.reader import Reader
    from delivery.slice import LoopSlice

# How long the late readers are served in one turn: less than flushes have, or those of other feeds would not get any.
# Then the quick readers, a single one of them, and the slow readers, in seconds.
LATE_SECONDS = 0.01
QUICK_SECONDS = 0.005
READER_SECONDS = 0.001
SLOW_SECONDS = 0.0025


class Turns:
    """The readers that wait to be served. A reader that was not done when its time was up is slow.

    `serve(reader, time)` does as much for a reader as there is time for, and tells whether there is more to do.
    `over()` is called after each turn. Late readers are served in the time that `loop` gives to flushes. `monotonic`
    and `call_later` are as `Hub` says.
    """

    __slots__ = ("_call_later", "_is_scheduled", "_late", "_loop", "_monotonic", "_over", "_quick", "_serve", "_slow")

    def __init__(
        self,
        serve: Callable[[Reader, Slice], bool],
        over: Callable[[], None],
        loop: LoopSlice,
        *,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._serve = serve
        self._over = over
        self._loop = loop
        self._monotonic = monotonic
        self._call_later = call_later
        self._late: deque[Reader] = deque()
        self._quick: deque[Reader] = deque()
        self._slow: deque[Reader] = deque()
        self._is_scheduled = False

    def __len__(self) -> int:
        return len(self._late) + len(self._quick) + len(self._slow)

    def add(self, reader: Reader) -> None:
        """Have a reader served, unless it is waiting already."""
        self._line_up(reader, self._slow if reader.group.is_slow else self._quick)

    def add_late(self, readers: Sequence[Reader]) -> None:
        """Have readers of one group served that a flush has not reached in time."""
        for reader in readers:
            self._line_up(reader, self._slow if reader.group.is_slow else self._late)

    def _line_up(self, reader: Reader, line: deque[Reader]) -> None:
        if not reader.queued:
            reader.queued = True
            line.append(reader)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_later(0, self._take)

    def _take(self) -> None:
        """Serve each line for as long as it may take, and leave the rest to the next turn."""
        self._is_scheduled = False
        if self._late:
            self._serve_line(self._late, self._loop.current().part(LATE_SECONDS))
        if self._quick:
            self._serve_line(self._quick, Slice(self._monotonic, QUICK_SECONDS), READER_SECONDS)
        if self._slow:
            self._serve_line(self._slow, Slice(self._monotonic, SLOW_SECONDS))
        self._over()
        if len(self):
            self._schedule()

    def _serve_line(self, line: deque[Reader], turn: Slice, seconds: float | None = None) -> None:
        """Serve readers of a line until the turn is over, each once, and for so many seconds (None: what is left)."""
        for _ in range(len(line)):
            reader = line.popleft()
            reader.queued = False
            if reader.has_turns:
                time = turn if seconds is None else turn.part(seconds)
                if self._serve(reader, time):
                    self._line_up(reader, self._slow if time.is_over() else self._quick)
            if turn.is_over():
                break
