"""Scopes: who sees which source.

All groups whose views have the same selector share a scope: the sources in the ring that the selector admits. For each
source that writes, the scopes that admit it are remembered, so that a chunk costs nothing to groups that do not see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from buffer.selector import Selector
    from buffer.source import Source
    from delivery.group import Group


class Scope:
    """The sources in the ring that a selector admits, and the groups of all views with that selector.

    `pending` are sources that were in the ring before there was a scope, and that have not been looked at yet.
    """

    __slots__ = ("groups", "pending", "selector", "sources")

    def __init__(self, selector: Selector, pending: Iterable[Source]) -> None:
        self.selector = selector
        self.pending = set(pending)
        self.sources: set[Source] = set()
        self.groups: dict[Group, None] = {}

    @property
    def pods(self) -> frozenset[str | None]:
        """The pods that the scope is filed under: None, alone, if it may admit any."""
        return frozenset({None}) if self.selector.listed_pods is None else self.selector.listed_pods


class Scopes:
    """The scopes of a namespace."""

    __slots__ = ("_by_pod", "_by_selector", "_by_source", "_incomplete")

    def __init__(self) -> None:
        self._by_selector: dict[Selector, Scope] = {}
        self._by_pod: dict[str | None, dict[Scope, None]] = {}
        self._by_source: dict[Source, dict[Scope, None]] = {}  # the scopes that admit it, once that has been asked
        self._incomplete: set[Scope] = set()  # those with pending sources

    @property
    def by_selector(self) -> Mapping[Selector, Scope]:
        """The scopes, by what they admit."""
        return self._by_selector

    @property
    def pods(self) -> int:
        """How many pods scopes are filed under."""
        return len(self._by_pod)

    @property
    def sources(self) -> int:
        """For how many sources it is known which scopes admit them."""
        return len(self._by_source)

    @property
    def admissions(self) -> int:
        """How many pairs there are of such a source and a scope that admits it."""
        return sum(map(len, self._by_source.values()))

    @property
    def pending(self) -> int:
        """How many pairs of a source and a scope have yet to be looked at."""
        return sum(len(scope.pending) for scope in self._incomplete)

    def add(self, selector: Selector, candidates: Iterable[Source]) -> Scope:
        """Make the scope of a selector that may admit some of these sources. It is complete once they are gathered."""
        scope = self._by_selector[selector] = Scope(selector, candidates)
        if scope.pending:
            self._incomplete.add(scope)
        for pod in scope.pods:
            self._by_pod.setdefault(pod, {})[scope] = None
        return scope

    def remove(self, scope: Scope) -> None:
        """Forget a scope that has no groups left."""
        del self._by_selector[scope.selector]
        self._incomplete.discard(scope)
        for pod in scope.pods:
            siblings = self._by_pod[pod]
            del siblings[scope]
            if not siblings:
                del self._by_pod[pod]
        for source in (scope.sources | scope.pending) & self._by_source.keys():
            self._by_source[source].pop(scope, None)

    def clear(self) -> None:
        """Forget all sources: none of them is in the ring any more."""
        self._by_source.clear()
        self._incomplete.clear()
        for scope in self._by_selector.values():
            scope.sources.clear()
            scope.pending.clear()

    def gather(self, scope: Scope, should_stop: Callable[[], bool]) -> bool:
        """Look at pending sources until told to stop; tell whether the scope is complete."""
        while scope.pending:
            self._consider(scope, scope.pending.pop())
            if should_stop():
                break
        if not scope.pending:
            self._incomplete.discard(scope)
        return not scope.pending

    def of_writer(self, source: Source) -> Mapping[Scope, None]:
        """Return the scopes that admit a source which has just written. It may be a new one."""
        for scope in self._incomplete:
            if source in scope.pending:
                scope.pending.remove(source)
                self._consider(scope, source)
        scopes = self._by_source.get(source)
        if scopes is None:
            scopes = self._admitting(source)
            for scope in scopes:
                scope.sources.add(source)
        return scopes

    def of_evicted(self, source: Source, *, was_last: bool) -> Mapping[Scope, None]:
        """Return the scopes that admit a source which has lost chunks, and forget it if that was its last one."""
        scopes = self._admitting(source)
        if was_last:
            del self._by_source[source]
            for scope in scopes:
                scope.sources.discard(source)
            for scope in self._incomplete:
                scope.pending.discard(source)
        return scopes

    def _admitting(self, source: Source) -> dict[Scope, None]:
        scopes = self._by_source.get(source)
        if scopes is None:
            candidates = (*self._by_pod.get(source.pod, ()), *self._by_pod.get(None, ()))
            scopes = {scope: None for scope in candidates if scope.selector.admits(source)}
            self._by_source[source] = scopes
        return scopes

    def _consider(self, scope: Scope, source: Source) -> None:
        """Add a source that is in the ring to a scope, if it is admitted."""
        if scope.selector.admits(source):
            scope.sources.add(source)
            if source in self._by_source:
                self._by_source[source][scope] = None
