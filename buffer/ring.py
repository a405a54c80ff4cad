"""The ring: the recent chunks of one namespace.

Eviction is fair: it takes the oldest chunk of the source that holds the most bytes, so that a quiet pod keeps its
short history beside a chatty one. Therefore the ring has two orders: each source's own, in which eviction always
takes the first chunk, and the namespace's, which may have holes anywhere.

Readers walk the ring in either direction. A walk may be long, so it can be interrupted after any chunk and resumed
from the position that it has reached.
"""

from __future__ import annotations

from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

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

# How far a node's clock may be ahead of the server's, in seconds. A search for lines since some time passes over the
# chunks that arrived longer than this before it.
MAX_SKEW = 600

# With more sources than this, walking all chunks beats merging those of each source: just to begin a merge takes about
# 2 us a source.
_MERGED_SOURCES = 1000


class Position(NamedTuple):
    """The next line to read: this line of this chunk, or the first one of any later chunk."""

    seq: int
    line: int


class Tail(NamedTuple):
    """Where a backward walk has got to, and how many lines it still has to find (0: it is done)."""

    position: Position
    missing: int


class Since(NamedTuple):
    """Where a forward walk has got to, and whether it is done: then that is the line it was looking for."""

    position: Position
    done: bool


class Matcher(Protocol):
    """Decides which lines count in a backward walk."""

    def steps(self, chunk: Chunk) -> Sequence[tuple[int, int]]:
        """Return the bounds of the parts of a chunk, in order, each of which can be matched in a few milliseconds."""

    def match(self, chunk: Chunk, start: int, stop: int) -> Sequence[int] | None:
        """Return the indices of the lines from `start` to before `stop` that count, in order; None for all."""


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

    def candidates(self, selector: Selector) -> Collection[Source]:
        """Return the sources that a selector might admit: all of them, or those of the pods that it lists."""
        pods = selector.listed_pods
        if pods is None:
            return self.logs.keys()
        return [source for pod in pods for source in self._by_pod.get(pod, ())]

    def admitted(self, selector: Selector) -> list[Source]:
        """Return the sources that a selector admits."""
        return [source for source in self.candidates(selector) if selector.admits(source)]

    def first(self) -> Chunk:
        """Return the oldest chunk. There must be one."""
        return self._order.first()

    def evict(self, chunk: Chunk | None = None) -> Chunk:
        """Remove and return a source's oldest chunk: this one, or that of the source that holds the most bytes."""
        if chunk is None:
            log = self.logs[self._heaviest.top()]
            # If even the heaviest source has only one chunk, nobody is chatty, and the oldest chunk goes. Otherwise
            # many sources of one line each would keep a newcomer from holding anything.
            chunk = log.chunks.first() if len(log.chunks) > 1 else self._order.first()
        return self._evict_first(self.logs[chunk.source])

    def after(
        self, position: Position, sources: Collection[Source], before: int | None = None
    ) -> Iterator[tuple[Chunk, int]]:
        """Yield the chunks from a position on, each with the index of the first line to read.

        `sources` must be held here. Chunks of other sources may be yielded too, with their `count` as the index: they
        only show how far the walk has got. `before` is a sequence number to stop at.
        """
        seq, line = position
        everything = len(sources) == len(self.logs)
        for chunk in self._from_seq(seq, sources):
            if before is not None and chunk.seq >= before:
                return
            if everything or chunk.source in sources:
                yield chunk, line if chunk.seq == seq else 0
            else:
                yield chunk, chunk.count

    def tail(self, walk: Tail, sources: Collection[Source], matcher: Matcher, should_stop: Callable[[], bool]) -> Tail:
        """Walk backwards until enough matching lines of these sources have been passed, or until told to stop.

        The walk begins with `Tail(position, lines)`, and is resumed with what the last call returned. `should_stop` is
        asked after each step, which is a chunk or a part of one.
        """
        position, missing = walk
        if not missing:
            return walk
        before = position.seq + 1 if position.line else position.seq
        for chunk in self._backwards(before, sources):
            stop = position.line if chunk.seq == position.seq else chunk.count
            for start, end in reversed(matcher.steps(chunk) if chunk.source in sources else ()):
                if start >= stop:
                    continue
                indices = matcher.match(chunk, start, min(end, stop))
                found = min(end, stop) - start if indices is None else len(indices)
                if found >= missing:
                    index = found - missing
                    return Tail(Position(chunk.seq, start + index if indices is None else indices[index]), 0)
                missing -= found
                position = Position(chunk.seq, start)
                if should_stop():
                    return Tail(position, missing)
            position = Position(chunk.seq, 0)
            if should_stop():
                return Tail(position, missing)
        return Tail(position, 0)

    def since(
        self, when: float, walk: Since, sources: Collection[Source], before: int, should_stop: Callable[[], bool]
    ) -> Since:
        """Walk forward to the first line of these sources that is not older than `when`, or until told to stop.

        The walk begins with `Since(Position(0, 0), done=False)`, and is resumed with what the last call returned. It
        goes by the lines' own times, which may be in any order. If no line below the sequence number `before` is young
        enough, it ends there.
        """
        position = walk.position
        for chunk in self._from_seq(position.seq, sources):
            if chunk.seq >= before:
                break
            if chunk.arrived >= when - MAX_SKEW and chunk.source in sources:
                index = chunk.first_since(when)
                if index is not None:
                    return Since(Position(chunk.seq, index), done=True)
            position = Position(chunk.seq + 1, 0)
            if should_stop():
                return Since(position, done=False)
        return Since(Position(before, 0), done=True)

    def _from_seq(self, seq: int, sources: Collection[Source]) -> Iterator[Chunk]:
        """Yield the chunks numbered `seq` or higher: all of them, or only those of these sources."""
        if self._is_wide(sources):
            return self._order.from_seq(seq)
        return merge(*(self.logs[source].chunks.from_seq(seq) for source in sources), key=attrgetter("seq"))

    def _backwards(self, before: int, sources: Collection[Source]) -> Iterator[Chunk]:
        """Yield the chunks numbered below `before`, the latest first: all of them, or only those of these sources."""
        if self._is_wide(sources):
            return self._order.backwards(before)
        chunk_lists = (self.logs[source].chunks.backwards(before) for source in sources)
        return merge(*chunk_lists, key=attrgetter("seq"), reverse=True)

    def _is_wide(self, sources: Collection[Source]) -> bool:
        """Whether walking all chunks beats merging those of each source: it does when most would be wanted."""
        return len(sources) * 2 > len(self.logs) or len(sources) > _MERGED_SOURCES

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
