"""Log lines that an operator needs to see, but not once a request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("logurt")

_SECONDS = 60


class LogThrottle:
    """Logs each kind of event at most once a minute, with how many there were since the last line about it.

    `now` returns seconds. Kinds must be few: they are kept.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[str, int] = {}
        self._logged_at: dict[str, float] = {}

    def note(self, kind: str, count: int = 1) -> None:
        """Count events of a kind, and log them if its minute is over."""
        total = self._counts.get(kind, 0) + count
        now = self._now()
        if now - self._logged_at.get(kind, float("-inf")) < _SECONDS:
            self._counts[kind] = total
            return
        self._counts[kind] = 0
        self._logged_at[kind] = now
        log.info("%s; since the last such line: %d", kind, total)
