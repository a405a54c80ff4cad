"""Views: what a reader sees of a namespace, and in which form.

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

# A chunk is rendered in one step unless that would make about this many bytes, or be this much work for a filter, which
# takes 9 ms at the worst and usually far less.
STEP_BYTES = 128 * 1024
STEP_WORK = 1_000_000

# Without a filter, this much is rendered in a few milliseconds.
MAX_UNFILTERED_BYTES = 1024 * 1024


class Rendered(NamedTuple):
    """Lines as they are written, or as a piece to be sealed, and how many they are. No lines are no data."""

    data: bytes
    lines: int


NOTHING = Rendered(b"", 0)


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

    @property
    def step_bytes(self) -> int:
        """How many bytes, the growth of lines included, can certainly be rendered in the time of one step."""
        if not self.text:
            return MAX_UNFILTERED_BYTES
        return int(STEP_WORK / max(self.text.work(1, 0), self.text.work(0, 1) / self.format.growth))

    def steps(self, chunk: Chunk) -> Sequence[tuple[int, int]]:
        """Return the bounds of the steps in which to match and render the chunk, in order.

        A step takes a few milliseconds and makes some 128 KiB at most, unless it is a single line. Nearly all chunks
        take only one.
        """
        size, count = len(chunk.text), chunk.count
        parts = 1 + (size + self.format.growth * count) // STEP_BYTES
        if self.text.patterns:
            parts = max(parts, 1 + self.text.work(size, count) // STEP_WORK)
        return ((0, count),) if parts == 1 else chunk.divide(size // parts, count // parts)

    def match(self, chunk: Chunk, start: int = 0, stop: int | None = None) -> Sequence[int] | None:
        """Return which of the chunk's lines from `start` to before `stop` (None: the end) this view shows, in order.

        None means that it shows the whole chunk.
        """
        stop = chunk.count if stop is None else stop
        if not self.text.patterns:
            if self.stream is None and stop - start == chunk.count:
                return None
            candidates: Sequence[int] = range(start, stop)
        else:
            candidates = self.text.indices(chunk, start, stop)
        if self.stream is not None:
            streams = chunk.streams()
            candidates = [index for index in candidates if streams[index] == self.stream]
        return None if len(candidates) == chunk.count else candidates

    def count(self, chunk: Chunk, start: int = 0) -> int:
        """Return how many of the chunk's lines from `start` on would be shown if text did not matter."""
        if self.stream is None:
            return max(0, chunk.count - start)  # `start` comes from a cursor, and may be anything
        return chunk.streams()[start:].count(self.stream)

    def render(self, chunk: Chunk, indices: Sequence[int] | None) -> Rendered:
        """Return these lines of the chunk, which `match` has found (None: all), as a piece to be sealed."""
        if indices is not None and not indices:
            return NOTHING
        payloads = self.format.payloads(chunk, indices)
        return Rendered(self.framing.piece(payloads, chunk, indices), len(payloads))

    def seal(self, pieces: list[Rendered]) -> Rendered:
        """Return pieces, none of which is empty, as they are written."""
        if not pieces:
            return NOTHING
        if len(pieces) == 1:
            data, lines = pieces[0]
            return Rendered(self.framing.seal([data]), lines)
        data = self.framing.seal([piece.data for piece in pieces])
        return Rendered(data, sum([piece.lines for piece in pieces]))

    def render_gap(self, gap: Gap) -> bytes:
        """Return the notice of lost lines as it is written to a reader."""
        return self.framing.gap(self.format.gap(gap))

    def render_live(self, cursor: Cursor) -> bytes:
        """Return the notice that the backlog has been sent and live lines begin at the cursor, or b""."""
        return self.framing.live(self.format.live(), cursor)
