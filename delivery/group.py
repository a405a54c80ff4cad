"""Groups: the readers of one view, and what they share.

Lines reach a reader in one of two ways. A live reader is written what is fresh, with each flush; a reader that is
behind reads on in the ring, range by range. What several readers need, they all get as the same bytes object.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING

from buffer.ring import Position
from delivery import ranges
from delivery.ranges import Range, from_position, render_range
from delivery.reader import NEVER, OLDEST, Reader, State
from delivery.round import ROUND_SECONDS, Round, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buffer.chunk import Chunk
    from buffer.ring import Ring
    from buffer.source import Source
    from delivery.gap import Loss
    from delivery.render_cache import RenderCache
    from delivery.slice import Slice
    from delivery.view import View

# How long a group may render in a flush before its filter counts as slow, in seconds.
RENDER_SECONDS = 0.0025


class Group:
    """The readers of one view: the live ones, the others, and what each kind shares.

    `wake(readers)` is called for readers that fall behind although their sockets would take more. If `is_slow`, the
    filter took too long for a flush; until it has been quick again, flushes leave the readers to their turns.
    """

    __slots__ = (
        "_cache",
        "_fresh",
        "_fresh_bytes",
        "_growth",
        "_held",
        "_range",
        "_round",
        "_step_bytes",
        "_wake",
        "behind",
        "fresh_seq",
        "is_slow",
        "lines",
        "live",
        "sources",
        "view",
    )

    def __init__(
        self, view: View, sources: set[Source], cache: RenderCache, wake: Callable[[Sequence[Reader]], None]
    ) -> None:
        self.view = view
        self.sources = sources  # those in the ring that the view's selector admits; kept up to date by the feed
        self.live: dict[Reader, None] = {}  # dicts, because they keep an order
        self.behind: dict[Reader, None] = {}  # all others
        self.is_slow = False
        self.lines = 0  # flushed to the live readers, whoever they were
        self._cache = cache  # shared with other groups
        self._wake = wake
        self._growth = view.format.growth
        self._step_bytes = view.step_bytes
        self.fresh_seq = NEVER  # the number of the first of the fresh chunks, above all others if there are none
        self._fresh: list[Chunk] = []  # arrived since the last flush
        self._fresh_bytes = 0  # about how much they are once rendered
        self._round: Round | None = None  # while a flush goes on that has not reached all live readers
        self._range: Range | None = None  # the last one rendered for readers that are behind
        self._held: dict[Reader, None] = {}  # those that wait for the next flush to become live

    @property
    def kept_range(self) -> Range | None:
        """The range that is kept for the readers that are behind, if any."""
        return self._range

    @property
    def is_flushing(self) -> bool:
        """Whether a flush goes on that has not reached all live readers yet."""
        return self._round is not None

    def lines_written_to(self, reader: Reader) -> int:
        """Return how many of the lines that are counted here a live reader has been written, or had been before."""
        flush = self._round
        return self.lines - flush.range.lines if flush is not None and reader in flush.unreached else self.lines

    def offer(self, chunk: Chunk) -> int:
        """Keep a chunk for the next flush, if anyone is live; return about how many bytes there are to flush."""
        # Readers that are behind find it in the ring. But they stop short of what is fresh, so whatever follows a fresh
        # chunk must be fresh too, even if the readers it was kept for have left.
        if self.live or self._fresh:
            if not self._fresh:
                self.fresh_seq = chunk.seq
            self._fresh.append(chunk)
            self._fresh_bytes += len(chunk.text) + self._growth * chunk.count
        return self._fresh_bytes

    def flush(self, time: Slice) -> None:
        """Write what is fresh to the live readers; those that cannot take it or are not reached in time fall behind."""
        self._break_off()
        if time.is_over():
            self._flush_ranges(self._take_fresh(), time)
        else:
            self.go_on(time)
            self._break_off()

    def go_on(self, time: Slice) -> bool:
        """Flush, knowing that there is time, or go on with a flush; tell whether all live readers have been reached."""
        if self._round is not None:
            stretch, readers = self._round
            return self._reach(stretch, *write(readers, stretch.data, time.part(ROUND_SECONDS)))
        size = self._fresh_bytes
        fresh = self._take_fresh()
        if not fresh:
            return True
        if size <= self._step_bytes and not self.is_slow:
            # Nearly always, this is all there is to a flush.
            data, lines = self._cache.render_flush(fresh)
            if not lines:
                return True
            if len(data) <= ranges.MAX_WRITE_BYTES:
                full, unreached = write(self.live, data, time)
                self.lines += lines
                if not full and not unreached:
                    return True
                start, end = Position(fresh[0].seq, 0), Position(fresh[-1].seq + 1, 0)
                return self._reach(Range(start, end, data, lines), full, unreached)
        self._flush_ranges(fresh, time)
        return True

    def next_seq(self, otherwise: int) -> int:
        """Return the number of the first chunk that has not been flushed; `otherwise` if all have been."""
        return min(self.fresh_seq, otherwise)

    def limit(self, reader: Reader) -> int:
        """Return the number of the first chunk that a reader may not read that is behind: its end, or what is fresh."""
        return self.fresh_seq if reader.end == NEVER else reader.end

    def may_promote(self, reader: Reader) -> bool:
        """Tell whether a reader that has caught up may become live; if not, it gets a turn after the next flush.

        To one that has joined since something fresh came, that is backlog, if it is to have it at all.
        """
        if reader.joined <= self.fresh_seq:
            return True
        self._held[reader] = None
        return False

    def add(self, reader: Reader) -> None:
        """Add a reader that has just joined."""
        self.behind[reader] = None

    def promote(self, reader: Reader) -> None:
        """Make a reader live, now that it has caught up."""
        self._drop(reader)
        self.live[reader] = None
        reader.become(State.LIVE)

    def remove(self, reader: Reader) -> None:
        """Forget a reader."""
        self._drop(reader)
        reader.become(State.GONE)

    def count_lost(self, chunks: Sequence[Chunk], flush_time: Callable[[], Slice]) -> None:
        """Count chunks that have just been evicted, in order, for the readers that had not got to them.

        If any of them is fresh, the live readers are still given it first, as far as there is time.
        """
        if self.fresh_seq <= chunks[-1].seq:
            self.flush(flush_time())
        elif self._round is not None and self._round.range.start.seq <= chunks[-1].seq:
            self._break_off()
        kept = self._range
        if kept is not None and any(kept.start.seq <= chunk.seq and (chunk.seq, 0) < kept.end for chunk in chunks):
            self._range = None
        lowest, highest = chunks[0].seq, chunks[-1].seq
        readers = [reader for reader in self.behind if reader.position.seq <= highest]
        if not readers:
            return
        counts = [self.view.count(chunk) for chunk in chunks]  # once, however many readers have lost them
        total = sum(counts)
        for reader in readers:
            is_whole = reader.position.seq < lowest and reader.end == NEVER
            reader.lost += total if is_whole else self._lost_to(reader, chunks, counts)

    def lose(self, loss: Loss, next_seq: int, flush_time: Callable[[], Slice]) -> None:
        """Have those readers miss lines that will never come to whom they were to come.

        What is fresh came before: the live readers are given it first. `next_seq` is the number they then wait for.
        """
        if self._fresh or self._round is not None:
            self.flush(flush_time())
        lines = loss.lines if self.view.stream is None else None  # nobody knows of which streams they were
        live = [reader for reader in self.live if reader.misses(loss)]
        for reader in (*live, *(reader for reader in self.behind if reader.misses(loss))):
            reader.miss(lines)
        position = Position(next_seq, 0)
        self._fall_behind((), live, Range(position, position, b"", 0))

    def complete(self, next_seq: int) -> None:
        """Have the readers know that all is there that was kept. Nothing may be fresh.

        Those that do not follow end before chunk `next_seq`. Live ones that are to be told get a turn.
        """
        for reader in (*self.live, *self.behind):
            reader.complete(next_seq)
        position = Position(next_seq, 0)
        live = [reader for reader in self.live if not (reader.follows and reader.live_announced)]
        self._fall_behind((), live, Range(position, position, b"", 0))

    def restart(self) -> None:
        """Have all readers go on with a new numbering. Nothing of the old one may be fresh any more."""
        live = list(self.live)
        self._fall_behind((), live, Range(OLDEST, OLDEST, b"", 0))
        for reader in self.behind:
            reader.restart()

    def forget_range(self) -> None:
        """Drop the range that is kept for the readers that are behind."""
        self._range = None

    def _lost_to(self, reader: Reader, chunks: Sequence[Chunk], counts: Sequence[int]) -> int:
        """Return how many lines of evicted chunks a reader had not got to; `counts` is how many each chunk shows."""
        seq, line = reader.position
        first = bisect_left(chunks, seq, key=attrgetter("seq"))
        stop = bisect_left(chunks, reader.end, key=attrgetter("seq"))
        lost = sum(counts[first:stop])
        if first < stop and chunks[first].seq == seq and line:
            lost += self.view.count(chunks[first], line) - counts[first]
        return lost

    def next_range(self, reader: Reader, ring: Ring, should_stop: Callable[[], bool]) -> Range | None:
        """Return what a reader that is behind reads next; None if it has caught up with the last flush."""
        start, before = reader.position, self.limit(reader)
        kept = self._range
        if kept is not None and kept.start == start and kept.end <= (before, 0):
            return kept
        stretch = render_range(self.view, self._cache, start, ring.after(start, self.sources, before), should_stop)
        if stretch.end == start:
            return None
        self.is_slow = self.is_slow and should_stop()
        self._range = stretch
        return stretch

    def _take_fresh(self) -> list[Chunk]:
        fresh, self._fresh, self._fresh_bytes, self.fresh_seq = self._fresh, [], 0, NEVER
        if self._held:
            held, self._held = list(self._held), {}
            self._wake(held)
        return fresh

    def _flush_ranges(self, fresh: Sequence[Chunk], time: Slice) -> None:
        """Flush range by range, for as long as there is time and the filter is not too slow."""
        if not fresh:
            return
        position, end = Position(fresh[0].seq, 0), Position(fresh[-1].seq + 1, 0)
        while self.live and position < end:
            if self.is_slow or time.is_over():
                self._fall_behind((), list(self.live), Range(position, position, b"", 0))
                return
            rendering = time.part(RENDER_SECONDS)
            stretch = render_range(self.view, self._cache, position, from_position(fresh, position), rendering.is_over)
            self.is_slow = bool(self.view.text) and rendering.is_over()
            self._fall_behind(*write(self.live, stretch.data, time), stretch)
            position = stretch.end

    def _reach(self, stretch: Range, full: Sequence[Reader], unreached: Sequence[Reader]) -> bool:
        """Have readers fall behind that could not take all of a range; tell whether all others have been reached."""
        for reader in full:
            self._demote(reader, stretch.end)
        self._round = Round(stretch, dict.fromkeys(unreached)) if unreached else None
        return not unreached

    def _break_off(self) -> None:
        """Have the readers fall behind that the round has not reached."""
        if self._round is not None:
            (stretch, late), self._round = self._round, None
            self.lines -= stretch.lines  # until they are live no more: they have not been written these
            self._fall_behind((), list(late), stretch)

    def _fall_behind(self, full: Sequence[Reader], late: Sequence[Reader], stretch: Range) -> None:
        """Count a range as written, and have live readers fall behind: `full` ones have it, `late` ones do not."""
        for reader in late:
            self._demote(reader, stretch.start)
        self.lines += stretch.lines
        for reader in full:
            self._demote(reader, stretch.end)
        if late:
            if stretch.data:
                self._range = stretch
            self._wake(late)  # since none of their sockets will say that it has drained

    def _demote(self, reader: Reader, position: Position) -> None:
        """Have a live reader read on by itself from a position."""
        del self.live[reader]
        self.behind[reader] = None
        reader.become(State.BEHIND)
        reader.position = position

    def _drop(self, reader: Reader) -> None:
        """Take a reader off its list. With the last one that was behind goes what was rendered for them."""
        if self._round is not None:
            self._round.leave(reader)
        self.live.pop(reader, None)
        self.behind.pop(reader, None)
        self._held.pop(reader, None)
        if not self.behind:
            self._range = None
