"""Chunk lists: chunks in the order of their sequence numbers, found by bisection."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buffer.chunk import Chunk


class ChunkList:
    """Chunks by sequence number: appended at the end, removed anywhere, walked from any place in either direction.

    Removing a chunk leaves a hole. The holes are closed once they outnumber the chunks, so on average no operation
    costs more than a bisection.
    """

    __slots__ = ("_chunks", "_head", "_holes", "_seqs")

    def __init__(self) -> None:
        self._seqs: list[int] = []
        self._chunks: list[Chunk | None] = []  # None: a hole
        self._head = 0  # every place before this one is a hole
        self._holes = 0  # how many there are, those before the head included

    def __len__(self) -> int:
        return len(self._chunks) - self._holes

    @property
    def places(self) -> int:
        """How many places there are, holes included."""
        return len(self._chunks)

    def append(self, chunk: Chunk) -> None:
        """Add a chunk at the end. Its number must be higher than all before."""
        self._seqs.append(chunk.seq)
        self._chunks.append(chunk)

    def remove(self, seq: int) -> None:
        """Remove the chunk with this number, which must be there."""
        chunks = self._chunks
        place = bisect_left(self._seqs, seq)
        chunks[place] = None
        self._holes += 1
        while self._head < len(chunks) and chunks[self._head] is None:
            self._head += 1
        if self._holes > 32 and self._holes * 2 > len(chunks):
            self._close_holes()

    def first(self) -> Chunk:
        """Return the chunk with the lowest number. The list must not be empty."""
        chunk = self._chunks[self._head]
        assert chunk is not None  # noqa: S101 - what the head means; costs nothing in production
        return chunk

    def last(self) -> Chunk:
        """Return the chunk with the highest number. The list must not be empty."""
        return next(self.backwards(self._seqs[-1] + 1))

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

    def _close_holes(self) -> None:
        self._chunks = [chunk for chunk in self._chunks if chunk is not None]
        self._seqs = [chunk.seq for chunk in self._chunks if chunk is not None]
        self._head = self._holes = 0
