"""Render caches: chunks as all the groups of a namespace see them that show lines alike.

Most views differ only in what they select; a line looks the same in all of them. To render it only once, each cache
keeps what it has rendered for as long as a flush, or a turn of the readers that are behind, lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from delivery.view import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buffer.chunk import Chunk
    from delivery.view import Rendered, RenderKey, View

# A chunk's sequence number, or that and the bounds of a part of its lines.
_Key: TypeAlias = int | tuple[int, int, int]


class RenderCache:
    """Chunks as views with one render key show them. `groups` is how many share it; for one alone, it keeps nothing."""

    __slots__ = ("_flushed", "_kept", "_on_first", "_sealed", "_view", "groups")

    def __init__(self, view: View, on_first: Callable[[RenderCache], None]) -> None:
        self.groups = 0
        self._view = view
        self._on_first = on_first  # called when the empty cache is about to keep something
        self._kept: dict[_Key, Rendered] = {}
        # The last flush, and what it was made of: groups that see the same sources have the same one.
        self._flushed: Sequence[Chunk] = ()
        self._sealed = NOTHING

    def __len__(self) -> int:
        """Return how many rendered chunks, or parts of chunks, are kept."""
        return len(self._kept)

    def render_flush(self, chunks: Sequence[Chunk]) -> Rendered:
        """Return whole chunks as they are written in a flush. The sequence must not be changed later."""
        if chunks == self._flushed:
            return self._sealed
        pieces = [piece for chunk in chunks if (piece := self.render_part(chunk, 0, chunk.count)).lines]
        sealed = self._view.seal(pieces)
        if self.groups > 1:
            self._flushed, self._sealed = chunks, sealed
        return sealed

    def render_part(self, chunk: Chunk, start: int, stop: int) -> Rendered:
        """Return the chunk's lines from `start` to before `stop` as a piece of a range."""
        if self.groups == 1:
            return self._view.render(chunk, start, stop)
        key: _Key = chunk.seq if stop - start == chunk.count else (chunk.seq, start, stop)
        return self._shared(key, chunk, start, stop)

    def clear(self) -> None:
        """Drop what is kept."""
        self._kept.clear()
        self._flushed, self._sealed = (), NOTHING

    def _shared(self, key: _Key, chunk: Chunk, start: int, stop: int) -> Rendered:
        piece = self._kept.get(key)
        if piece is None:
            if not self._kept:
                self._on_first(self)
            piece = self._kept[key] = self._view.render(chunk, start, stop)
        return piece


class RenderCaches:
    """The caches of a feed, by render key."""

    __slots__ = ("_by_key", "_warm")

    def __init__(self) -> None:
        self._by_key: dict[RenderKey, RenderCache] = {}
        self._warm: list[RenderCache] = []  # those that keep something

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def kept(self) -> int:
        """How many rendered chunks, or parts of chunks, are kept in all."""
        return sum(map(len, self._by_key.values()))

    def acquire(self, view: View) -> RenderCache:
        """Return the cache for a view, on behalf of one more group."""
        cache = self._by_key.get(view.render_key)
        if cache is None:
            cache = self._by_key[view.render_key] = RenderCache(view, self._warm.append)
        cache.groups += 1
        return cache

    def release(self, view: View) -> None:
        """Give up a group's share, and drop the cache with the last one."""
        cache = self._by_key[view.render_key]
        cache.groups -= 1
        if not cache.groups:
            del self._by_key[view.render_key]

    def clear(self) -> None:
        """Drop all that is kept."""
        for cache in self._warm:
            cache.clear()
        self._warm.clear()
