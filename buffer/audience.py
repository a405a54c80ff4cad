"""Audiences: the readers of one view, and what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buffer.gap import Gap
from buffer.ring import Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.chunk import Chunk
    from buffer.rendering import Rendering
    from buffer.ring import Ring
    from buffer.source import Source
    from buffer.view import View

# What is written to a reader at a time ends with the chunk that reaches this size, which makes about 256 KiB at the
# most. A view that has collected as much is flushed at once.
WRITE_BYTES = 192 * 1024

# Bytes of chunks that may be searched for one reader before the others get their turn.
SEARCH_BYTES = 256 * 1024

_START = Position(1, 0)


class Reader:
    """A position in a ring, seen through a view. Made by `Hub.join`; its state belongs to the hub."""

    __slots__ = (
        "audience",
        "end",
        "ended",
        "floor",
        "gap",
        "lost",
        "missing",
        "position",
        "queued",
        "told_live",
        "write",
    )

    def __init__(self, audience: Audience, write: Callable[[bytes], bool], ended: Callable[[], None]) -> None:
        self.audience = audience
        self.write = write
        self.ended = ended
        self.position = _START  # the next line to read; not kept up to date while the reader is live
        self.missing = 0  # lines of backlog still to be searched for; meanwhile the position moves backwards
        self.floor = _START  # it moves no further than this
        self.end: int | None = None  # sequence number to stop at; None: follow
        self.lost = 0  # lines evicted before they were read, not told yet
        self.gap: Gap | None = None  # what was lost before the reader came, not told yet
        self.queued = False  # in the hub's queue
        self.told_live = False  # it has been told that the backlog is over

    def take_gap_notices(self) -> bytes:
        """Return what this reader must be told of lost lines, once."""
        gaps = [] if self.gap is None else [self.gap]
        if self.lost:
            gaps.append(Gap(self.lost, "slow"))
        self.gap, self.lost = None, 0
        return b"".join([self.audience.view.render_gap(gap) for gap in gaps])


class Range(NamedTuple):
    """A rendered stretch of a ring, for all readers that come to its start."""

    start: Position
    end: Position
    data: bytes


class Audience:
    """The readers of one view: those who are live and those who are behind, and what both share."""

    __slots__ = ("_fresh", "_fresh_bytes", "_range", "_rendering", "behind", "live", "sources", "view")

    def __init__(self, view: View, sources: set[Source], rendering: Rendering) -> None:
        self.view = view
        self._rendering = rendering  # shared with other audiences
        self.sources = sources  # those in the ring that the view's selector admits; kept up to date from outside
        self.live: dict[Reader, None] = {}  # dicts, for they keep an order
        self.behind: dict[Reader, None] = {}
        self._fresh: list[Chunk] = []  # arrived since the last flush
        self._fresh_bytes = 0
        self._range: Range | None = None  # the last one rendered for readers that are behind

    def offer(self, chunk: Chunk) -> bool:
        """Keep a chunk for the next flush; tell whether there is anything to flush."""
        # Readers that are behind find it in the ring. But they stop short of what is fresh, so that whatever follows
        # must be fresh too, even if those it was collected for have left.
        if self.live or self._fresh:
            self._fresh.append(chunk)
            self._fresh_bytes += len(chunk.text) + self.view.format.growth * chunk.count
            if self._fresh_bytes >= WRITE_BYTES:
                self.flush()
        return bool(self._fresh)

    def flush(self) -> None:
        """Write what is fresh to the live readers; who does not take all of it at once is behind from now on."""
        if not self._fresh:
            return
        fresh, self._fresh, self._fresh_bytes = self._fresh, [], 0
        render = self._rendering.of
        data = b"".join([render(chunk) for chunk in fresh])
        if not data:
            return
        end = Position(fresh[-1].seq + 1, 0)
        slow = [reader for reader in self.live if not reader.write(data)]
        for reader in slow:
            del self.live[reader]
            self.behind[reader] = None
            reader.position = end

    def next_seq(self, otherwise: int) -> int:
        """Return the number of the first chunk that has not been flushed; `otherwise`, if all have been."""
        return self._fresh[0].seq if self._fresh else otherwise

    def promote(self, reader: Reader) -> None:
        """Make a reader live that was behind."""
        self.dismiss(reader)
        self.live[reader] = None

    def dismiss(self, reader: Reader) -> None:
        """Forget a reader, and what was rendered for those who are behind once nobody is."""
        self.live.pop(reader, None)
        self.behind.pop(reader, None)
        if not self.behind:
            self._range = None

    def count_lost(self, chunk: Chunk) -> None:
        """Count a chunk that has just been evicted for the readers who had not got to it."""
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
        """Move a reader back by the matching lines it misses, as far as one go takes; return how many are left."""
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
        rendered, size, searched, last = [], 0, 0, None
        for chunk, line in ring.after(start, self.sources, before):
            last = chunk
            rendered.append(self.view.render(chunk, line) if line else self._rendering.of(chunk))
            size += len(rendered[-1])
            searched += chunk.size
            if size >= WRITE_BYTES or searched >= SEARCH_BYTES:
                break
        if last is None:
            return None
        self._range = Range(start, Position(last.seq + 1, 0), b"".join(rendered))
        return self._range
