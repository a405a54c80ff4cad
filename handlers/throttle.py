"""Log lines that an operator needs to see, but not once for each request."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from log_format import log_event

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("logurt")

_MINUTE = 60.0


@dataclass(slots=True)
class _Kind:
    """What has come of a kind of event."""

    minute_began: float = float("-inf")
    logged: int = 0  # lines in this minute
    untold: int = 0  # events since the last line


class LogThrottle:
    """Logs events of a kind `burst` times a minute; `count` is how many there were since the line before.

    `monotonic` returns seconds. Kinds must be few: they are kept.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kinds: dict[str, _Kind] = {}

    def note(self, kind: str, count: int = 1, *, burst: int = 1, level: int = logging.INFO, **facts: Any) -> None:
        """Count some events of a kind, and log them with the facts of this one unless the minute has had enough."""
        seen = self._kinds.setdefault(kind, _Kind())
        seen.untold += count
        now = self._monotonic()
        if now - seen.minute_began >= _MINUTE:
            seen.minute_began, seen.logged = now, 0
        if seen.logged < burst:
            log_event(log, level, kind, count=seen.untold, **facts)
            seen.logged += 1
            seen.untold = 0
