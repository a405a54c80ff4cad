"""Ranges: stretches of a ring, rendered to be written to readers.

A range is rendered in the steps of its view, and may end after any of them, even in the middle of a chunk: when there
is enough for one write, or when the time is up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buffer.ring import Position
from delivery.view import NOTHING, Rendered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from buffer.chunk import Chunk
    from delivery.render_cache import RenderCache
    from delivery.view import View

# A range ends once it has this size. Lines that have arrived for a view are flushed once they have about this size.
WRITE_BYTES = 128 * 1024

# No range is larger than this, unless it is a single line. Since a reader is written the next one only when its socket
# has taken the last, this bounds what the process holds for a reader that takes nothing.
MAX_WRITE_BYTES = 256 * 1024


class Range(NamedTuple):
    """What is written to all readers that come to `start`; they go on at `end`. `data` is empty if nothing is shown.

    `lines` is how many lines that are.
    """

    start: Position
    end: Position
    data: bytes
    lines: int


def render_range(
    view: View,
    cache: RenderCache,
    start: Position,
    chunks: Iterable[tuple[Chunk, int]],
    should_stop: Callable[[], bool],
) -> Range:
    """Render a range of these chunks, each from the given line on; there is at least one step in it.

    A chunk whose line is its `count` is passed over. `should_stop` is asked after each step. Without any chunks, the
    range ends where it starts.
    """
    pieces, size, end = list[Rendered](), 0, None
    for chunk, first, stop in _steps(view, chunks):
        piece, last = _fitting(cache, chunk, first, stop) if first < stop else (NOTHING, stop)
        if pieces and size + len(piece.data) > MAX_WRITE_BYTES:
            break
        if piece.lines:
            pieces.append(piece)
            size += len(piece.data)
        end = chunk, last
        if last < stop or size >= WRITE_BYTES or should_stop():
            break
    return Range(start, start if end is None else _after(*end), *view.seal(pieces))


def from_position(chunks: Sequence[Chunk], position: Position) -> Iterator[tuple[Chunk, int]]:
    """Yield the chunks from a position on, each with the index of the first line to read."""
    seq, line = position
    for chunk in chunks:
        if chunk.seq >= seq:
            yield chunk, line if chunk.seq == seq else 0


def _steps(view: View, chunks: Iterable[tuple[Chunk, int]]) -> Iterator[tuple[Chunk, int, int]]:
    """Yield the steps in which to render chunks from the given lines on; an empty one for a chunk to be passed over."""
    for chunk, line in chunks:
        if line >= chunk.count:
            yield chunk, chunk.count, chunk.count
            continue
        for first, stop in view.steps(chunk):
            if stop > line:
                yield chunk, max(first, line), stop


def _fitting(cache: RenderCache, chunk: Chunk, first: int, stop: int) -> tuple[Rendered, int]:
    """Render the lines from `first` to before `stop`, or as many as fit into a range; return where they stop, too."""
    piece = cache.render_part(chunk, first, stop)
    while len(piece.data) > MAX_WRITE_BYTES and stop - first > 1:
        stop = first + (stop - first) // 2
        piece = cache.render_part(chunk, first, stop)
    return piece, stop


def _after(chunk: Chunk, stop: int) -> Position:
    """Return the position after the lines of a chunk before `stop`."""
    return Position(chunk.seq, stop) if stop < chunk.count else Position(chunk.seq + 1, 0)
