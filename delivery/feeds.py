"""Feeds of all namespaces that have readers, and the patterns that their views use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delivery.feed import Feed
from delivery.patterns import PatternBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from buffer.ring import Ring
    from delivery.group import Group
    from delivery.reader import Reader
    from delivery.slice import Slice
    from delivery.view import View


class Feeds:
    """A feed for each namespace in which a view has readers. `wake` and `flush_time` are as `Feed` says."""

    __slots__ = ("_by_namespace", "_flush_time", "_patterns", "_wake")

    def __init__(self, wake: Callable[[Sequence[Reader]], None], flush_time: Callable[[], Slice]) -> None:
        self._wake = wake
        self._flush_time = flush_time
        self._by_namespace: dict[str, Feed] = {}
        self._patterns = PatternBudget()

    @property
    def by_namespace(self) -> Mapping[str, Feed]:
        """The feeds, by namespace."""
        return self._by_namespace

    @property
    def patterns(self) -> int:
        """How many patterns all views use."""
        return self._patterns.used

    def groups(self) -> list[Group]:
        """Return the groups of all views."""
        return [group for feed in self._by_namespace.values() for group in feed.groups.values()]

    def check(self, view: View) -> None:
        """Raise what `add` would: TooManyPatterns."""
        feed = self._by_namespace.get(view.selector.namespace)
        if feed is None or view not in feed.groups:
            self._patterns.check(view.text)

    def add(self, view: View, ring: Ring | None) -> Group:
        """Return the group of a view; make it if this is the first reader with that view. Raises TooManyPatterns."""
        namespace = view.selector.namespace
        feed = self._by_namespace.get(namespace)
        if feed is not None and view in feed.groups:
            return feed.groups[view]
        self._patterns.check(view.text)
        self._patterns.take(view.text)
        if feed is None:
            feed = self._by_namespace[namespace] = Feed(self._wake, self._flush_time)
        return feed.add(view, ring)

    def remove(self, group: Group) -> None:
        """Forget a group that has no readers left."""
        namespace = group.view.selector.namespace
        feed = self._by_namespace[namespace]
        feed.remove(group)
        self._patterns.give_back(group.view.text)
        if not feed.groups:
            del self._by_namespace[namespace]
