"""The hub: rings on one side, readers on the other.

A reader owns no queue. It is a position in its namespace's ring, and it is in one of two states:

- *live*: it has been written all that its view has flushed, and its socket has taken it. It gets the next flush,
  which is one bytes object for all live readers of the view.
- *behind*: it reads on from its position in the ring, one range at a time, whenever its socket has drained. When
  nothing flushed is left to read, it becomes live. What the ring evicts before it gets there is counted for it.

Between two flushes an audience collects the chunks that have arrived. They are only ever given to live readers;
readers that are behind stop short of them. So each line reaches each reader by exactly one of the two ways.

Nothing here waits, and nothing reads a clock: time and timers come from outside as plain callables.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from buffer.audience import Audience, Reader
from buffer.cursor import BadCursor, Cursor
from buffer.departed import Departed
from buffer.feed import Feed
from buffer.gap import Gap
from buffer.heaviest import Heaviest
from buffer.ring import Position, Ring

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.chunk import Chunk
    from buffer.view import View

# How long readers that are behind are served in one turn of the event loop, in seconds, and how many of them at most.
TURN_SECONDS = 0.005
READERS_A_TURN = 16

# A pattern takes some kilobytes once compiled, and up to a megabyte if it is meant to.
MAX_PATTERNS_IN_USE = 2000


class Limits(NamedTuple):
    """Bounds of what the rings hold: bytes of a namespace, bytes in all, seconds."""

    namespace_bytes: int
    total_bytes: int
    max_age: float


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


class Hub:
    """Stores chunks, and hands them to the readers who may see them.

    `epoch` names the broker's numbering: a cursor of another one is not understood. `monotonic` returns seconds;
    `call_later(delay, callback)` runs the callback after that many seconds, and never at once.
    """

    def __init__(
        self,
        limits: Limits,
        flush_interval: float,
        epoch: str,
        *,
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.epoch = epoch
        self.rings: dict[str, Ring] = {}  # by namespace; not to be changed from outside
        self.bytes = 0  # memory that the rings hold
        self._limits = limits
        self._flush_interval = flush_interval
        self._monotonic = monotonic
        self._call_later = call_later
        self._heaviest: Heaviest[str] = Heaviest()
        self._next_seq = 1
        self._departed = Departed()
        self._feeds: dict[str, Feed] = {}  # by namespace, of those that have readers
        self._patterns = 0  # of all views
        self._queue: deque[Reader] = deque()  # readers that are behind and have drained
        self._turn_is_due = False

    def publish(self, chunk: Chunk) -> None:
        """Store a numbered chunk, and give it to the live readers who see it with their next flush."""
        namespace = chunk.source.namespace
        ring = self.rings.get(namespace)
        if ring is None:
            ring = self.rings[namespace] = Ring(namespace)
            self.bytes += ring.bytes
        bytes_before = ring.bytes
        ring.append(chunk)
        self._account(ring, bytes_before)
        self._next_seq = chunk.seq + 1
        feed = self._feeds.get(namespace)
        if feed is not None:
            feed.offer(chunk)
            self._schedule_flush(feed)
        while ring.bytes > self._limits.namespace_bytes and ring:
            self._evict(ring)
        while self.bytes > self._limits.total_bytes and self.rings:
            ring = self.rings[self._heaviest.top()]
            # Where even the heaviest ring has nothing to spare, the one that came first goes, as in `Ring.evict`.
            self._evict(ring if len(ring) > 1 else next(iter(self.rings.values())))

    def expire(self, now: float) -> None:
        """Evict the chunks that arrived too long before now, in Unix seconds."""
        oldest = now - self._limits.max_age
        for ring in list(self.rings.values()):
            while ring and ring.first().arrived < oldest:
                self._evict(ring, ring.first())

    def check(self, view: View, start: Start) -> None:
        """Raise what `join` would: BadCursor for a place where no line has been or will be next, or TooManyPatterns."""
        if start.cursor is not None and start.cursor.epoch == self.epoch:
            _, seq, line = start.cursor
            if seq < 1 or (seq, line) > (self._next_seq, 0):
                raise BadCursor
        feed = self._feeds.get(view.selector.namespace)
        is_new = feed is None or view not in feed.audiences
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
        written everything. Neither may call the hub in turn. Raises BadCursor and TooManyPatterns.
        """
        self.check(view, start)
        ring = self.rings.get(view.selector.namespace)
        audience = self._audience(view, ring)
        # So that nothing fresh lies on both sides of where the reader begins.
        self._feeds[view.selector.namespace].flush_one(audience)
        reader = Reader(audience, write, ended)
        if start.cursor is not None:
            self._resume(reader, start.cursor)
        elif ring is not None:
            self._go_back(reader, ring, start)
        if not follow:
            reader.end = 0 if ring is None else ring.next_seq
        audience.behind[reader] = None
        self._enqueue(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        """Forget a reader. Does nothing if it has left before."""
        audience = reader.audience
        if reader not in audience.behind and reader not in audience.live:
            return
        audience.dismiss(reader)
        if audience.live or audience.behind:
            return
        namespace = audience.view.selector.namespace
        feed = self._feeds[namespace]
        feed.remove(audience)
        self._patterns -= len(audience.view.text)
        if not feed.audiences:
            del self._feeds[namespace]

    def drained(self, reader: Reader) -> None:
        """Go on with a reader whose socket has taken what was written to it."""
        if reader in reader.audience.behind:
            self._enqueue(reader)

    def _schedule_flush(self, feed: Feed) -> None:
        """Have a feed flushed: at once after a quiet time, and an interval after its last flush under load."""
        if feed.waiting and not feed.scheduled:
            feed.scheduled = True
            delay = feed.flushed_at + self._flush_interval - self._monotonic()
            self._call_later(max(0.0, delay), lambda: feed.flush(self._monotonic()))

    def _evict(self, ring: Ring, chunk: Chunk | None = None) -> None:
        """Let a ring evict this chunk, or the one that it should, and account for it."""
        bytes_before = ring.bytes
        chunk = ring.evict(chunk)
        has_left = chunk.source not in ring.holdings
        feed = self._feeds.get(ring.namespace)
        if feed is not None:
            feed.evicted(chunk, source_has_left=has_left)
        if has_left:
            self._departed.note(chunk.source, chunk.seq)
        self._account(ring, bytes_before)

    def _account(self, ring: Ring, bytes_before: int) -> None:
        """Bring the sums over all rings up to date with this one, and let it go if it is empty."""
        self.bytes += ring.bytes - bytes_before
        if ring:
            self._heaviest.set(ring.namespace, ring.bytes)
        else:
            self.bytes -= ring.bytes
            self._heaviest.remove(ring.namespace)
            del self.rings[ring.namespace]

    def _audience(self, view: View, ring: Ring | None) -> Audience:
        """Return the audience of a view, made now if nobody has that view yet."""
        namespace = view.selector.namespace
        feed = self._feeds.get(namespace)
        if feed is not None and view in feed.audiences:
            return feed.audiences[view]
        self._patterns += len(view.text)
        if feed is None:
            feed = self._feeds[namespace] = Feed()
        return feed.add(view, ring)

    def _resume(self, reader: Reader, cursor: Cursor) -> None:
        """Put a reader at its cursor, and note whether it has missed something."""
        if cursor.epoch != self.epoch:
            reader.gap = Gap(None, "restarted")
            return
        reader.position = Position(cursor.seq, cursor.line)
        selector = reader.audience.view.selector
        ring = self.rings.get(selector.namespace)
        holdings = [] if ring is None else [ring.holdings[source] for source in reader.audience.sources]
        is_too_late = any(holding.evicted_seq >= cursor.seq for holding in holdings)
        if is_too_late or self._departed.any_since(cursor.seq, selector):
            reader.gap = Gap(None, "evicted")

    def _go_back(self, reader: Reader, ring: Ring, start: Start) -> None:
        """Put a reader so many lines back as its start says, or leave that to its turns."""
        if start.since is not None:
            reader.floor = ring.since(start.since, reader.audience.sources)
        if start.tail is None:
            reader.position = reader.floor
            return
        reader.position = Position(ring.next_seq, 0)
        reader.missing = start.tail
        if not reader.audience.view.text:  # a search for text can take long: it is done in turns
            reader.missing = reader.audience.search(reader, ring)

    def _enqueue(self, reader: Reader) -> None:
        if not reader.queued:
            reader.queued = True
            self._queue.append(reader)
        self._schedule_turn()

    def _schedule_turn(self) -> None:
        if self._queue and not self._turn_is_due:
            self._turn_is_due = True
            self._call_later(0, self._take_turn)

    def _take_turn(self) -> None:
        """Write to some of the readers that are behind, one range each, and leave the rest to the next turn."""
        self._turn_is_due = False
        until, served = self._monotonic() + TURN_SECONDS, set[Feed]()
        for _ in range(min(len(self._queue), READERS_A_TURN)):
            reader = self._queue.popleft()
            reader.queued = False
            if reader in reader.audience.behind:
                served.add(self._feeds[reader.audience.view.selector.namespace])
                if self._write_next(reader):
                    self._enqueue(reader)
            if self._monotonic() > until:
                break
        for feed in served:
            feed.forget()
        self._schedule_turn()

    def _write_next(self, reader: Reader) -> bool:
        """Write what comes next for a reader that is behind; tell whether it can take more at once."""
        audience = reader.audience
        ring = self.rings.get(audience.view.selector.namespace)
        if reader.missing:
            reader.missing = 0 if ring is None else audience.search(reader, ring)
            return True
        notices = reader.take_gap_notices()
        stretch = None if ring is None else audience.next_range(reader, ring)
        if stretch is not None:
            reader.position = stretch.end
            data = notices + stretch.data
            return not data or reader.write(data)
        if reader.end is None and not reader.told_live:
            reader.told_live = True
            seq = audience.next_seq(self._next_seq)
            notices += audience.view.render_live(Cursor(self.epoch, seq, 0))
        if notices and not reader.write(notices):
            return False
        if reader.end is None:
            audience.promote(reader)
        else:
            self.leave(reader)
            reader.ended()
        return False
