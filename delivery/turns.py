"""Turns: when readers that are behind are served.

Each turn serves some of them for a few milliseconds, one range each, and leaves the others to the next turn of the
event loop. Readers whose searches or filters take long wait in a line of their own, so that they hold up nobody else.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from delivery.slice import Slice

if TYPE_CHECKING:
    from collections.abc import Callable

    from delivery.reader import Reader

# How long the quick readers are served in one turn, a single one of them, and the slow readers, in seconds.
QUICK_SECONDS = 0.005
READER_SECONDS = 0.001
SLOW_SECONDS = 0.0025


class Turns:
    """The readers that wait to be served, in two lines. A reader that was not done when its time was up is slow.

    `serve(reader, time)` does as much for a reader as there is time for, and tells whether there is more to do.
    `over()` is called after each turn. `monotonic` and `call_later` are as `Hub` says.
    """

    __slots__ = ("_call_later", "_is_scheduled", "_monotonic", "_over", "_quick", "_serve", "_slow")

    def __init__(
        self,
        serve: Callable[[Reader, Slice], bool],
        over: Callable[[], None],
        *,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._serve = serve
        self._over = over
        self._monotonic = monotonic
        self._call_later = call_later
        self._quick: deque[Reader] = deque()
        self._slow: deque[Reader] = deque()
        self._is_scheduled = False

    def __len__(self) -> int:
        return len(self._quick) + len(self._slow)

    def add(self, reader: Reader) -> None:
        """Have a reader served, unless it is waiting already."""
        if not reader.queued:
            self._line_up(reader, is_slow=reader.group.is_slow)
        self._schedule()

    def _line_up(self, reader: Reader, *, is_slow: bool) -> None:
        reader.queued = True
        (self._slow if is_slow else self._quick).append(reader)

    def _schedule(self) -> None:
        if not self._is_scheduled and (self._quick or self._slow):
            self._is_scheduled = True
            self._call_later(0, self._take)

    def _take(self) -> None:
        """Serve each line for as long as it may take, and leave the rest to the next turn."""
        self._is_scheduled = False
        turn = Slice(self._monotonic, QUICK_SECONDS)
        for _ in range(len(self._quick)):
            self._serve_first(self._quick, turn.part(READER_SECONDS))
            if turn.is_over():
                break
        turn = Slice(self._monotonic, SLOW_SECONDS)
        for _ in range(len(self._slow)):
            self._serve_first(self._slow, turn)
            if turn.is_over():
                break
        self._over()
        self._schedule()

    def _serve_first(self, line: deque[Reader], time: Slice) -> None:
        reader = line.popleft()
        reader.queued = False
        if reader.has_turns and self._serve(reader, time):
            self._line_up(reader, is_slow=time.is_over())
