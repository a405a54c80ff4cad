"""Feeds: the live side of a namespace, and who sees what of it.

Groups whose views have the same selector share a scope: the sources in the ring that it admits. For each source that
writes, the feed remembers the scopes that admit it, so that a chunk costs nothing to groups that do not see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from delivery.group import WRITE_BYTES, Group
from delivery.render_cache import RenderCaches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from buffer.chunk import Chunk
    from buffer.ring import Ring
    from buffer.selector import Selector
    from buffer.source import Source
    from buffer.store import Evicted
    from delivery.reader import Reader
    from delivery.slice import Slice
    from delivery.view import View


class Scope:
    """The sources in the ring that a selector admits, and the groups of all views with that selector.

    `pending` are the sources that were there before the scope was, and have not been looked at yet.
    """

    __slots__ = ("groups", "pending", "selector", "sources")

    def __init__(self, selector: Selector, pending: Iterable[Source]) -> None:
        self.selector = selector
        self.pending = set(pending)
        self.sources: set[Source] = set()
        self.groups: dict[Group, None] = {}

    @property
    def pods(self) -> frozenset[str | None]:
        """The pods it is filed under; None for one that may admit any."""
        return frozenset({None}) if self.selector.listed_pods is None else self.selector.listed_pods


class FeedStatistics(NamedTuple):
    """What a feed keeps: groups, and the indexes that find them."""

    groups: int
    scopes: int
    pods: int  # that scopes are filed under
    sources: int  # whose scopes are known
    admissions: int  # pairs of such a source and a scope that admits it
    pending: int  # pairs of a source and a scope that have still to be looked at
    render_caches: int
    rendered_chunks: int  # kept at this moment


class Feed:
    """The groups of one namespace, which of them sees which source, and when they were last flushed.

    `wake(reader)` is called for readers that fall behind although their sockets would take more; `flush_time()` returns
    the time that is left for flushes.
    """

    __slots__ = (
        "_by_pod",
        "_by_source",
        "_caches",
        "_flush_time",
        "_gathering",
        "_groups",
        "_scopes",
        "_waiting",
        "_wake",
        "flush_scheduled",
        "flushed_at",
    )

    def __init__(self, wake: Callable[[Reader], None], flush_time: Callable[[], Slice]) -> None:
        self.flushed_at = float("-inf")  # on the hub's clock
        self.flush_scheduled = False
        self._wake = wake
        self._flush_time = flush_time
        self._groups: dict[View, Group] = {}
        self._waiting: dict[Group, None] = {}  # those with something to flush
        self._scopes: dict[Selector, Scope] = {}
        self._gathering: set[Scope] = set()  # those with pending sources
        self._by_pod: dict[str | None, dict[Scope, None]] = {}
        self._by_source: dict[Source, dict[Scope, None]] = {}  # the scopes that admit it, once somebody has asked
        self._caches = RenderCaches()

    @property
    def groups(self) -> Mapping[View, Group]:
        """The groups, by what their readers see."""
        return self._groups

    @property
    def needs_flush(self) -> bool:
        """Whether any group has something to flush."""
        return bool(self._waiting)

    def sources(self, selector: Selector) -> frozenset[Source]:
        """Return the sources that readers with this selector see now, as far as there are such readers."""
        scope = self._scopes.get(selector)
        return frozenset() if scope is None else frozenset(scope.sources)

    def add(self, view: View, ring: Ring | None) -> Group:
        """Make the group of a view. `gather` has to be called until it is done before the group's sources are known."""
        scope = self._scopes.get(view.selector)
        if scope is None:
            scope = self._add_scope(view.selector, ring)
        group = self._groups[view] = Group(view, scope.sources, self._caches.acquire(view), self._wake)
        scope.groups[group] = None
        return group

    def gather(self, group: Group, should_stop: Callable[[], bool]) -> bool:
        """Look at the sources of the ring that a group may see, until told to stop; tell whether this is done."""
        scope = self._scopes[group.view.selector]
        while scope.pending:
            self._consider(scope, scope.pending.pop())
            if should_stop():
                break
        if not scope.pending:
            self._gathering.discard(scope)
        return not scope.pending

    def remove(self, group: Group) -> None:
        """Forget a group that has no readers left."""
        del self._groups[group.view]
        self._caches.release(group.view)
        self._waiting.pop(group, None)
        scope = self._scopes[group.view.selector]
        del scope.groups[group]
        if not scope.groups:
            self._remove_scope(scope)

    def offer(self, chunk: Chunk) -> None:
        """Add a chunk to what the groups that see it get with the next flush."""
        for scope in self._gathering:
            if chunk.source in scope.pending:
                scope.pending.remove(chunk.source)
                self._consider(scope, chunk.source)
        scopes = self._by_source.get(chunk.source)
        if scopes is None:
            scopes = self._admitting(chunk.source)
            for scope in scopes:
                scope.sources.add(chunk.source)
        full: list[Group] = []
        for scope in scopes:
            for group in scope.groups:
                if collected := group.offer(chunk):
                    self._waiting[group] = None
                    if collected >= WRITE_BYTES:
                        full.append(group)
        if full:
            self._flush(full)

    def count_lost(self, evicted: Sequence[Evicted]) -> None:
        """Count chunks of one source, just evicted and in order, for the readers that had not got to them."""
        source, was_last = evicted[0].chunk.source, evicted[-1].was_last
        chunks = [one.chunk for one in evicted]
        for scope in self._admitting(source):
            for group in scope.groups:
                group.count_lost(chunks, self._flush_time)
            if was_last:
                scope.sources.discard(source)
        if was_last:
            del self._by_source[source]
            for scope in self._gathering:
                scope.pending.discard(source)
        self.clear_caches()

    def flush(self, now: float) -> None:
        """Flush all groups that have something to flush; `now` is in seconds of the hub's clock."""
        self.flush_scheduled = False
        self.flushed_at = now
        self._flush(list(self._waiting))

    def flush_group(self, group: Group) -> None:
        """Flush one group ahead of time."""
        if group in self._waiting:
            self._flush([group])

    def clear_caches(self) -> None:
        """Drop what was rendered for several groups: to be called when they have had their turn."""
        self._caches.clear()

    def statistics(self) -> FeedStatistics:
        """Return what is kept."""
        return FeedStatistics(
            groups=len(self._groups),
            scopes=len(self._scopes),
            pods=len(self._by_pod),
            sources=len(self._by_source),
            admissions=sum(map(len, self._by_source.values())),
            pending=sum(len(scope.pending) for scope in self._gathering),
            render_caches=len(self._caches),
            rendered_chunks=self._caches.kept,
        )

    def _flush(self, groups: Iterable[Group]) -> None:
        time = self._flush_time()
        for group in groups:
            del self._waiting[group]
            group.flush(time)
        self.clear_caches()

    def _admitting(self, source: Source) -> dict[Scope, None]:
        """Return the scopes that admit a source."""
        scopes = self._by_source.get(source)
        if scopes is None:
            candidates = (*self._by_pod.get(source.pod, ()), *self._by_pod.get(None, ()))
            scopes = {scope: None for scope in candidates if scope.selector.admits(source)}
            self._by_source[source] = scopes
        return scopes

    def _add_scope(self, selector: Selector, ring: Ring | None) -> Scope:
        scope = self._scopes[selector] = Scope(selector, () if ring is None else ring.candidates(selector))
        if scope.pending:
            self._gathering.add(scope)
        for pod in scope.pods:
            self._by_pod.setdefault(pod, {})[scope] = None
        return scope

    def _consider(self, scope: Scope, source: Source) -> None:
        """Add a source that is held to a scope, if it is admitted."""
        if scope.selector.admits(source):
            scope.sources.add(source)
            if source in self._by_source:
                self._by_source[source][scope] = None

    def _remove_scope(self, scope: Scope) -> None:
        del self._scopes[scope.selector]
        self._gathering.discard(scope)
        for pod in scope.pods:
            siblings = self._by_pod[pod]
            del siblings[scope]
            if not siblings:
                del self._by_pod[pod]
        for source in (scope.sources | scope.pending) & self._by_source.keys():
            self._by_source[source].pop(scope, None)
