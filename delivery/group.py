"""Groups: the readers of one view, and what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buffer.ring import Position

if TYPE_CHECKING:
    from buffer.chunk import Chunk
    from buffer.ring import Ring
    from buffer.source import Source
    from delivery.reader import Reader
    from delivery.render_cache import RenderCache
    from delivery.view import View

# What is written to a reader at a time ends with the chunk that reaches this size, which makes about 256 KiB at most.
# A view that has collected as much is flushed at once.
WRITE_BYTES = 192 * 1024

# Bytes of chunks that may be searched for one reader before the others get their turn.
SEARCH_BYTES = 256 * 1024


class Range(NamedTuple):
    """A rendered stretch of a ring, for all readers that come to its start."""

    start: Position
    end: Position
    data: bytes


class Group:
    """The readers of one view: the live ones and those behind, and what each kind shares."""

    __slots__ = ("_cache", "_fresh", "_fresh_bytes", "_range", "behind", "live", "sources", "view")

    def __init__(self, view: View, sources: set[Source], cache: RenderCache) -> None:
        self.view = view
        self.sources = sources  # those in the ring that the view's selector admits; kept up to date by the feed
        self.live: dict[Reader, None] = {}  # dicts, because they keep an order
        self.behind: dict[Reader, None] = {}
        self._cache = cache  # shared with other groups
        self._fresh: list[Chunk] = []  # arrived since the last flush
        self._fresh_bytes = 0
        self._range: Range | None = None  # the last one rendered for readers that are behind

    @property
    def kept_range(self) -> Range | None:
        """The range that is kept for the readers that are behind, if any."""
        return self._range

    def offer(self, chunk: Chunk) -> bool:
        """Keep a chunk for the next flush; tell whether there is anything to flush."""
        # Readers that are behind find it in the ring. But they stop short of what is fresh, so whatever follows a fresh
        # chunk must be fresh too, even if those it was collected for have left.
        if self.live or self._fresh:
            self._fresh.append(chunk)
            self._fresh_bytes += len(chunk.text) + self.view.format.growth * chunk.count
            if self._fresh_bytes >= WRITE_BYTES:
                self.flush()
        return bool(self._fresh)

    def flush(self) -> None:
        """Write what is fresh to the live readers; a reader that cannot take it all falls behind."""
        if not self._fresh:
            return
        fresh, self._fresh, self._fresh_bytes = self._fresh, [], 0
        render = self._cache.render
        pieces = [piece for chunk in fresh if (piece := render(chunk))]
        if not pieces:
            return
        data = self.view.framing.seal(pieces)
        end = Position(fresh[-1].seq + 1, 0)
        slow = [reader for reader in self.live if not reader.write(data)]
        for reader in slow:
            del self.live[reader]
            self.behind[reader] = None
            reader.position = end

    def next_seq(self, otherwise: int) -> int:
        """Return the number of the first chunk that has not been flushed; `otherwise` if all have been."""
        return self._fresh[0].seq if self._fresh else otherwise

    def promote(self, reader: Reader) -> None:
        """Make a reader live that was behind."""
        self.remove(reader)
        self.live[reader] = None

    def remove(self, reader: Reader) -> None:
        """Forget a reader, and once nobody is behind, what was rendered for those who were."""
        self.live.pop(reader, None)
        self.behind.pop(reader, None)
        if not self.behind:
            self._range = None

    def count_lost(self, chunk: Chunk) -> None:
        """Count a chunk that has just been evicted for the readers that had not got to it."""
        if self._fresh and chunk.seq >= self._fresh[0].seq:
            self.flush()  # live readers still get it, and nobody else must
        kept = self._range
        if kept is not None and kept.start.seq <= chunk.seq < kept.end.seq:
            self._range = None
        whole: int | None = None  # counted once, however many readers have lost it
        for reader in self.behind:
            seq, line = reader.position
            if seq > chunk.seq or (reader.end is not None and chunk.seq >= reader.end):
                continue
            if seq == chunk.seq and line:
                reader.lost += self.view.count(chunk, line)
            else:
                whole = self.view.count(chunk) if whole is None else whole
                reader.lost += whole

    def search(self, reader: Reader, ring: Ring) -> int:
        """Move a reader back by the lines it still misses, as far as one turn allows; return how many are left."""
        budget = SEARCH_BYTES if self.view.text else None
        position, missing = ring.tail(reader.missing, self.sources, self.view.match, reader.position.seq, budget)
        reader.position = max(position, reader.floor)
        return missing if position > reader.floor else 0

    def next_range(self, reader: Reader, ring: Ring) -> Range | None:
        """Return what a reader that is behind reads next; None if it has caught up with the last flush."""
        start, before = reader.position, reader.end
        if before is None and self._fresh:
            before = self._fresh[0].seq
        kept = self._range
        if kept is not None and kept.start == start and (before is None or kept.end.seq <= before):
            return kept
        pieces, size, searched, last = list[bytes](), 0, 0, None
        for chunk, line in ring.after(start, self.sources, before):
            last = chunk
            if piece := self.view.render(chunk, line) if line else self._cache.render(chunk):
                pieces.append(piece)
                size += len(piece)
            searched += chunk.size
            if size >= WRITE_BYTES or searched >= SEARCH_BYTES:
                break
        if last is None:
            return None
        data = self.view.framing.seal(pieces) if pieces else b""
        self._range = Range(start, Position(last.seq + 1, 0), data)
        return self._range
