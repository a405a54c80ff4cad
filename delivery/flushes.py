"""Flushes: when feeds are flushed, and for how long in one turn of the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from delivery.feed import Feed
    from delivery.histogram import Histogram


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
            delay = feed.flushed_at + self._interval - self._monotonic()
            self._call_later(max(0.0, delay), lambda: self._flush(feed))

    def _flush(self, feed: Feed) -> None:
        self._go_on(feed, feed.begin_flush(self._monotonic()))

    def _go_on(self, feed: Feed, waiting_since: float) -> None:
        if not feed.go_on():
            self._call_later(0, lambda: self._go_on(feed, waiting_since))
            return
        self._delays.observe(self._monotonic() - waiting_since)
        feed.flush_scheduled = False
        self.schedule(feed)
