"""Where a reader is in its stream, and what to ask for to go on from there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cli.message import Message

# How far back to look for lines that were written, but had not arrived, when a stream without lines was cut.
_ARRIVAL_SECONDS = 10


class Position:
    """A place in the stream that `asked`, the parameters of GET /logs, describes. `now` returns Unix seconds."""

    def __init__(self, asked: Mapping[str, Sequence[str]], now: Callable[[], float]) -> None:
        self._asked = dict(asked)
        self._now = now
        self._cursor = ""  # after the last line; empty: there was none
        self._live_since: float | None = None  # Unix seconds at which the backlog was over, while there was no line

    @property
    def has_lines(self) -> bool:
        """Whether any line has come."""
        return bool(self._cursor)

    @property
    def is_live_without_lines(self) -> bool:
        """Whether the backlog is over and had no lines, and none has come since."""
        return self._live_since is not None and not self._cursor

    def advance(self, messages: Sequence[Message]) -> None:
        """Move past messages that have been shown."""
        for message in reversed(messages):
            if message.type == "line":
                self._cursor = message.cursor
                break
            if message.type == "live" and self._live_since is None:
                self._live_since = self._now()

    def query(self) -> dict[str, Sequence[str]]:
        """Return what to ask for next."""
        elsewhere = {name: values for name, values in self._asked.items() if name not in {"tail", "since", "cursor"}}
        if self._cursor:
            return {**elsewhere, "cursor": [self._cursor]}
        if self._live_since is None or "cursor" in self._asked:
            return self._asked
        if self._asked.get("tail") != ["0"] and "since" not in self._asked:
            # There was no backlog at all, so whatever there is now has come since.
            return {**elsewhere, "tail": ["all"]}
        # Nothing has been shown, so lines from a little earlier cannot be shown twice.
        seconds = math.ceil(max(0.0, self._now() - self._live_since)) + _ARRIVAL_SECONDS
        return {**elsewhere, "tail": ["all"], "since": [f"{seconds}s"]}
