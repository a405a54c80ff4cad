"""Loads: what is kept of a namespace, while it is still on its way from the broker.

Readers that want all of it need not wait until it is there. They join, and are given what comes as it comes; only then
are they told that they are live, or have come to their end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buffer.source import Source


class Loads:
    """The namespaces that are being loaded, and the sources of each that something has come of."""

    __slots__ = ("_sources",)

    def __init__(self) -> None:
        self._sources: dict[str, set[Source]] = {}  # by namespace

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, namespace: str) -> bool:
        return namespace in self._sources

    def begin(self, namespace: str) -> None:
        """Note that a namespace is loaded from now on, from its beginning."""
        self._sources[namespace] = set()

    def receive(self, source: Source) -> None:
        """Note that a chunk of a source has come."""
        sources = self._sources.get(source.namespace)
        if sources is not None:
            sources.add(source)

    def leaves_a_hole(self, source: Source) -> bool:
        """Tell whether readers miss lines of a source that will not come now.

        What was gone before anything of the source had come is no loss to a reader that gets all there is.
        """
        sources = self._sources.get(source.namespace)
        return sources is None or source in sources

    def end(self, namespace: str) -> bool:
        """Note that all of a namespace is there; tell whether it was being loaded."""
        return self._sources.pop(namespace, None) is not None
