"""Feeds: the live side of a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buffer.audience import Audience

if TYPE_CHECKING:
    from collections.abc import Iterable

    from buffer.chunk import Chunk
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

    __slots__ = ("_by_source", "_scopes", "audiences", "flushed_at", "scheduled", "waiting")

    def __init__(self, sources: Iterable[Source]) -> None:
        self.audiences: dict[View, Audience] = {}
        self.waiting: dict[Audience, None] = {}  # those with something to flush
        self.flushed_at = float("-inf")
        self.scheduled = False
        self._scopes: dict[Selector, Scope] = {}
        self._by_source: dict[Source, dict[Scope, None]] = {source: {} for source in sources}  # all in the ring

    def add(self, view: View) -> Audience:
        """Make the audience of a view."""
        scope = self._scopes.get(view.selector)
        if scope is None:
            scope = self._scopes[view.selector] = Scope(view.selector)
            for source, scopes in self._by_source.items():
                if scope.selector.admits(source):
                    scopes[scope] = None
                    scope.sources.add(source)
        audience = self.audiences[view] = Audience(view, scope.sources)
        scope.audiences[audience] = None
        return audience

    def remove(self, audience: Audience) -> None:
        """Forget an audience that has no readers left."""
        del self.audiences[audience.view]
        self.waiting.pop(audience, None)
        scope = self._scopes[audience.view.selector]
        del scope.audiences[audience]
        if not scope.audiences:
            del self._scopes[scope.selector]
            for source in scope.sources:
                del self._by_source[source][scope]

    def offer(self, chunk: Chunk) -> None:
        """Add a chunk to what the audiences that see it get with the next flush."""
        source = chunk.source
        scopes = self._by_source.get(source)
        if scopes is None:
            scopes = {scope: None for scope in self._scopes.values() if scope.selector.admits(source)}
            self._by_source[source] = scopes
            for scope in scopes:
                scope.sources.add(source)
        for scope in scopes:
            for audience in scope.audiences:
                if audience.offer(chunk):
                    self.waiting[audience] = None

    def evicted(self, chunk: Chunk, *, source_has_left: bool) -> None:
        """Count an evicted chunk for the readers who had not got to it."""
        scopes = self._by_source[chunk.source]
        for scope in scopes:
            for audience in scope.audiences:
                audience.count_lost(chunk)
            if source_has_left:
                scope.sources.remove(chunk.source)
        if source_has_left:
            del self._by_source[chunk.source]

    def flush(self, now: float) -> None:
        """Flush all audiences that have something to flush; `now` is in seconds of the hub's clock."""
        self.scheduled = False
        self.flushed_at = now
        waiting, self.waiting = self.waiting, {}
        for audience in waiting:
            audience.flush()
