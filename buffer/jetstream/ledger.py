"""The ledger: what this process has written of each source, from which every message gets its place."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

from buffer.jetstream.message import Place

if TYPE_CHECKING:
    from buffer.source import Source

# Sources that are remembered; each takes some 300 bytes beside its labels.
MAX_SOURCES = 20_000


class Entry:
    """What has been written of one source."""

    __slots__ = ("lines", "previous", "writer")

    def __init__(self, writer: bytes, previous: int) -> None:
        self.writer = writer
        self.lines = 0
        self.previous = previous

    @property
    def place(self) -> Place:
        """The place of the next message."""
        return Place(self.writer, self.lines, self.previous)

    def add(self, lines: int, number: int) -> None:
        """Note that a message was stored, and has that number."""
        self.lines += lines
        self.previous = number

    def doubt(self, number: int = 0) -> None:
        """Note that a message may have been stored, or that another process has stored it, as that number.

        Lines can be counted no longer: they begin anew, in the name of another writer.
        """
        self.writer, self.lines = _writer(), 0
        self.previous = max(self.previous, number)


class Ledger:
    """The entries of all sources that this process has written. Those that wrote last are remembered the longest."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Source, Entry] = OrderedDict()
        self._writer = _writer()
        self._horizon = 0  # the highest number of what has been forgotten

    def entry(self, source: Source) -> Entry:
        """Return the entry of a source; a new one if it has none."""
        entry = self._entries.get(source)
        if entry is not None:
            self._entries.move_to_end(source)
            return entry
        # What has been forgotten of it may have any number up to the horizon.
        writer = _writer() if self._horizon else self._writer
        entry = self._entries[source] = Entry(writer, self._horizon)
        if len(self._entries) > MAX_SOURCES:
            self._horizon = max(self._horizon, self._entries.popitem(last=False)[1].previous)
        return entry

    def clear(self) -> None:
        """Begin anew, because the stream's numbers do."""
        self._entries.clear()
        self._writer = _writer()
        self._horizon = 0


def _writer() -> bytes:
    return secrets.token_bytes(8)
