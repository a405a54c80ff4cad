from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.ring import Position
from delivery.filter import TextFilter
from delivery.framing import Chunked, PlainLines, WebSocketBatches
from delivery.ranges import MAX_WRITE_BYTES, from_position, render_range
from delivery.render_cache import RenderCaches
from tests.buffer.factories import chunk
from tests.delivery.doubles import JSON, MIB, TEXT, Rig, events, view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buffer.chunk import Chunk
    from delivery.format import Format
    from delivery.view import View

TEXTS = st.sampled_from(["a", "b", "x" * 60, "\x00" * 60, "y" * 500])
CHUNKS = st.lists(st.lists(TEXTS, min_size=1, max_size=9), min_size=1, max_size=6).map(
    lambda lots: [chunk(seq, *texts) for seq, texts in enumerate(lots, 1)]
)
VIEWS = st.builds(
    lambda format_, framing, text: view(format=format_, framing=framing, text=text),
    st.sampled_from([TEXT, JSON]),
    st.sampled_from([WebSocketBatches(), Chunked(PlainLines())]),
    st.sampled_from([TextFilter(), TextFilter((), ("a",))]),
)


def shown_in(chunk: Chunk, seen: View) -> Sequence[int]:
    indices = seen.match(chunk)
    return range(chunk.count) if indices is None else indices


@patch("delivery.view.STEP_BYTES", 100)
@patch("delivery.ranges.WRITE_BYTES", 300)
@patch("delivery.ranges.MAX_WRITE_BYTES", 400)
@given(CHUNKS, VIEWS, st.integers(0, 9), st.integers(1, 4))
def test_ranges_follow_each_other_without_a_gap_wherever_they_end(
    chunks: list[Chunk], seen: View, line: int, steps: int
) -> None:
    cache, asked = RenderCaches().acquire(seen), count(1)
    position, end, data = Position(1, line), Position(len(chunks) + 1, 0), b""
    while position < end:
        rendered = render_range(
            seen, cache, position, from_position(chunks, position), lambda: next(asked) % steps == 0
        )
        assert rendered.start == position < rendered.end
        assert len(rendered.data) <= 400 or len(events(seen, rendered.data)) == 1
        position, data = rendered.end, data + rendered.data
    shown = [at for one in chunks for at in shown_in(one, seen)]
    skipped = [at for at in shown_in(chunks[0], seen) if at < line]
    assert len(events(seen, data)) == len(shown) - len(skipped)


def test_a_range_of_no_chunks_ends_where_it_starts() -> None:
    cache = RenderCaches().acquire(view())
    assert render_range(view(), cache, Position(7, 1), [], lambda: False) == (Position(7, 1), Position(7, 1), b"", 0)


def test_chunks_to_be_passed_over_are_not_rendered() -> None:
    cache, chunks = RenderCaches().acquire(view()), [chunk(1, "a"), chunk(2, "b", "c"), chunk(3, "d")]
    walk = [(chunks[0], 0), (chunks[1], 2), (chunks[2], 1)]
    rendered = render_range(view(), cache, Position(1, 0), walk, lambda: False)
    assert (rendered.end, [event.payload for event in events(view(), rendered.data)]) == ((4, 0), ["a"])


@pytest.mark.parametrize("format_", [TEXT, JSON])
def test_no_write_is_larger_than_its_bound_however_much_the_lines_grow(format_: Format) -> None:
    rig = Rig(8 * MIB, 8 * MIB)
    live, backlog = rig.join(view(format=format_)), rig.join(view(format=format_), room=0)
    rig.settle()
    for _ in range(6):
        rig.publish(*["\x00" * 1000] * 64)  # each byte becomes six in JSON
    backlog.drain()
    rig.settle()
    sizes = [len(data) for client in (live, backlog) for data in client.socket.writes]
    assert max(sizes) <= MAX_WRITE_BYTES
    assert len(live.events()) == len(backlog.events()) == 6 * 64 + (format_ is JSON)
    assert len(sizes) <= (40 if format_ is JSON else 12)


def test_a_line_that_is_larger_than_the_bound_is_written_alone() -> None:
    rig = Rig(8 * MIB, 8 * MIB)
    client = rig.join(view(format=JSON), room=0)
    rig.settle()
    for text in ("a", "\x00" * 60_000, "b"):
        rig.publish(text)
    client.drain()
    rig.settle()
    assert sorted(len(data) > MAX_WRITE_BYTES for data in client.socket.writes) == [False] * 3 + [True]
    assert len(client.events()) == 4


def test_a_range_may_end_inside_of_a_chunk_and_the_next_begins_there() -> None:
    rig = Rig()
    rig.publish(*[f"{number:04}" * 100 for number in range(2000)])
    client = rig.join(view(format=JSON), room=0)
    rig.clock.run_one()
    position = client.reader.position
    assert position.seq == 1
    assert 0 < position.line < 2000
    client.drain()
    rig.settle()
    assert [json.loads(text)["log"][:4] for text in client.texts()[:-1]] == [f"{number:04}" for number in range(2000)]
