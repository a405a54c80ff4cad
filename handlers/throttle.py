"""A throttle for log lines: what an operator must hear of, but not once for each request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("logurt")

_SECONDS = 60


class LogThrottle:
    """Log lines of which one a minute of each kind is enough; the next one says how many there were meanwhile.

    `now` gives seconds. Kinds must be few: they are kept.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[str, int] = {}
        self._logged_at: dict[str, float] = {}

    def note(self, kind: str, count: int = 1) -> None:
        """Count a kind of complaint, and log it if its minute is over."""
        total = self._counts.get(kind, 0) + count
        now = self._now()
        if now - self._logged_at.get(kind, float("-inf")) < _SECONDS:
            self._counts[kind] = total
            return
        self._counts[kind] = 0
        self._logged_at[kind] = now
        log.info("%s; since the last such line: %d", kind, total)
