"""Flushes: when feeds are flushed, and for how long in one turn of the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from delivery.feed import Feed
    from delivery.histogram import Histogram


# A feed whose flushes take long is flushed less often: so they take half of the time at most. The more lines a flush
# has, the less each costs. But no line waits longer than this, in seconds.
_SHARE = 2
_LONGEST_INTERVAL = 0.1


class Flushes:
    """Flushes feeds: at once after a quiet time; under load, so many seconds after the last flush began, or a bit more.

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
            interval = max(self._interval, min(_SHARE * feed.flush_seconds, _LONGEST_INTERVAL))
            delay = feed.flushed_at + interval - self._monotonic()
            self._call_later(max(0.0, delay), lambda: self._flush(feed))

    def _flush(self, feed: Feed) -> None:
        self._go_on(feed, feed.begin_flush(self._monotonic()), 0.0)

    def _go_on(self, feed: Feed, waiting_since: float, spent: float) -> None:
        began = self._monotonic()
        is_done = feed.go_on()
        now = self._monotonic()
        spent += now - began
        if not is_done:
            self._call_later(0, lambda: self._go_on(feed, waiting_since, spent))
            return
        self._delays.observe(now - waiting_since)
        feed.flush_seconds = spent
        feed.flush_scheduled = False
        self.schedule(feed)
