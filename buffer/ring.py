"""The ring: the recent chunks of one namespace.

Eviction is fair: it takes the oldest chunk of the source that holds the most bytes, so that a quiet pod keeps its
short history beside a chatty one. Therefore the ring has two orders: each source's own, in which eviction always
takes the first chunk, and the namespace's, which may have holes anywhere.
"""

from __future__ import annotations

from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from buffer.chunk_list import ChunkList
from buffer.max_heap import MaxHeap
from buffer.source_log import SourceLog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from buffer.chunk import Chunk
    from buffer.selector import Selector
    from buffer.source import Source

# What CPython keeps for an empty ring: objects, hash table entries, empty lists.
RING_OVERHEAD = 2500


class Position(NamedTuple):
    """The next line to read: this line of this chunk, or the first one of any later chunk."""

    seq: int
    line: int


class Tail(NamedTuple):
    """Where a backward walk has got to, and how many lines are still missing (0: it is done)."""

    position: Position
    missing: int


class Ring:
    """The chunks of one namespace, by source and in order of arrival.

    `bytes` is the memory held, everything included; `next_seq` is one more than the highest number seen.
    """

    __slots__ = ("_by_pod", "_heaviest", "_order", "bytes", "lines", "logs", "namespace", "next_seq")

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.logs: dict[Source, SourceLog] = {}
        self.bytes = RING_OVERHEAD
        self.lines = 0
        self.next_seq = 0
        self._order = ChunkList()
        self._by_pod: dict[str, set[Source]] = {}
        self._heaviest: MaxHeap[Source] = MaxHeap()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def pods(self) -> Collection[str]:
        """The pods whose sources are held."""
        return self._by_pod.keys()

    def append(self, chunk: Chunk) -> None:
        """Add a chunk, whose number must be higher than all before."""
        log = self.logs.get(chunk.source)
        if log is None:
            log = self.logs[chunk.source] = SourceLog(chunk.source)
            self._by_pod.setdefault(chunk.source.pod, set()).add(chunk.source)
            self.bytes += log.bytes
        chunk.source = log.source  # equal already, but another object of as many bytes
        log.append(chunk)
        self._order.append(chunk)
        self._heaviest.set(chunk.source, log.bytes)
        self.bytes += chunk.size
        self.lines += chunk.count
        self.next_seq = chunk.seq + 1

    def admitted(self, selector: Selector) -> list[Source]:
        """Return the sources that a selector admits."""
        pods = selector.listed_pods
        if pods is None:
            return [source for source in self.logs if selector.admits(source)]
        return [source for pod in pods for source in self._by_pod.get(pod, ()) if selector.admits(source)]

    def first(self) -> Chunk:
        """Return the oldest chunk. There must be one."""
        return self._order.first()

    def evict(self, chunk: Chunk | None = None) -> Chunk:
        """Remove and return a source's oldest chunk: this one, or that of the source that holds the most bytes."""
        if chunk is None:
            log = self.logs[self._heaviest.top()]
            # If even the heaviest source has only one chunk, nobody is chatty. Then the oldest chunk goes: otherwise
            # many sources of one line each would keep a newcomer from holding anything.
            chunk = log.chunks.first() if len(log.chunks) > 1 else self._order.first()
        return self._evict_first(self.logs[chunk.source])

    def after(
        self, position: Position, sources: Collection[Source], before: int | None = None
    ) -> Iterator[tuple[Chunk, int]]:
        """Yield the chunks of these sources from the position on, each with the index of its first line to read.

        `sources` must be held here; `before` is a sequence number to stop at.
        """
        for chunk in self._from_seq(position.seq, sources):
            if before is not None and chunk.seq >= before:
                return
            start = position.line if chunk.seq == position.seq else 0
            if start < chunk.count:
                yield chunk, start

    def tail(
        self,
        lines: int,
        sources: Collection[Source],
        match: Callable[[Chunk], Sequence[int] | None],
        before: int,
        budget: int | None = None,
    ) -> Tail:
        """Find the position from which these sources have that many matching lines, walking backwards.

        `match` tells which lines of a chunk count: their indices in order, or None for all. The walk starts below
        the number `before` and stops once it has seen `budget` bytes of chunks; it can be resumed from there.
        """
        position = Position(before, 0)
        if lines == 0:
            return Tail(position, 0)
        for chunk in self._backwards(sources, before):
            if budget is not None:
                if budget <= 0:
                    return Tail(position, lines)
                budget -= chunk.size  # not of its text alone: a chunk of one short line takes its time too
            indices = match(chunk)
            found = chunk.count if indices is None else len(indices)
            if found >= lines:
                index = found - lines
                return Tail(Position(chunk.seq, index if indices is None else indices[index]), 0)
            lines -= found
            position = Position(chunk.seq, 0)
        return Tail(position, 0)

    def since(self, when: float, sources: Collection[Source]) -> Position:
        """Return the position of the first line of these sources that is not older than `when`, Unix seconds."""
        # No line is younger than its arrival, so the walk need not go further back than that.
        recent: list[Chunk] = []
        for chunk in self._backwards(sources, self.next_seq):
            if chunk.arrived < when:
                break
            recent.append(chunk)
        for chunk in reversed(recent):
            index = chunk.first_since(when)
            if index is not None:
                return Position(chunk.seq, index)
        return Position(self.next_seq, 0)

    def _from_seq(self, seq: int, sources: Collection[Source]) -> Iterator[Chunk]:
        if self._is_wide(sources):
            if len(sources) == len(self.logs):
                return self._order.from_seq(seq)
            return (chunk for chunk in self._order.from_seq(seq) if chunk.source in sources)
        return merge(*(self.logs[source].chunks.from_seq(seq) for source in sources), key=attrgetter("seq"))

    def _backwards(self, sources: Collection[Source], before: int) -> Iterator[Chunk]:
        if self._is_wide(sources):
            if len(sources) == len(self.logs):
                return self._order.backwards(before)
            return (chunk for chunk in self._order.backwards(before) if chunk.source in sources)
        chunk_lists = (self.logs[source].chunks.backwards(before) for source in sources)
        return merge(*chunk_lists, key=attrgetter("seq"), reverse=True)

    def _is_wide(self, sources: Collection[Source]) -> bool:
        """Whether walking all chunks beats merging those of each source: it does when most would be wanted."""
        return len(sources) * 2 > len(self.logs)

    def _evict_first(self, log: SourceLog) -> Chunk:
        chunk = log.evict()
        self._order.remove(chunk.seq)
        self.bytes -= chunk.size
        self.lines -= chunk.count
        if log.chunks:
            self._heaviest.set(chunk.source, log.bytes)
        else:
            self.bytes -= log.bytes
            self._remove(chunk.source)
        return chunk

    def _remove(self, source: Source) -> None:
        del self.logs[source]
        self._heaviest.remove(source)
        siblings = self._by_pod[source.pod]
        siblings.remove(source)
        if not siblings:
            del self._by_pod[source.pod]
