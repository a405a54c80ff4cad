"""Render caches: chunks as all the groups of a namespace see them that show lines alike.

Most views differ only in what they select; a line looks the same in all of them. To render it only once, each cache
keeps what it has rendered for as long as a flush, or a turn of the readers that are behind, lasts. Views with different
filters share the chunks that these leave whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from delivery.view import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buffer.chunk import Chunk
    from delivery.format import Format
    from delivery.framing import Framing
    from delivery.view import Rendered, RenderKey, View

# A chunk's sequence number, or that and the bounds of a part of its lines.
_Key: TypeAlias = int | tuple[int, int, int]


class WholeChunks:
    """Chunks of which every line is shown, in one format and framing.

    `caches` is how many share them; for one alone, which may share by itself, nothing is kept.
    """

    __slots__ = ("_kept", "_on_first", "_view", "caches")

    def __init__(self, view: View, on_first: Callable[[WholeChunks], None]) -> None:
        self.caches = 0
        self._view = view  # one that has this format and framing
        self._on_first = on_first  # called when nothing is kept and something is about to be
        self._kept: dict[int, Rendered] = {}

    def __len__(self) -> int:
        """Return how many rendered chunks are kept."""
        return len(self._kept)

    def render(self, chunk: Chunk) -> Rendered:
        """Return the chunk as a piece of a range."""
        if self.caches == 1:
            return self._view.render(chunk, None)
        piece = self._kept.get(chunk.seq)
        if piece is None:
            if not self._kept:
                self._on_first(self)
            piece = self._kept[chunk.seq] = self._view.render(chunk, None)
        return piece

    def clear(self) -> None:
        """Drop what is kept."""
        self._kept.clear()


class RenderCache:
    """Chunks as views with one render key show them. `groups` is how many share it; for one alone, it keeps nothing."""

    __slots__ = ("_flushed", "_kept", "_on_first", "_sealed", "_view", "groups", "whole")

    def __init__(self, view: View, whole: WholeChunks, on_first: Callable[[RenderCache], None]) -> None:
        self.groups = 0
        self.whole = whole
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
            return self._render(chunk, start, stop)
        key: _Key = chunk.seq if stop - start == chunk.count else (chunk.seq, start, stop)
        piece = self._kept.get(key)
        if piece is None:
            if not self._kept:
                self._on_first(self)
            piece = self._kept[key] = self._render(chunk, start, stop)
        return piece

    def clear(self) -> None:
        """Drop what is kept."""
        self._kept.clear()
        self._flushed, self._sealed = (), NOTHING

    def _render(self, chunk: Chunk, start: int, stop: int) -> Rendered:
        indices = self._view.match(chunk, start, stop)
        return self.whole.render(chunk) if indices is None else self._view.render(chunk, indices)


class RenderCaches:
    """The caches of a feed, by render key."""

    __slots__ = ("_by_key", "_warm", "_whole")

    def __init__(self) -> None:
        self._by_key: dict[RenderKey, RenderCache] = {}
        self._whole: dict[tuple[Format, Framing], WholeChunks] = {}
        self._warm: list[RenderCache | WholeChunks] = []  # those that keep something

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def kept(self) -> int:
        """How many rendered chunks, or parts of chunks, are kept in all."""
        return sum(map(len, self._by_key.values())) + sum(map(len, self._whole.values()))

    def acquire(self, view: View) -> RenderCache:
        """Return the cache for a view, on behalf of one more group."""
        cache = self._by_key.get(view.render_key)
        if cache is None:
            whole = self._whole.get((view.format, view.framing))
            if whole is None:
                whole = self._whole[view.format, view.framing] = WholeChunks(view, self._warm.append)
            whole.caches += 1
            cache = self._by_key[view.render_key] = RenderCache(view, whole, self._warm.append)
        cache.groups += 1
        return cache

    def release(self, view: View) -> None:
        """Give up a group's share, and drop the cache with the last one."""
        cache = self._by_key[view.render_key]
        cache.groups -= 1
        if not cache.groups:
            del self._by_key[view.render_key]
            cache.whole.caches -= 1
            if not cache.whole.caches:
                del self._whole[view.format, view.framing]

    def clear(self) -> None:
        """Drop all that is kept."""
        for cache in self._warm:
            cache.clear()
        self._warm.clear()
