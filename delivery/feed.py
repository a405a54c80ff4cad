"""Feeds: the live side of a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from delivery.group import Group
from delivery.render_cache import RenderCaches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buffer.chunk import Chunk
    from buffer.ring import Ring
    from buffer.selector import Selector
    from buffer.source import Source
    from buffer.store import Evicted
    from delivery.view import View


class Scope:
    """The sources in the ring that a selector admits, and the groups of all views with that selector."""

    __slots__ = ("groups", "selector", "sources")

    def __init__(self, selector: Selector) -> None:
        self.selector = selector
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
    render_caches: int
    rendered_chunks: int  # kept at this moment


class Feed:
    """The groups of one namespace, which of them sees which source, and when they were last flushed."""

    __slots__ = ("_by_pod", "_by_source", "_caches", "_groups", "_scopes", "_waiting", "flush_scheduled", "flushed_at")

    def __init__(self) -> None:
        self.flushed_at = float("-inf")  # on the hub's clock
        self.flush_scheduled = False
        self._groups: dict[View, Group] = {}
        self._waiting: dict[Group, None] = {}  # those with something to flush
        self._scopes: dict[Selector, Scope] = {}
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
        """Make the group of a view, for the ring as it is now."""
        scope = self._scopes.get(view.selector)
        if scope is None:
            scope = self._add_scope(view.selector, ring)
        group = self._groups[view] = Group(view, scope.sources, self._caches.acquire(view))
        scope.groups[group] = None
        return group

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
        scopes = self._by_source.get(chunk.source)
        if scopes is None:
            scopes = self._admitting(chunk.source)
            for scope in scopes:
                scope.sources.add(chunk.source)
        for scope in scopes:
            for group in scope.groups:
                if group.offer(chunk):
                    self._waiting[group] = None
        self.clear_caches()

    def count_lost(self, evicted: Evicted) -> None:
        """Count an evicted chunk for the readers that had not got to it."""
        source = evicted.chunk.source
        for scope in self._admitting(source):
            for group in scope.groups:
                group.count_lost(evicted.chunk)
            if evicted.was_last:
                scope.sources.remove(source)
        if evicted.was_last:
            del self._by_source[source]
        self.clear_caches()

    def flush(self, now: float) -> None:
        """Flush all groups that have something to flush; `now` is in seconds of the hub's clock."""
        self.flush_scheduled = False
        self.flushed_at = now
        waiting, self._waiting = self._waiting, {}
        for group in waiting:
            group.flush()
        self.clear_caches()

    def flush_group(self, group: Group) -> None:
        """Flush one group ahead of time."""
        group.flush()
        self.clear_caches()

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
            render_caches=len(self._caches),
            rendered_chunks=self._caches.kept,
        )

    def _admitting(self, source: Source) -> dict[Scope, None]:
        """Return the scopes that admit a source."""
        scopes = self._by_source.get(source)
        if scopes is None:
            candidates = (*self._by_pod.get(source.pod, ()), *self._by_pod.get(None, ()))
            scopes = {scope: None for scope in candidates if scope.selector.admits(source)}
            self._by_source[source] = scopes
        return scopes

    def _add_scope(self, selector: Selector, ring: Ring | None) -> Scope:
        scope = self._scopes[selector] = Scope(selector)
        for pod in scope.pods:
            self._by_pod.setdefault(pod, {})[scope] = None
        scope.sources.update(() if ring is None else ring.admitted(selector))
        for source in scope.sources & self._by_source.keys():
            self._by_source[source][scope] = None
        return scope

    def _remove_scope(self, scope: Scope) -> None:
        del self._scopes[scope.selector]
        for pod in scope.pods:
            siblings = self._by_pod[pod]
            del siblings[scope]
            if not siblings:
                del self._by_pod[pod]
        for source in scope.sources & self._by_source.keys():
            del self._by_source[source][scope]
