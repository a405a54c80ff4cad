"""Source logs: what a ring holds of one source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buffer.chunk_list import ChunkList

if TYPE_CHECKING:
    from buffer.chunk import Chunk
    from buffer.source import Source

# What CPython keeps for a source's place in a ring: objects, hash table entries, empty lists.
SOURCE_LOG_OVERHEAD = 910


class SourceLog:
    """The chunks of one source. `bytes` is the memory they take, `lines` how many lines they have.

    `evicted_seq` is the highest number that is no longer held (0: none).
    """

    __slots__ = ("bytes", "chunks", "evicted_seq", "lines", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.chunks = ChunkList()
        self.bytes = SOURCE_LOG_OVERHEAD + source.size
        self.lines = 0
        self.evicted_seq = 0

    def append(self, chunk: Chunk) -> None:
        """Add a chunk, whose number must be higher than all before."""
        self.chunks.append(chunk)
        self.bytes += chunk.size
        self.lines += chunk.count

    def evict(self) -> Chunk:
        """Remove the oldest chunk and return it."""
        chunk = self.chunks.first()
        self.chunks.remove(chunk.seq)
        self.bytes -= chunk.size
        self.lines -= chunk.count
        self.evicted_seq = max(self.evicted_seq, chunk.seq)
        return chunk
