from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.cursor import Cursor
from delivery.filter import TextFilter
from delivery.format import Json
from delivery.gap import Gap
from delivery.view import STEP_BYTES, STEP_WORK
from tests.buffer.factories import EPOCH, chunk
from tests.delivery.doubles import JSON, events, view

if TYPE_CHECKING:
    from buffer.chunk import Chunk
    from delivery.view import Rendered, View

STREAMS = st.sampled_from([None, "stdout", "stderr"])
MADE = st.lists(st.tuples(st.sampled_from(["a", "b", "ab"]), STREAMS), min_size=1, max_size=8).map(
    lambda rows: chunk(1, *(text for text, _ in rows), streams=[stream for _, stream in rows])
)
VIEWS = st.builds(
    lambda stream, text: view(stream=stream, text=text),
    STREAMS,
    st.sampled_from([TextFilter(), TextFilter(("a",)), TextFilter((), ("b",)), TextFilter(("z",))]),
)


def shown(seen: View, made: Chunk) -> list[int]:
    return [
        index
        for index, (line, stream) in enumerate(zip(made.lines(), made.streams(), strict=True))
        if seen.stream in (None, stream)
        and all(text.encode() in line for text in seen.text.include)
        and not any(text.encode() in line for text in seen.text.exclude)
    ]


def texts(seen: View, piece: Rendered) -> list[str]:
    """The lines of a piece, once it has been sealed, which must be as many as it says."""
    data, lines = seen.seal([piece] if piece.lines else [])
    found = [event.payload for event in events(seen, data)]
    assert lines == piece.lines == len(found)
    return found


@given(VIEWS, MADE)
def test_a_view_matches_the_lines_it_shows(seen: View, made: Chunk) -> None:
    indices = seen.match(made)
    assert (list(range(made.count)) if indices is None else list(indices)) == shown(seen, made)


@given(VIEWS, MADE, st.integers(0, 7), st.integers(0, 8))
def test_a_view_matches_and_renders_part_of_a_chunk(seen: View, made: Chunk, start: int, stop: int) -> None:
    start, stop = min(start, stop, made.count), min(stop, made.count)
    expected = [index for index in shown(seen, made) if start <= index < stop]
    indices = seen.match(made, start, stop)
    assert (list(range(start, stop)) if indices is None else list(indices)) == expected
    found = texts(seen, seen.render(made, seen.match(made, start, stop)))
    assert found == [made.lines()[index].decode() for index in expected]


SLOW = TextFilter(("(a|b)*a(a|b){90}c",))
LARGE = [
    chunk(1, *["x" * 100] * 600),
    chunk(1, *[""] * 1024),
    chunk(1, "x" * 250_000),
    chunk(1, *["é" * 60] * 1000),
    chunk(1, "x" * 60_000, *[""] * 1000, "y" * 4000),
]


@pytest.mark.parametrize("made", LARGE)
@pytest.mark.parametrize("seen", [view(), view(format=JSON), view(text=TextFilter(("a",))), view(text=SLOW)])
def test_no_step_is_large_or_much_work_unless_it_is_one_line(seen: View, made: Chunk) -> None:
    steps = seen.steps(made)
    assert [index for start, stop in steps for index in range(start, stop)] == list(range(made.count))
    for start, stop in steps:
        size = sum(map(len, made.lines()[start:stop]))
        assert stop - start == 1 or size + seen.format.growth * (stop - start) <= STEP_BYTES
        assert stop - start == 1 or seen.text.work(size, stop - start) <= STEP_WORK


@pytest.mark.parametrize("seen", [view(), view(text=TextFilter((r"(?i)\berror\b",)))])
def test_a_usual_chunk_is_one_step(seen: View) -> None:
    assert list(seen.steps(chunk(1, *["x" * 150] * 200))) == [(0, 200)]


@given(VIEWS, MADE, st.integers(0, 7))
def test_a_view_renders_the_lines_it_shows_from_a_place_on(seen: View, made: Chunk, start: int) -> None:
    expected = [made.lines()[index].decode() for index in shown(seen, made) if index >= start]
    assert texts(seen, seen.render(made, seen.match(made, start))) == expected


@given(VIEWS, MADE, st.integers(0, 12))
def test_a_view_counts_lines_of_its_stream_whatever_they_say(seen: View, made: Chunk, start: int) -> None:
    assert seen.count(made, start) == sum(seen.stream in (None, stream) for stream in made.streams()[start:])


def test_equal_views_are_one() -> None:
    one, other = (view(pod="a", format=Json(), text=TextFilter(("a",))) for _ in range(2))
    assert len({one, other}) == 1


@pytest.mark.parametrize("other", [view(pod="b"), view(stream="stdout"), view(format=Json()), view("m")])
def test_views_that_show_something_else_differ(other: View) -> None:
    assert view(pod="a") != other


def test_gaps_and_the_live_notice_are_rendered_as_the_format_has_them() -> None:
    seen = view(format=Json())
    assert [
        event.kind for event in events(seen, seen.render_gap(Gap(1, "slow")) + seen.render_live(Cursor(EPOCH, 7, 0)))
    ] == [
        "gap",
        "live",
    ]


def test_text_has_no_live_notice() -> None:
    assert view().render_live(Cursor(EPOCH, 7, 0)) == b""
