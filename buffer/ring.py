"""The ring: the recent chunks of one namespace.

Eviction is fair: it takes the oldest chunk of the source that holds the most bytes, so that a quiet pod keeps its
short history beside a chatty one. Therefore the ring has two orders: each source's own, in which eviction always
takes the first chunk, and the namespace's, which may have holes anywhere.
"""

from __future__ import annotations

from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from buffer.heaviest import Heaviest
from buffer.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from buffer.chunk import Chunk
    from buffer.source import Selector, Source

# What CPython keeps for an empty ring and for a source's place in one: objects, hash table entries, empty lists.
RING_OVERHEAD = 2500
HOLDING_OVERHEAD = 900


class Position(NamedTuple):
    """The next line to read: this line of this chunk, or the first one of any later chunk."""

    seq: int
    line: int


class Tail(NamedTuple):
    """Where a backward walk has come to, and how many lines it still misses (0: it is done)."""

    position: Position
    missing: int


class Holding:
    """What a ring holds of one source. `evicted_seq` is the highest number that it no longer holds (0: none)."""

    __slots__ = ("bytes", "evicted_seq", "shelf", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.shelf = Shelf()
        self.bytes = HOLDING_OVERHEAD + source.size
        self.evicted_seq = 0


class Ring:
    """The chunks of one namespace, by source and in order of arrival.

    `bytes` is the memory held, everything included; `next_seq` is one more than the highest number seen.
    """

    __slots__ = ("_by_pod", "_heaviest", "_order", "bytes", "holdings", "lines", "namespace", "next_seq")

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.holdings: dict[Source, Holding] = {}
        self.bytes = RING_OVERHEAD
        self.lines = 0
        self.next_seq = 0
        self._order = Shelf()
        self._by_pod: dict[str, set[Source]] = {}
        self._heaviest: Heaviest[Source] = Heaviest()

    def __len__(self) -> int:
        return len(self._order)

    def append(self, chunk: Chunk) -> None:
        """Add a chunk, whose number must be higher than all before."""
        holding = self.holdings.get(chunk.source)
        if holding is None:
            holding = self.holdings[chunk.source] = Holding(chunk.source)
            self._by_pod.setdefault(chunk.source.pod, set()).add(chunk.source)
            self.bytes += holding.bytes
        chunk.source = holding.source  # equal already, but another object of as many bytes
        holding.shelf.put(chunk)
        holding.bytes += chunk.size
        self._order.put(chunk)
        self._heaviest.set(chunk.source, holding.bytes)
        self.bytes += chunk.size
        self.lines += chunk.count
        self.next_seq = chunk.seq + 1

    def admitted(self, selector: Selector) -> list[Source]:
        """Return the sources that a selector admits."""
        some = self.holdings if selector.pod is None else self._by_pod.get(selector.pod, ())
        return [source for source in some if selector.admits(source)]

    def first(self) -> Chunk:
        """Return the oldest chunk. There must be one."""
        return self._order.first()

    def evict(self, chunk: Chunk | None = None) -> Chunk:
        """Take out and return a source's oldest chunk: this one, or that of the source that holds the most bytes."""
        if chunk is None:
            holding = self.holdings[self._heaviest.top()]
            # Where even the heaviest source has only one chunk, nobody is chatty: then the oldest chunk goes, or else
            # many sources of one line each would keep whoever comes later from holding anything.
            chunk = holding.shelf.first() if len(holding.shelf) > 1 else self._order.first()
        return self._take_first(self.holdings[chunk.source])

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

        `match` tells which lines of a chunk count: their indices in order, or None for all. The walk begins below
        the number `before` and ends once it has seen `budget` bytes of chunks: then it can be taken up again.
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
            if len(sources) == len(self.holdings):
                return self._order.from_seq(seq)
            return (chunk for chunk in self._order.from_seq(seq) if chunk.source in sources)
        return merge(*(self.holdings[source].shelf.from_seq(seq) for source in sources), key=attrgetter("seq"))

    def _backwards(self, sources: Collection[Source], before: int) -> Iterator[Chunk]:
        if self._is_wide(sources):
            if len(sources) == len(self.holdings):
                return self._order.backwards(before)
            return (chunk for chunk in self._order.backwards(before) if chunk.source in sources)
        shelves = (self.holdings[source].shelf.backwards(before) for source in sources)
        return merge(*shelves, key=attrgetter("seq"), reverse=True)

    def _is_wide(self, sources: Collection[Source]) -> bool:
        """Whether walking all chunks beats merging those of each source: it does when most would be wanted."""
        return len(sources) * 2 > len(self.holdings)

    def _take_first(self, holding: Holding) -> Chunk:
        chunk = holding.shelf.first()
        holding.shelf.take(chunk.seq)
        holding.evicted_seq = chunk.seq
        self._order.take(chunk.seq)
        holding.bytes -= chunk.size
        self.bytes -= chunk.size
        self.lines -= chunk.count
        if holding.shelf:
            self._heaviest.set(chunk.source, holding.bytes)
        else:
            self.bytes -= holding.bytes
            self._remove(chunk.source)
        return chunk

    def _remove(self, source: Source) -> None:
        del self.holdings[source]
        self._heaviest.remove(source)
        siblings = self._by_pod[source.pod]
        siblings.remove(source)
        if not siblings:
            del self._by_pod[source.pod]
