"""Flushes: when feeds are flushed, and for how long in one turn of the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from delivery.feed import Feed
    from delivery.histogram import Histogram


# A flush that begins later than this was held up: there is more to do than the event loop can. Until that is over,
# feeds are flushed less often, so that flushes take half of the time at most: the more lines a flush has, the less
# each of them costs. But no line waits for longer than the longest interval. All in seconds.
_LATE = 0.005
_SHARE = 2
_LONGEST_INTERVAL = 0.1


class Flushes:
    """Flushes feeds: at once after a quiet time; under load, so many seconds after the last flush began.

    A flush that takes longer than its slice goes on in the next turn of the event loop. `delays` notes the seconds from
    the first chunk that a flush writes to its last write. `monotonic` and `call_later` are as `Hub` says.
    """

    __slots__ = ("_call_later", "_delays", "_interval", "_monotonic")

    def __init__(
        self,
        interval: float,
        delays: Histogram,
        *,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._interval = interval
        self._delays = delays
        self._monotonic = monotonic
        self._call_later = call_later

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
        self._go_on(feed, feed.begin_flush(now), 0.0, is_late=now - due > _LATE)

    def _go_on(self, feed: Feed, waiting_since: float, spent: float, *, is_late: bool) -> None:
        began = self._monotonic()
        is_done = feed.go_on()
        now = self._monotonic()
        spent += now - began
        if not is_done:
            self._call_later(0, lambda: self._go_on(feed, waiting_since, spent, is_late=is_late))
            return
        self._delays.observe(now - waiting_since)
        feed.rest = min(_SHARE * spent, _LONGEST_INTERVAL) if is_late else 0.0
        feed.flush_scheduled = False
        self.schedule(feed)
