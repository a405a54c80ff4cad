"""Losses: which lines of a namespace the stream has let go of before they were read.

Each message says how many lines of its source its writer had sent before it. Where the last one that was seen does not
end there, the difference is lost. A writer that is met for the first time only names the number of its message before:
if that was not seen, an unknown number of lines is lost.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from buffer.jetstream.message import Place
    from buffer.source import Source

# Pairs of writer and source that are remembered, of a namespace, and sources: each of these may have many writers.
MAX_REMEMBERED = 8192
MAX_SOURCES = 16_384
# Stretches in which a message may have gone unseen; older ones are joined.
_MAX_STRETCHES = 64


class Loss(NamedTuple):
    """Lines that will not come: how many (None: nobody knows), and the number of the last message that had any."""

    number: int
    lines: int | None


class _Seen(NamedTuple):
    next_line: int
    number: int


class Losses:
    """What has been seen of one namespace."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[Source, bytes], _Seen] = OrderedDict()
        self._newest: OrderedDict[Source, int] = OrderedDict()
        self._stretches: list[tuple[int, int]] = []  # numbers from the first to before the second, in order

    def fetched(self, first: int, until: int) -> None:
        """Note that these numbers were fetched, not heard: what was gone by then has left no trace."""
        stretches = self._stretches
        stretches.append((first, until))
        if len(stretches) > _MAX_STRETCHES:
            stretches[:2] = [(stretches[0][0], stretches[1][1])]

    def see(self, source: Source, place: Place, lines: int, number: int) -> Loss | None:
        """Note a message that has so many lines; return what was lost of its source before it."""
        key = (source, place.writer)
        seen = self._seen.pop(key, None)
        if seen is None:
            loss = self._unseen(source, place, number)
        elif place.lines > seen.next_line:
            loss = Loss(self._last_lost(place, seen, number), place.lines - seen.next_line)
        else:
            loss = None
        self._seen[key] = _Seen(place.lines + lines, number)
        self._newest[source] = number
        self._newest.move_to_end(source)
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        if len(self._newest) > MAX_SOURCES:
            self._newest.popitem(last=False)
        return loss

    def _last_lost(self, place: Place, seen: _Seen, number: int) -> int:
        """Return the number of the last message that is missing between two of one writer."""
        return place.previous if seen.number < place.previous < number else number - 1

    def _unseen(self, source: Source, place: Place, number: int) -> Loss | None:
        previous = place.previous
        if not 0 < previous < number or self._newest.get(source, 0) >= previous:
            return None
        index = bisect_left(self._stretches, (previous + 1,)) - 1
        if index < 0 or previous >= self._stretches[index][1]:
            return None  # it was heard, and has been forgotten here
        return Loss(previous, None)
