"""Feeds: the live side of a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buffer.audience import Audience
from buffer.rendering import Renderings

if TYPE_CHECKING:
    from buffer.chunk import Chunk
    from buffer.ring import Ring
    from buffer.source import Selector, Source
    from buffer.view import View


class Scope:
    """The sources in the ring that a selector admits, and the audiences of all views with that selector."""

    __slots__ = ("audiences", "selector", "sources")

    def __init__(self, selector: Selector) -> None:
        self.selector = selector
        self.sources: set[Source] = set()
        self.audiences: dict[Audience, None] = {}


class Feed:
    """The audiences of one namespace, who of them sees which source, and when they were last flushed."""

    __slots__ = ("_by_pod", "_by_source", "_renderings", "_scopes", "audiences", "flushed_at", "scheduled", "waiting")

    def __init__(self) -> None:
        self.audiences: dict[View, Audience] = {}
        self.waiting: dict[Audience, None] = {}  # those with something to flush
        self.flushed_at = float("-inf")
        self.scheduled = False
        self._scopes: dict[Selector, Scope] = {}
        self._by_pod: dict[str | None, dict[Scope, None]] = {}  # the scopes, by the pod that they select
        self._by_source: dict[Source, dict[Scope, None]] = {}  # the scopes that admit it, once they were asked for
        self._renderings = Renderings()

    def add(self, view: View, ring: Ring | None) -> Audience:
        """Make the audience of a view, for the ring that there is now."""
        scope = self._scopes.get(view.selector)
        if scope is None:
            scope = self._scopes[view.selector] = Scope(view.selector)
            self._by_pod.setdefault(view.selector.pod, {})[scope] = None
            scope.sources.update(() if ring is None else ring.admitted(view.selector))
            for source in scope.sources & self._by_source.keys():
                self._by_source[source][scope] = None
        audience = self.audiences[view] = Audience(view, scope.sources, self._renderings.enter(view))
        scope.audiences[audience] = None
        return audience

    def remove(self, audience: Audience) -> None:
        """Forget an audience that has no readers left."""
        del self.audiences[audience.view]
        self._renderings.leave(audience.view)
        self.waiting.pop(audience, None)
        scope = self._scopes[audience.view.selector]
        del scope.audiences[audience]
        if not scope.audiences:
            self._remove_scope(scope)

    def offer(self, chunk: Chunk) -> None:
        """Add a chunk to what the audiences that see it get with the next flush."""
        source = chunk.source
        scopes = self._by_source.get(source)
        if scopes is None:
            scopes = self._admitting(source)
            for scope in scopes:
                scope.sources.add(source)
        for scope in scopes:
            for audience in scope.audiences:
                if audience.offer(chunk):
                    self.waiting[audience] = None
        self.forget()

    def evicted(self, chunk: Chunk, *, source_has_left: bool) -> None:
        """Count an evicted chunk for the readers who had not got to it."""
        for scope in self._admitting(chunk.source):
            for audience in scope.audiences:
                audience.count_lost(chunk)
            if source_has_left:
                scope.sources.remove(chunk.source)
        if source_has_left:
            del self._by_source[chunk.source]
        self.forget()

    def flush(self, now: float) -> None:
        """Flush all audiences that have something to flush; `now` is in seconds of the hub's clock."""
        self.scheduled = False
        self.flushed_at = now
        waiting, self.waiting = self.waiting, {}
        for audience in waiting:
            audience.flush()
        self.forget()

    def flush_one(self, audience: Audience) -> None:
        """Flush one audience before its time."""
        audience.flush()
        self.forget()

    def forget(self) -> None:
        """Let go of what was rendered for several audiences: to be called when they have had their turn."""
        self._renderings.forget()

    def _admitting(self, source: Source) -> dict[Scope, None]:
        """Return the scopes that admit a source."""
        scopes = self._by_source.get(source)
        if scopes is None:
            some = (*self._by_pod.get(source.pod, ()), *self._by_pod.get(None, ()))
            scopes = self._by_source[source] = {scope: None for scope in some if scope.selector.admits(source)}
        return scopes

    def _remove_scope(self, scope: Scope) -> None:
        del self._scopes[scope.selector]
        alike = self._by_pod[scope.selector.pod]
        del alike[scope]
        if not alike:
            del self._by_pod[scope.selector.pod]
        for source in scope.sources & self._by_source.keys():
            del self._by_source[source][scope]
