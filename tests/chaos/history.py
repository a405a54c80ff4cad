"""The history of a run: what was acknowledged to writers, and whether each reader got it, once and in order."""

from __future__ import annotations

import json
from collections import defaultdict


class History:
    """How many lines each pod has had acknowledged; they are numbered from 0."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, int] = defaultdict(int)
        self.pauses: list[float] = []  # of a request, from its first attempt to its acknowledgement, in seconds
        self.refused = 0  # attempts


class Reading:
    """What one reader gets, over all its visits. `errors` has a sentence for whatever must not be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cursor = ""
        self.lines = 0
        self.errors: list[str] = []
        self.missing = 0  # lines that were passed over
        self.lost = 0  # lines that were reported to be lost, where their number was known
        self.unknown = 0  # gaps of an unknown number of lines
        self.last_at = 0.0
        self.longest_pause = 0.0  # seconds
        self.visits: list[str] = []
        self._next: dict[str, int] = {}

    def take(self, event: str, now: float) -> None:
        """Note one event, as JSON."""
        members = json.loads(event)
        if members["type"] == "gap":
            self.lost += members["lost"] or 0
            self.unknown += members["lost"] is None
            self.visits.append(f"{now:.1f} gap {members['lost']} {members['reason']}")
        elif members["type"] == "line":
            self.cursor = members["cursor"]
            self._take_line(members["pod"], int(members["log"]), now)
            if self.last_at:
                self.longest_pause = max(self.longest_pause, now - self.last_at)
            self.last_at = now

    def _take_line(self, pod: str, number: int, now: float) -> None:
        self.lines += 1
        expected = self._next.get(pod, number)
        if number < expected:
            self.errors.append(f"{self.name}: {pod} {number} came after {expected - 1}")
        else:
            self.missing += number - expected
            if number > expected:
                self.visits.append(f"{now:.1f} {number - expected} of {pod} missing before {self.cursor}")
            self._next[pod] = number + 1

    def has_all(self, history: History) -> bool:
        """Tell whether the last line of every pod has come that it has seen, or that was acknowledged."""
        return all(self._next.get(pod, 0) >= count for pod, count in history.acknowledged.items())

    def check(self, history: History) -> list[str]:
        """Return what is wrong in the end."""
        errors = self.check_losses()
        for pod, count in history.acknowledged.items():
            if self._next.get(pod, 0) < count:
                errors.append(f"{self.name}: {pod} ends at {self._next.get(pod, 0)} of {count}")
        return errors

    def check_losses(self) -> list[str]:
        """Return what is wrong with what it has been given so far."""
        errors = list(self.errors)
        if not self.unknown and self.missing != self.lost:
            errors.append(f"{self.name}: {self.missing} lines missing, {self.lost} reported; {self.visits}")
        if self.unknown and not self.missing:
            errors.append(f"{self.name}: {self.unknown} gaps reported, and nothing is missing")
        return errors
