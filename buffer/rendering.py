"""Renderings: what chunks look like to all the audiences of a namespace that show lines alike.

Views differ mostly in whom they select; what a line looks like to them is the same. So that it is rendered once, each
rendering keeps what it has made until the hub is done with a chunk, a flush, or a turn of the readers that are behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.chunk import Chunk
    from buffer.view import Look, View


class Rendering:
    """One look of lines. `audiences` is how many share it; what it keeps is only for them."""

    __slots__ = ("_kept", "_notice", "_view", "audiences")

    def __init__(self, view: View, notice: Callable[[Rendering], None]) -> None:
        self.audiences = 0
        self._view = view
        self._notice = notice
        self._kept: dict[int, bytes] = {}  # by sequence number

    def of(self, chunk: Chunk) -> bytes:
        """Return a chunk as it is written to readers."""
        if self.audiences == 1:
            return self._view.render(chunk)
        data = self._kept.get(chunk.seq)
        if data is None:
            if not self._kept:
                self._notice(self)
            data = self._kept[chunk.seq] = self._view.render(chunk)
        return data

    def forget(self) -> None:
        """Let go of what is kept."""
        self._kept.clear()


class Renderings:
    """The renderings of a feed, by look."""

    __slots__ = ("_by_look", "_warm")

    def __init__(self) -> None:
        self._by_look: dict[Look, Rendering] = {}
        self._warm: list[Rendering] = []  # those that keep something

    def enter(self, view: View) -> Rendering:
        """Return the rendering of a view, for one more audience."""
        rendering = self._by_look.get(view.look)
        if rendering is None:
            rendering = self._by_look[view.look] = Rendering(view, self._warm.append)
        rendering.audiences += 1
        return rendering

    def leave(self, view: View) -> None:
        """Note that an audience has gone."""
        rendering = self._by_look[view.look]
        rendering.audiences -= 1
        if not rendering.audiences:
            del self._by_look[view.look]

    def forget(self) -> None:
        """Let go of all that is kept."""
        for rendering in self._warm:
            rendering.forget()
        self._warm.clear()
