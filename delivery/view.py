"""Views: what a reader sees of a namespace, and how it is written down.

Views are values. Readers whose views are equal share what is written to them, and views that differ only in what they
select share what is rendered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from delivery.filter import TextFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buffer.chunk import Chunk
    from buffer.selector import Selector
    from delivery.cursor import Cursor
    from delivery.format import Format
    from delivery.framing import Framing
    from delivery.gap import Gap

ALL_TEXT = TextFilter()


class RenderKey(NamedTuple):
    """What lines look like in a view, whatever source they are from."""

    format: Format
    framing: Framing
    stream: str | None
    text: TextFilter


@dataclass(frozen=True, slots=True)
class View:
    """A selector, an output stream (None: both), text filters, a format and a framing."""

    selector: Selector
    format: Format
    framing: Framing
    stream: str | None = None
    text: TextFilter = ALL_TEXT

    @property
    def render_key(self) -> RenderKey:
        """Everything but the selector: views with one key render a chunk to the same bytes."""
        return RenderKey(self.format, self.framing, self.stream, self.text)

    def match(self, chunk: Chunk) -> Sequence[int] | None:
        """Return the indices of the chunk's lines that this view shows, in order; None for all."""
        indices: Sequence[int] | None = self.text.indices(chunk) if self.text else None
        if self.stream is not None:
            streams = chunk.streams()
            candidates = range(chunk.count) if indices is None else indices
            indices = [index for index in candidates if streams[index] == self.stream]
        return indices

    def count(self, chunk: Chunk, start: int = 0) -> int:
        """Return how many of the chunk's lines from `start` on would be shown, whatever their text is."""
        if self.stream is None:
            return max(0, chunk.count - start)  # `start` comes from a cursor, and may be anything
        return chunk.streams()[start:].count(self.stream)

    def render(self, chunk: Chunk, start: int = 0) -> bytes:
        """Return the chunk's lines from `start` on as a piece to be sealed; b"" if there are none."""
        indices = self.match(chunk)
        if start and indices is None:
            indices = range(start, chunk.count)
        elif start and indices is not None:
            indices = [index for index in indices if index >= start]
        if indices is not None and not indices:
            return b""
        return self.framing.piece(self.format.payloads(chunk, indices), chunk, indices)

    def render_gap(self, gap: Gap) -> bytes:
        """Return the notice of lost lines as it is written to a reader."""
        return self.framing.gap(self.format.gap(gap))

    def render_live(self, cursor: Cursor) -> bytes:
        """Return the notice that the backlog has been sent and live lines begin at the cursor, or b""."""
        return self.framing.live(self.format.live(), cursor)
