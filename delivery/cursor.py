"""Cursors: a reader's place in the log, as clients see it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from buffer.chunk import Chunk

# 15 hexadecimal digits stay below the 2^63 that sequence numbers may reach.
_CURSOR = re.compile(r"([0-9a-z]{1,32})-([0-9a-f]{1,15})-([0-9a-f]{1,8})", re.ASCII)


class BadCursor(ValueError):
    """Text that is not a cursor."""

    def __str__(self) -> str:
        return "cursor is not one that this server has given out"


def cursor_after(chunk: Chunk, index: int) -> bytes:
    """Return the text of the cursor for the place after this line of the chunk."""
    # The place after a chunk's last line has the next number. If it had this chunk's own number, nobody could tell once
    # the chunk is evicted whether the reader still wanted any of its lines.
    if index + 1 == chunk.count:
        return b"%s-%x-0" % (chunk.epoch.encode(), chunk.seq + 1)
    return b"%s-%x-%x" % (chunk.epoch.encode(), chunk.seq, index + 1)


class Cursor(NamedTuple):
    """The next line to read: the epoch of the numbering, the number of the chunk, the index of the line in it."""

    epoch: str
    seq: int
    line: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor that a text stands for. Raises BadCursor."""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise BadCursor
        epoch, seq, line = match[1], int(match[2], 16), int(match[3], 16)
        if seq == 0:
            raise BadCursor
        return cls(epoch, seq, line)

    def encode(self) -> bytes:
        """Return the text of the cursor."""
        return b"%s-%x-%x" % (self.epoch.encode(), self.seq, self.line)
