"""Feeds: the live side of a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from delivery import ranges
from delivery.group import Group
from delivery.render_cache import RenderCaches
from delivery.scopes import Scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buffer.chunk import Chunk
    from buffer.ring import Ring
    from buffer.selector import Selector
    from buffer.source import Source
    from buffer.store import Evicted
    from delivery.gap import Loss
    from delivery.reader import Reader
    from delivery.slice import Slice
    from delivery.view import View


class FeedStatistics(NamedTuple):
    """What a feed keeps: groups, and the indexes that find them."""

    groups: int
    scopes: int
    pods: int  # that scopes are filed under
    sources: int  # whose scopes are known
    admissions: int  # pairs of such a source and a scope that admits it
    pending: int  # pairs of a source and a scope that have yet to be looked at
    render_caches: int
    rendered_chunks: int  # kept at this moment


class Feed:
    """The groups of one namespace: they are offered its chunks, flushed, and told what has been evicted.

    `wake(readers)` is called for readers that fall behind although their sockets would take more; `flush_time()`
    returns the time that is left for flushes.
    """

    __slots__ = (
        "_caches",
        "_flush_time",
        "_flushing",
        "_groups",
        "_scopes",
        "_waiting",
        "_wake",
        "flush_scheduled",
        "flushed_at",
        "rest",
        "waiting_since",
    )

    def __init__(self, wake: Callable[[Sequence[Reader]], None], flush_time: Callable[[], Slice]) -> None:
        self.flushed_at = float("-inf")  # on the hub's clock
        self.flush_scheduled = False
        self.rest = 0.0  # how long after the last flush has begun the next one may, in seconds
        self.waiting_since: float | None = None  # likewise, when the first chunk came that waits for a flush
        self._wake = wake
        self._flush_time = flush_time
        self._groups: dict[View, Group] = {}
        self._waiting: dict[Group, None] = {}  # those with something for the next flush
        self._flushing: dict[Group, None] = {}  # those that the flush under way has yet to get to
        self._scopes = Scopes()
        self._caches = RenderCaches()

    @property
    def groups(self) -> Mapping[View, Group]:
        """The groups, by what their readers see."""
        return self._groups

    @property
    def needs_flush(self) -> bool:
        """Whether any group has something for the next flush."""
        return bool(self._waiting)

    def sources(self, selector: Selector) -> frozenset[Source]:
        """Return the sources that readers with this selector are known to see; none if there are no such readers."""
        scope = self._scopes.by_selector.get(selector)
        return frozenset() if scope is None else frozenset(scope.sources)

    def add(self, view: View, ring: Ring | None) -> Group:
        """Make the group of a view. Its sources are all known once `gather` has returned True."""
        scope = self._scopes.by_selector.get(view.selector)
        if scope is None:
            scope = self._scopes.add(view.selector, () if ring is None else ring.candidates(view.selector))
        group = self._groups[view] = Group(view, scope.sources, self._caches.acquire(view), self._wake)
        scope.groups[group] = None
        return group

    def gather(self, group: Group, should_stop: Callable[[], bool]) -> bool:
        """Look for sources in the ring that a group sees, until told to stop; tell whether all are known."""
        return self._scopes.gather(self._scopes.by_selector[group.view.selector], should_stop)

    def remove(self, group: Group) -> None:
        """Forget a group that has no readers left."""
        del self._groups[group.view]
        self._caches.release(group.view)
        self._waiting.pop(group, None)
        self._flushing.pop(group, None)
        scope = self._scopes.by_selector[group.view.selector]
        del scope.groups[group]
        if not scope.groups:
            self._scopes.remove(scope)

    def offer(self, chunk: Chunk) -> None:
        """Add a chunk to what the groups that see it are given with the next flush."""
        waiting = self._waiting
        full: list[Group] = []
        for scope in self._scopes.of_writer(chunk.source):
            for group in scope.groups:
                if collected := group.offer(chunk):
                    waiting[group] = None
                    if collected >= ranges.WRITE_BYTES:
                        full.append(group)
        if full:
            self._flush(full)

    def count_lost(self, evicted: Sequence[Evicted]) -> None:
        """Count chunks of one source, just evicted and in order, for the readers that had not got to them."""
        chunks = [one.chunk for one in evicted]
        last = chunks[-1].seq
        for scope in self._scopes.of_evicted(chunks[0].source, was_last=evicted[-1].was_last):
            for group in scope.groups:
                if group.behind or group.is_flushing or group.fresh_seq <= last:
                    group.count_lost(chunks, self._flush_time)
        self.clear_caches()

    def lose(self, loss: Loss, next_seq: int) -> None:
        """Have the readers that see a source miss lines of it that will never come (see `Group.lose`)."""
        for scope in self._scopes.of_evicted(loss.source, was_last=not loss.is_held):
            for group in scope.groups:
                self._waiting.pop(group, None)
                self._flushing.pop(group, None)
                group.lose(loss, next_seq, self._flush_time)
        self.clear_caches()

    def complete(self, next_seq: int) -> None:
        """Go on with the readers that came while the namespace was being loaded (see `Group.complete`)."""
        self._flush([*self._flushing, *self._waiting])
        for group in self._groups.values():
            group.complete(next_seq)

    def forget(self) -> None:
        """Forget what has been in the ring, which is empty now."""
        self._flush([*self._flushing, *self._waiting])
        self._scopes.clear()
        for group in self._groups.values():
            group.forget_range()

    def restart(self) -> None:
        """Have all readers go on with a new numbering. The ring is empty now."""
        self.forget()
        for group in self._groups.values():
            group.restart()

    def begin_flush(self, now: float) -> float:
        """Begin to flush all groups that have something to flush; return since when that has been waiting.

        Both times are in seconds of the hub's clock.
        """
        waiting_since, self.waiting_since = self.waiting_since, None
        self.flushed_at = now
        self._flushing, self._waiting = self._waiting, {}
        return now if waiting_since is None else waiting_since

    def go_on(self) -> bool:
        """Go on with the flush that has begun, for as long as there is time; tell whether it is done."""
        time = self._flush_time()
        for group in list(self._flushing):
            if time.is_over() or not group.go_on(time):
                break
            del self._flushing[group]
        self.clear_caches()
        return not self._flushing

    def clear_caches(self) -> None:
        """Drop what was rendered for several groups: to be called when they have had their turn."""
        self._caches.clear()

    def statistics(self) -> FeedStatistics:
        """Return what is kept."""
        return FeedStatistics(
            groups=len(self._groups),
            scopes=len(self._scopes.by_selector),
            pods=self._scopes.pods,
            sources=self._scopes.sources,
            admissions=self._scopes.admissions,
            pending=self._scopes.pending,
            render_caches=len(self._caches),
            rendered_chunks=self._caches.kept,
        )

    def _flush(self, groups: Sequence[Group]) -> None:
        time = self._flush_time()
        for group in groups:
            self._waiting.pop(group, None)
            self._flushing.pop(group, None)
            group.flush(time)
        self.clear_caches()
