"""What handlers count, for /metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from delivery.histogram import Histogram


@dataclass(slots=True)
class IngestStatistics:
    """What has come of requests with logs since the start."""

    requests: Counter[int] = field(default_factory=Counter)  # by status
    records: int = 0  # stored
    skipped: int = 0  # records without text or namespace, and what could not be read
    contradicted: int = 0  # records whose metadata the tag has overruled
    duplicates: int = 0  # requests that had been stored before
    abandoned: int = 0  # requests whose clients left before they were stored
    bytes: int = 0  # of bodies, as they came
    seconds: Histogram = field(default_factory=Histogram)  # from a complete body to its answer


@dataclass(slots=True)
class RequestStatistics:
    """What has come of other requests since the start."""

    tokens_signed: int = 0
    refusals: Counter[tuple[str, int]] = field(default_factory=Counter)  # by path and status
    readers: Counter[str] = field(default_factory=Counter)  # that have joined, by transport
    departures: Counter[str] = field(default_factory=Counter)  # of readers, by reason
    # Written to readers that have left; what open sessions have written is theirs to tell.
    lines: int = 0
    bytes: int = 0
