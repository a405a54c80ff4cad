"""The hub: the store on one side, readers on the other.

A reader owns no queue. It is a position in its namespace's ring. Once it has found where to begin, it is in one of two
states:

- *live*: it has been written everything its view has flushed, and its socket has taken it. It gets the next flush,
  which is one bytes object for all live readers of the view.
- *behind*: it reads on from its position in the ring, one range at a time, whenever its socket has drained. When
  nothing flushed is left to read, it becomes live. Whatever the ring evicts before the reader gets there is counted.

Between two flushes, a group collects the chunks that arrive. Only live readers are ever given these; readers that are
behind stop short of them. So each line reaches each reader in exactly one of the two ways.

Nothing here waits, and nothing reads a clock: time and timers come from outside, as plain callables. Nothing takes long
either: searching, filtering, expiring, joining and flushing are done in slices of a few milliseconds, and others get a
turn in between. A flush that does not get through in its slice goes on in the next turn, with the readers that it has
not reached.
"""

from __future__ import annotations

from collections import Counter
from functools import reduce
from itertools import groupby
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from buffer.ring import Position
from delivery.cursor import Cursor
from delivery.expiry import Expiry
from delivery.feeds import Feeds
from delivery.flushes import Flushes
from delivery.gap import Gap, Loss
from delivery.histogram import Histogram
from delivery.loads import Loads
from delivery.numbering import Numbering
from delivery.reader import NEVER, Reader, State
from delivery.search import search
from delivery.slice import LoopSlice
from delivery.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buffer.chunk import Chunk
    from buffer.ring import Ring
    from buffer.source import Source
    from buffer.store import Evicted, Store
    from delivery.feed import Feed
    from delivery.reader import Start
    from delivery.slice import Slice
    from delivery.view import View

# How long all flushes and joins in one turn of the event loop may take, in seconds.
LOOP_SECONDS = 0.025


class HubStatistics(NamedTuple):
    """What the hub keeps for its readers now."""

    feeds: int
    groups: int
    live: int  # readers
    behind: int  # readers
    queued: int  # readers that are behind and wait for their turn
    patterns: int


class Hub:
    """Takes chunks into the store, and hands them to the readers that may see them.

    It is what brokers deliver to (see `Receiver`). `epoch` names the broker's numbering. `flush_interval` and
    `monotonic()` are in seconds. `call_later(delay, callback)` runs the callback after that many, and never at once.
    """

    def __init__(
        self,
        store: Store,
        flush_interval: float,
        epoch: str,
        *,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.store = store
        self._numbering = Numbering(epoch)
        self.delays = Histogram()  # from the first chunk that a flush writes to its last write, in seconds
        self.gaps: Counter[str] = Counter()  # reported to readers, by reason
        self.lost: Counter[str] = Counter()  # lines reported to be lost, where their number was known, by reason
        self._loads = Loads()
        self._served: set[Feed] = set()  # in this turn
        self._loop = LoopSlice(LOOP_SECONDS, monotonic=monotonic, call_later=call_later)
        flush_time = self._loop.current
        self._flushes = Flushes(flush_interval, self.delays, flush_time, monotonic=monotonic, call_later=call_later)
        self._turns = Turns(self._serve, self._clear_caches, self._loop, monotonic=monotonic, call_later=call_later)
        self._feeds = Feeds(self._turns.add_late, flush_time)
        self._expiry = Expiry(store, self._count_lost, monotonic=monotonic, call_later=call_later)

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """The feeds by namespace, of those that have readers."""
        return self._feeds.by_namespace

    def receive(self, chunk: Chunk) -> None:
        """Store a numbered chunk, and offer it to the live readers that may see it."""
        chunk.epoch = self._numbering.epoch
        evicted = self.store.append(chunk)
        if self._loads:
            self._loads.receive(chunk.source)
        feed = self.feeds.get(chunk.source.namespace)
        if feed is not None:
            feed.offer(chunk)
            self._flushes.schedule(feed)
        if evicted and self.feeds:
            self._count_lost(evicted)

    def lose(self, source: Source, seq: int, lines: int | None) -> None:
        """Tell the readers that may see a source of lines that will never come, and remember it for later cursors."""
        before = self.store.last_seq(source, seq)
        is_held = self.store.lose(source, seq)
        feed = self.feeds.get(source.namespace)
        if feed is not None and self._loads.leaves_a_hole(source):
            feed.lose(Loss(source, seq, lines, before, is_held), self.store.next_seq(source.namespace))
        self._count_lost(self.store.drop(source, seq))  # or later readers would not notice the hole

    def skip(self, first: int, until: int) -> None:
        """Have readers that come with a cursor after the first line of `first` and before `until` told of a loss."""
        self._numbering.skip(first, until)

    def reach(self, namespace: str, seq: int) -> None:
        """Have cursors up to after chunk `seq` mean something in a namespace."""
        self.store.reach(namespace, seq)

    def begin_load(self, namespace: str) -> None:
        """Let readers of everything join before it is there: they are given what comes as it comes."""
        self._loads.begin(namespace)

    def end_load(self, namespace: str) -> None:
        """Have the readers that came meanwhile told that they are live, or end where they do not follow."""
        if self._loads.end(namespace) and namespace in self.feeds:
            self.feeds[namespace].complete(self.store.next_seq(namespace))

    def forget(self, namespace: str) -> None:
        """Drop what is held of a namespace. Its readers, if any, go on with what comes again."""
        self.end_load(namespace)
        if namespace in self.feeds:
            self.feeds[namespace].forget()
        self.store.forget(namespace)

    def restart(self, epoch: str) -> None:
        """Drop everything, and have all readers go on with a new numbering, once they have been told of the loss."""
        self._numbering.restart(epoch)
        self.store.clear()
        for feed in self.feeds.values():
            feed.restart()

    def expire(self, now: float) -> None:
        """Evict the chunks that have become too old by `now`, in Unix seconds, a few milliseconds' worth at a time.

        Does nothing while an earlier call is not done yet.
        """
        self._expiry.begin(now)

    def check(self, view: View) -> None:
        """Raise what `join` would: TooManyPatterns."""
        self._feeds.check(view)

    def join(
        self,
        view: View,
        start: Start,
        *,
        follow: bool,
        write: Callable[[bytes], bool],
        ended: Callable[[], None],
    ) -> Reader:
        """Register a reader. Its lines are looked for and written from the next turn of the event loop on.

        `write(data)` takes the bytes at once, and returns True if the socket has taken all of them; if not,
        `drained(reader)` must be called when it has. `data` is never much more than 256 KiB and a line, and no more is
        written before the socket has drained: that bounds what one reader can make the process hold. `ended()` is
        called when a reader that does not follow has been written everything. Neither may call the hub. Raises
        TooManyPatterns.
        """
        group = self._feeds.add(view, self.store.ring(view.selector.namespace))
        reader = Reader(group, write, ended, follows=follow)
        next_seq = self.store.next_seq(view.selector.namespace)
        reader.position, reader.joined, reader.first = Position(next_seq, 0), next_seq, next_seq
        if not follow and not (start.is_everything and view.selector.namespace in self._loads):
            reader.end = next_seq
        if start.cursor is None:
            reader.missing, reader.since = start.tail, start.since
        else:
            reader.cursor, reader.gap = self._numbering.meaning(start.cursor, next_seq, is_doubtful=start.is_doubtful)
            reader.first = next_seq if reader.cursor is None else reader.cursor.seq
        group.add(reader)
        self._turns.add(reader)
        self._flushes.note_join()
        time = self._loop.current()
        if not time.is_over():
            self._gather(reader, time)
        return reader

    def leave(self, reader: Reader) -> None:
        """Forget a reader. Does nothing if it has left before."""
        if reader.state is State.GONE:
            return
        group = reader.group
        group.remove(reader)
        if not group.live and not group.behind:
            self._feeds.remove(group)

    def drained(self, reader: Reader) -> None:
        """Go on with a reader whose socket has taken everything that was written to it."""
        if reader.has_turns:
            self._turns.add(reader)

    def statistics(self) -> HubStatistics:
        """Return what is kept for readers now."""
        groups = self._feeds.groups()
        return HubStatistics(
            feeds=len(self.feeds),
            groups=len(groups),
            live=sum(len(group.live) for group in groups),
            behind=sum(len(group.behind) for group in groups),
            queued=len(self._turns),
            patterns=self._feeds.patterns,
        )

    def _notices(self, reader: Reader) -> bytes:
        """Return what a reader is to be told of lost lines."""
        if reader.gap is None and not reader.lost:
            return b""
        gaps = reader.take_gaps()
        for gap in gaps:
            self.gaps[gap.reason] += 1
            self.lost[gap.reason] += gap.lost or 0
        return reduce(add, [reader.group.view.render_gap(gap) for gap in gaps], b"")

    def _count_lost(self, evicted: Sequence[Evicted]) -> None:
        """Count chunks that have just been evicted for all readers that had not got to them."""
        for source, alike in groupby(evicted, key=lambda one: one.chunk.source):
            feed = self.feeds.get(source.namespace)
            if feed is not None:
                feed.count_lost(list(alike))

    def _serve(self, reader: Reader, time: Slice) -> bool:
        """Do what is next for a reader that is not live, as far as there is time; tell whether there is more to do."""
        namespace = reader.group.view.selector.namespace
        self._served.add(self.feeds[namespace])
        if reader.state is State.GATHERING and not self._gather(reader, time):
            return True
        ring = self.store.ring(namespace)
        if reader.is_searching:
            search(reader, ring, time.is_over)
        return reader.is_searching or self._write_next(reader, ring, time)

    def _gather(self, reader: Reader, time: Slice) -> bool:
        """Find out which sources a reader sees. If there is time for all, have it begin; tell whether it has."""
        selector, sources = reader.group.view.selector, reader.group.sources
        if not self.feeds[selector.namespace].gather(reader.group, time.is_over):
            return False
        reader.begin()
        if reader.cursor is None or reader.cursor.seq >= reader.end:
            return True
        if self.store.has_lost_since(reader.cursor.seq, selector, sources):
            reader.gap, reader.lost = Gap(None, "evicted"), 0
        return True

    def _write_next(self, reader: Reader, ring: Ring | None, time: Slice) -> bool:
        """Write the next range to a reader that is behind; tell whether there is more to do right away."""
        group = reader.group
        stretch = None if ring is None else group.next_range(reader, ring, time.is_over)
        if ring is None or stretch is None:
            self._catch_up(reader)
            return False
        reader.position = stretch.end
        data = self._notices(reader) + stretch.data
        reader.counted += stretch.lines
        if data and not reader.write(data):
            return False
        if stretch.end < (min(group.limit(reader), ring.next_seq), 0):
            return True
        self._catch_up(reader)
        return False

    def _catch_up(self, reader: Reader) -> None:
        """Write the notices that are due to a reader that has read everything, then make it live or end it."""
        group = reader.group
        if reader.end == NEVER and not group.may_promote(reader):
            return
        notices = self._notices(reader)
        namespace = group.view.selector.namespace
        if reader.follows and not reader.live_announced and namespace not in self._loads:
            reader.live_announced = True
            seq = group.next_seq(self.store.next_seq(namespace))
            notices += group.view.render_live(Cursor(self._numbering.epoch, seq, 0))
        if notices and not reader.write(notices):
            return
        if reader.end == NEVER:
            group.promote(reader)
        else:
            self.leave(reader)
            reader.ended()

    def _clear_caches(self) -> None:
        """Drop what the groups that were served in a turn have shared."""
        for feed in self._served:
            feed.clear_caches()
        self._served.clear()
