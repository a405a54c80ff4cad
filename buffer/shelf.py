"""A shelf: chunks in the order of their sequence numbers, found by bisection."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buffer.chunk import Chunk


class Shelf:
    """Chunks by sequence number: put at the end, taken out anywhere, walked from any place either way.

    Taking one out leaves an empty place, and the places are closed up once they are the larger part, so that
    each operation costs no more than a bisection, on average.
    """

    __slots__ = ("_chunks", "_empty", "_head", "_seqs")

    def __init__(self) -> None:
        self._seqs: list[int] = []
        self._chunks: list[Chunk | None] = []  # None: taken out
        self._head = 0  # all places before this one are empty
        self._empty = 0  # how many places are empty, those before the head included

    def __len__(self) -> int:
        return len(self._chunks) - self._empty

    def put(self, chunk: Chunk) -> None:
        """Put a chunk at the end; its number must be higher than all before."""
        self._seqs.append(chunk.seq)
        self._chunks.append(chunk)

    def take(self, seq: int) -> None:
        """Take out the chunk of this number, which must be there."""
        chunks = self._chunks
        place = bisect_left(self._seqs, seq)
        chunks[place] = None
        self._empty += 1
        while self._head < len(chunks) and chunks[self._head] is None:
            self._head += 1
        if self._empty > 32 and self._empty * 2 > len(chunks):
            self._close_up()

    def first(self) -> Chunk:
        """Return the chunk of the lowest number. The shelf must not be empty."""
        chunk = self._chunks[self._head]
        assert chunk is not None  # noqa: S101 - what the head means; costs nothing in production
        return chunk

    def from_seq(self, seq: int) -> Iterator[Chunk]:
        """Yield the chunks numbered `seq` or higher, in order."""
        chunks = self._chunks
        for place in range(bisect_left(self._seqs, seq, self._head), len(chunks)):
            if (chunk := chunks[place]) is not None:
                yield chunk

    def backwards(self, before: int) -> Iterator[Chunk]:
        """Yield the chunks numbered below `before`, the latest first."""
        chunks = self._chunks
        for place in range(bisect_left(self._seqs, before, self._head) - 1, self._head - 1, -1):
            if (chunk := chunks[place]) is not None:
                yield chunk

    def _close_up(self) -> None:
        self._chunks = [chunk for chunk in self._chunks if chunk is not None]
        self._seqs = [chunk.seq for chunk in self._chunks if chunk is not None]
        self._head = self._empty = 0
