"""The store: the rings of all namespaces, and the bounds they are held to.

The store takes a chunk, and returns the chunks that had to make room for it. If a namespace is full, its heaviest
source gives way; if the whole store is, the heaviest namespace does.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from buffer.max_heap import MaxHeap
from buffer.ring import Ring
from buffer.tombstones import Tombstones

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from buffer.chunk import Chunk
    from buffer.selector import Selector
    from buffer.source import Source


class Limits(NamedTuple):
    """What the rings may hold: bytes in one namespace, bytes in all, and for how many seconds."""

    namespace_bytes: int
    total_bytes: int
    max_age: float


class Evicted(NamedTuple):
    """A chunk that has left the store, and whether it was the last one of its source."""

    chunk: Chunk
    was_last: bool


class StoreStatistics(NamedTuple):
    """What is held now, and how many lines have left since the start: to make room, and because of their age."""

    namespaces: int
    sources: int
    chunks: int
    lines: int
    bytes: int
    lines_evicted: int
    lines_expired: int


class Store:
    """The rings, by namespace. `let_go(chunk)` is called for each chunk that leaves because of the bounds."""

    def __init__(self, limits: Limits, let_go: Callable[[Chunk], None] | None = None) -> None:
        self.limits = limits
        self.bytes = 0  # memory that the rings hold
        self._let_go = let_go
        self._rings: dict[str, Ring] = {}
        self._heaviest: MaxHeap[str] = MaxHeap()
        self._tombstones = Tombstones()
        self._reached: dict[str, int] = {}  # by namespace, where a broker has said so
        self._lines_evicted = 0
        self._lines_expired = 0

    @property
    def rings(self) -> Mapping[str, Ring]:
        """The rings by namespace, the oldest ring first. None of them is empty."""
        return self._rings

    def ring(self, namespace: str) -> Ring | None:
        """Return the ring of a namespace; None if nothing of it is held."""
        return self._rings.get(namespace)

    def append(self, chunk: Chunk) -> list[Evicted]:
        """Add a chunk, whose number must be higher than all before in its namespace; return what had to make room.

        Usually that is one chunk. It is never more than the bytes of the new one can displace: some 500 chunks of one
        short line for a line of 256 KiB.
        """
        namespace = chunk.source.namespace
        ring = self._rings.get(namespace)
        if ring is None:
            ring = self._rings[namespace] = Ring(namespace)
            self.bytes += ring.bytes
            self._heaviest.set(namespace, ring.bytes)
        bytes_before = ring.bytes
        ring.append(chunk)
        evicted: list[Evicted] = []
        while ring.bytes > self.limits.namespace_bytes and ring.logs:
            evicted.append(self._evict(ring))
        self._account(ring, bytes_before)
        while self.bytes > self.limits.total_bytes and self._rings:
            ring = self._rings[self._heaviest.top()]
            if len(ring) == 1:
                # Even the heaviest ring has nothing to spare: take the oldest ring instead, as `Ring.evict` does.
                ring = next(iter(self._rings.values()))
            bytes_before = ring.bytes
            evicted.append(self._evict(ring))
            self._account(ring, bytes_before)
        for one in evicted:
            self._lines_evicted += one.chunk.count
        return evicted

    def next_seq(self, namespace: str) -> int:
        """Return one more than the highest number that is known of a namespace."""
        ring = self._rings.get(namespace)
        if ring is not None:
            return ring.next_seq
        return max(self._tombstones.last_seq(namespace), self._reached.get(namespace, 0)) + 1

    def reach(self, namespace: str, seq: int) -> None:
        """Note that the numbers of a namespace have reached `seq`."""
        self._reached[namespace] = max(seq, self._reached.get(namespace, 0))
        ring = self._rings.get(namespace)
        if ring is not None:
            ring.next_seq = max(ring.next_seq, seq + 1)

    def lose(self, source: Source, seq: int) -> bool:
        """Note that the last chunk of a source that will never come is `seq`; tell whether others of it are held."""
        ring = self._rings.get(source.namespace)
        log = None if ring is None else ring.logs.get(source)
        if ring is not None:
            ring.next_seq = max(ring.next_seq, seq + 1)
        if log is not None and log.chunks.last().seq > seq:
            log.evicted_seq = max(log.evicted_seq, seq)
        else:
            self._tombstones.add(source, seq)
        return log is not None

    def last_seq(self, source: Source, before: int) -> int:
        """Return the number of the last chunk of a source below `before` that is held, or known to be gone; or 0."""
        ring = self._rings.get(source.namespace)
        log = None if ring is None else ring.logs.get(source)
        if log is None:
            seq = self._tombstones.seq(source)
            return seq if seq < before else 0
        held = next((chunk.seq for chunk in log.chunks.backwards(before)), 0)
        return held or (log.evicted_seq if log.evicted_seq < before else 0)

    def drop(self, source: Source, before: int) -> list[Evicted]:
        """Evict the chunks of a source with numbers below `before`, so that it has no hole there; return them."""
        ring = self._rings.get(source.namespace)
        evicted: list[Evicted] = []
        if ring is not None and source in ring.logs:
            bytes_before = ring.bytes
            chunks = list(takewhile(lambda chunk: chunk.seq < before, ring.logs[source].chunks.from_seq(0)))
            evicted = [self._evict(ring, chunk) for chunk in chunks]
            self._account(ring, bytes_before)
        return evicted

    def forget(self, namespace: str) -> None:
        """Drop what is held and remembered of a namespace, as if nothing of it had ever come."""
        ring = self._rings.pop(namespace, None)
        if ring is not None:
            self.bytes -= ring.bytes
            self._heaviest.remove(namespace)
        self._tombstones.remove(namespace)
        self._reached.pop(namespace, None)

    def clear(self) -> None:
        """Drop everything that is held and remembered."""
        for namespace in list(self._rings):
            self.forget(namespace)
        self._tombstones = Tombstones()
        self._reached.clear()

    def expire(self, now: float) -> Iterator[Evicted | None]:
        """Evict the chunks that have become too old by `now`, in Unix seconds, one each time the next is asked for.

        None is yielded after each namespace, so that the caller can pause even where nothing expires. Chunks may be
        added and namespaces forgotten in the meantime.
        """
        oldest = now - self.limits.max_age
        for ring in list(self._rings.values()):
            while self._rings.get(ring.namespace) is ring and ring.first().arrived < oldest:
                bytes_before = ring.bytes
                evicted = self._evict(ring, ring.first())
                self._account(ring, bytes_before)
                self._lines_expired += evicted.chunk.count
                yield evicted
            yield None

    def has_lost_since(self, seq: int, selector: Selector, sources: Collection[Source]) -> bool:
        """Tell whether a chunk numbered `seq` or higher may have left, of a source that the selector admits.

        `sources` are the ones it admits of those held now.
        """
        ring = self._rings.get(selector.namespace)
        if ring is not None and any(ring.logs[source].evicted_seq >= seq for source in sources):
            return True
        return self._tombstones.any_since(seq, selector)

    def statistics(self) -> StoreStatistics:
        """Return what is held now."""
        rings = self._rings.values()
        return StoreStatistics(
            namespaces=len(rings),
            sources=sum(len(ring.logs) for ring in rings),
            chunks=sum(map(len, rings)),
            lines=sum(ring.lines for ring in rings),
            bytes=self.bytes,
            lines_evicted=self._lines_evicted,
            lines_expired=self._lines_expired,
        )

    def _evict(self, ring: Ring, chunk: Chunk | None = None) -> Evicted:
        """Have a ring evict this chunk, or else the one it chooses."""
        chunk = ring.evict(chunk)
        if self._let_go is not None:
            self._let_go(chunk)
        was_last = chunk.source not in ring.logs
        if was_last:
            self._tombstones.add(chunk.source, chunk.seq)
        return Evicted(chunk, was_last)

    def _account(self, ring: Ring, bytes_before: int) -> None:
        """Update the sums over all rings after a change to this one, and drop it if it is empty."""
        self.bytes += ring.bytes - bytes_before
        if ring.logs:
            self._heaviest.set(ring.namespace, ring.bytes)
        else:
            self.bytes -= ring.bytes
            self._heaviest.remove(ring.namespace)
            del self._rings[ring.namespace]
