"""Flushes: when feeds are flushed, and for how long in one turn of the event loop."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from delivery.feed import Feed
    from delivery.histogram import Histogram
    from delivery.slice import Slice


# A flush that begins later than this was held up: there is more to do than the event loop can. Until that is over,
# feeds are flushed less often, so that flushes take half of the time at most, and a quarter while a crowd of so many
# joins between two of them: the more lines a flush has, the less each of them costs. Where flushes take longer than the
# interval, it is four fifths. But none is put off beyond the longest interval. All in seconds, or times what it takes.
_LATE, _LONGEST_INTERVAL = 0.005, 0.1
_WHILE_JOINING, _WHILE_LATE, _WHILE_LONG = 4, 2, 1.25
_CROWD = 4


@dataclass(slots=True, eq=False)
class _Flush:
    """A flush that has begun. All times are in seconds."""

    feed: Feed
    before: float  # when the last one of the feed began, on the hub's clock
    waiting_since: float  # likewise
    is_late: bool
    spent: float = 0.0


class Flushes:
    """Flushes feeds: at once after a quiet time; under load, so many seconds after the last flush began.

    Those that `time()` leaves no time for go on in the next turn of the event loop, which begins with another one, so
    that each gets some. `delays` notes the seconds from the first chunk that a flush writes to its last write.
    `monotonic` and `call_later` are as `Hub` says.
    """

    __slots__ = ("_call_later", "_delays", "_interval", "_joined_at", "_monotonic", "_time", "_under_way")

    def __init__(
        self,
        interval: float,
        delays: Histogram,
        time: Callable[[], Slice],
        *,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._interval = interval
        self._delays = delays
        self._time = time
        self._monotonic = monotonic
        self._call_later = call_later
        self._under_way: deque[_Flush] = deque()  # those that go on in the next turn
        self._joined_at: deque[float] = deque(maxlen=_CROWD)  # when the last readers did

    def note_join(self) -> None:
        """Note that a reader joins. A crowd is not to wait because of flushes for thousands of others."""
        self._joined_at.append(self._monotonic())

    def schedule(self, feed: Feed) -> None:
        """Have a feed flushed, if it has been offered something."""
        if not feed.needs_flush:
            return
        if feed.waiting_since is None:
            feed.waiting_since = self._monotonic()
        if not feed.flush_scheduled:
            feed.flush_scheduled = True
            now = self._monotonic()
            due = max(now, feed.flushed_at + max(self._interval, feed.rest))
            self._call_later(due - now, lambda: self._flush(feed, due))

    def _flush(self, feed: Feed, due: float) -> None:
        now = self._monotonic()
        flush = _Flush(feed, feed.flushed_at, feed.begin_flush(now), now - due > _LATE)
        if self._under_way:
            self._under_way.append(flush)
        elif not self._go_on(flush):
            self._under_way.append(flush)
            self._call_later(0, self._take)

    def _take(self) -> None:
        """Go on with the flushes under way, for as long as there is time."""
        self._under_way.rotate(-1)
        for flush in list(self._under_way):
            if self._go_on(flush):
                self._under_way.remove(flush)
            elif self._time().is_over():
                break
        if self._under_way:
            self._call_later(0, self._take)

    def _go_on(self, flush: _Flush) -> bool:
        """Go on with a flush; tell whether it is done."""
        feed, began = flush.feed, self._monotonic()
        is_done = feed.go_on()
        now = self._monotonic()
        flush.spent += now - began
        if is_done:
            self._delays.observe(now - flush.waiting_since)
            feed.rest = min(self._rest_after(flush), _LONGEST_INTERVAL)
            feed.flush_scheduled = False
            self.schedule(feed)
        return is_done

    def _rest_after(self, flush: _Flush) -> float:
        """Return how long after a flush has begun the next one of its feed may at the earliest."""
        if len(self._joined_at) == _CROWD and self._joined_at[0] > flush.before:
            return _WHILE_JOINING * flush.spent
        if flush.is_late:
            return _WHILE_LATE * flush.spent
        if flush.spent > self._interval:
            return _WHILE_LONG * flush.spent
        return 0.0
