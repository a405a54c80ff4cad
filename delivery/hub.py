"""The hub: the store on one side, readers on the other.

A reader owns no queue. It is a position in its namespace's ring, and it is in one of two states:

- *live*: it has been written everything its view has flushed, and its socket has taken it. It gets the next flush,
  which is one bytes object for all live readers of the view.
- *behind*: it reads on from its position in the ring, one range at a time, whenever its socket has drained. Once
  nothing flushed is left to read, it becomes live. What the ring evicts before the reader gets there is counted for it.

Between two flushes a group collects the chunks that have arrived. They are only ever given to live readers; readers
that are behind stop short of them. So each line reaches each reader in exactly one of the two ways.

Nothing here waits, and nothing reads a clock: time and timers come from outside as plain callables.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from buffer.ring import Position
from delivery.cursor import Cursor
from delivery.feed import Feed
from delivery.gap import Gap
from delivery.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from buffer.chunk import Chunk
    from buffer.ring import Ring
    from buffer.store import Evicted, Store
    from delivery.group import Group
    from delivery.view import View

# How long readers that are behind are served in one turn of the event loop, in seconds, and at most how many of them.
TURN_SECONDS = 0.005
READERS_A_TURN = 16

# A pattern takes some kilobytes once compiled, and up to a megabyte if it is meant to.
MAX_PATTERNS_IN_USE = 2000


class Start(NamedTuple):
    """Where a reader begins: at the cursor, else `tail` lines back (None: all) but not before `since`, Unix seconds."""

    tail: int | None = None
    since: float | None = None
    cursor: Cursor | None = None


class TooManyPatterns(Exception):
    """The views in use have as many include and exclude patterns as this server keeps. `limit` is their number."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the views of all readers use {self.limit} patterns already"


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

    `epoch` names the broker's numbering: a cursor of another one is not understood. `monotonic` returns seconds;
    `call_later(delay, callback)` runs the callback after that many seconds, and never at once.
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
        self.epoch = epoch
        self.store = store
        self._flush_interval = flush_interval
        self._monotonic = monotonic
        self._call_later = call_later
        self._feeds: dict[str, Feed] = {}  # by namespace, of those that have readers
        self._patterns = 0  # of all views
        self._queue: deque[Reader] = deque()  # readers that are behind and whose sockets have drained
        self._turn_scheduled = False

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """The feeds by namespace, of those that have readers."""
        return self._feeds

    def receive(self, chunk: Chunk) -> None:
        """Store a numbered chunk, and give it to the live readers that see it with their next flush."""
        evicted = self.store.append(chunk)
        feed = self._feeds.get(chunk.source.namespace)
        if feed is not None:
            feed.offer(chunk)
            self._schedule_flush(feed)
        for one in evicted:
            self._count_lost(one)

    def expire(self, now: float) -> None:
        """Evict the chunks that arrived too long before now, in Unix seconds."""
        for evicted in self.store.expire(now):
            self._count_lost(evicted)

    def check(self, view: View) -> None:
        """Raise what `join` would: TooManyPatterns."""
        feed = self._feeds.get(view.selector.namespace)
        is_new = feed is None or view not in feed.groups
        if is_new and view.text and self._patterns + len(view.text) > MAX_PATTERNS_IN_USE:
            raise TooManyPatterns(MAX_PATTERNS_IN_USE)

    def join(
        self,
        view: View,
        start: Start,
        *,
        follow: bool,
        write: Callable[[bytes], bool],
        ended: Callable[[], None],
    ) -> Reader:
        """Register a reader. What it gets is written from the next turn of the event loop on.

        `write(data)` takes the bytes at once and returns True if the socket has taken all of them; if not,
        `drained(reader)` must be called when it has. `ended()` is called when a reader that does not follow has been
        written everything. Neither may call the hub in turn. Raises TooManyPatterns.
        """
        self.check(view)
        ring = self.store.ring(view.selector.namespace)
        group = self._group(view, ring)
        # So that nothing fresh lies on both sides of where the reader begins.
        self._feeds[view.selector.namespace].flush_group(group)
        reader = Reader(group, write, ended)
        if start.cursor is not None:
            self._resume(reader, start.cursor)
        elif ring is not None:
            self._go_back(reader, ring, start)
        if not follow:
            reader.end = 0 if ring is None else ring.next_seq
        group.behind[reader] = None
        self._enqueue(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """Forget a reader. Does nothing if it has left before."""
        group = reader.group
        if reader not in group.behind and reader not in group.live:
            return
        group.remove(reader)
        if group.live or group.behind:
            return
        namespace = group.view.selector.namespace
        feed = self._feeds[namespace]
        feed.remove(group)
        self._patterns -= len(group.view.text)
        if not feed.groups:
            del self._feeds[namespace]

    def drained(self, reader: Reader) -> None:
        """Go on with a reader whose socket has taken what was written to it."""
        if reader in reader.group.behind:
            self._enqueue(reader)

    def statistics(self) -> HubStatistics:
        """Return what is kept for readers now."""
        groups = [group for feed in self._feeds.values() for group in feed.groups.values()]
        return HubStatistics(
            feeds=len(self._feeds),
            groups=len(groups),
            live=sum(len(group.live) for group in groups),
            behind=sum(len(group.behind) for group in groups),
            queued=len(self._queue),
            patterns=self._patterns,
        )

    def _schedule_flush(self, feed: Feed) -> None:
        """Have a feed flushed: at once after a quiet time, and an interval after its last flush under load."""
        if feed.needs_flush and not feed.flush_scheduled:
            feed.flush_scheduled = True
            delay = feed.flushed_at + self._flush_interval - self._monotonic()
            self._call_later(max(0.0, delay), lambda: feed.flush(self._monotonic()))

    def _count_lost(self, evicted: Evicted) -> None:
        feed = self._feeds.get(evicted.chunk.source.namespace)
        if feed is not None:
            feed.count_lost(evicted)

    def _group(self, view: View, ring: Ring | None) -> Group:
        """Return the group of a view, made now if nobody has that view yet."""
        namespace = view.selector.namespace
        feed = self._feeds.get(namespace)
        if feed is not None and view in feed.groups:
            return feed.groups[view]
        self._patterns += len(view.text)
        if feed is None:
            feed = self._feeds[namespace] = Feed()
        return feed.add(view, ring)

    def _resume(self, reader: Reader, cursor: Cursor) -> None:
        """Put a reader at its cursor, and note whether it has missed something."""
        # A place that this numbering has not reached yet belongs to an earlier one, whatever name it has.
        if cursor.epoch != self.epoch or (cursor.seq, cursor.line) > (self.store.next_seq, 0):
            reader.gap = Gap(None, "restarted")
            return
        reader.position = Position(cursor.seq, cursor.line)
        if self.store.has_lost_since(cursor.seq, reader.group.view.selector, reader.group.sources):
            reader.gap = Gap(None, "evicted")

    def _go_back(self, reader: Reader, ring: Ring, start: Start) -> None:
        """Put a reader as many lines back as its start says, or leave that to its turns."""
        if start.since is not None:
            reader.floor = ring.since(start.since, reader.group.sources)
        if start.tail is None:
            reader.position = reader.floor
            return
        reader.position = Position(ring.next_seq, 0)
        reader.missing = start.tail
        if not reader.group.view.text:  # a search for text can take long: it is done in turns
            reader.missing = reader.group.search(reader, ring)

    def _enqueue(self, reader: Reader) -> None:
        if not reader.queued:
            reader.queued = True
            self._queue.append(reader)
        self._schedule_turn()

    def _schedule_turn(self) -> None:
        if self._queue and not self._turn_scheduled:
            self._turn_scheduled = True
            self._call_later(0, self._take_turn)

    def _take_turn(self) -> None:
        """Write to some of the readers that are behind, one range each, and leave the rest to the next turn."""
        self._turn_scheduled = False
        until, served = self._monotonic() + TURN_SECONDS, set[Feed]()
        for _ in range(min(len(self._queue), READERS_A_TURN)):
            reader = self._queue.popleft()
            reader.queued = False
            if reader in reader.group.behind:
                served.add(self._feeds[reader.group.view.selector.namespace])
                if self._write_next(reader):
                    self._enqueue(reader)
            if self._monotonic() > until:
                break
        for feed in served:
            feed.clear_caches()
        self._schedule_turn()

    def _write_next(self, reader: Reader) -> bool:
        """Write what comes next for a reader that is behind; tell whether it can take more at once."""
        group = reader.group
        ring = self.store.ring(group.view.selector.namespace)
        if reader.missing:
            reader.missing = 0 if ring is None else group.search(reader, ring)
            return True
        notices = reader.take_gap_notices()
        stretch = None if ring is None else group.next_range(reader, ring)
        if stretch is not None:
            reader.position = stretch.end
            data = notices + stretch.data
            return not data or reader.write(data)
        if reader.end is None and not reader.live_announced:
            reader.live_announced = True
            seq = group.next_seq(self.store.next_seq)
            notices += group.view.render_live(Cursor(self.epoch, seq, 0))
        if notices and not reader.write(notices):
            return False
        if reader.end is None:
            group.promote(reader)
        else:
            self.leave(reader)
            reader.ended()
        return False
