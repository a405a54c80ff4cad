from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.chunk import Chunk
from buffer.chunk_list import ChunkList
from tests.buffer.factories import chunk, source


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.integers(0, 60)), max_size=250), st.integers(0, 400))
def test_a_chunk_list_is_a_list_in_order(steps: list[tuple[int, int | None]], place: int) -> None:
    chunks, model, seq = ChunkList(), list[int](), 0
    for hole, taken in steps:
        if taken is None or not model:
            seq += hole
            chunks.append(chunk(seq, "x"))
            model.append(seq)
        else:
            chunks.remove(model.pop(taken % len(model)))
        assert len(chunks) == len(model)
        assert not model or chunks.first().seq == model[0]
    assert [made.seq for made in chunks.from_seq(place)] == [number for number in model if number >= place]
    assert [made.seq for made in chunks.backwards(place)] == [number for number in reversed(model) if number < place]


@pytest.mark.parametrize("ahead", [1, 200])
def test_places_stay_in_proportion_to_what_they_hold(ahead: int) -> None:
    chunks = ChunkList()
    for seq in range(1, 10_000):
        chunks.append(chunk(seq, "x"))
        if seq > ahead:
            chunks.remove(seq - ahead)
    assert len(chunks) == ahead
    assert chunks.places <= 2 * ahead + 33


def test_the_last_chunk_is_found_behind_holes() -> None:
    chunks = ChunkList()
    for seq in range(1, 6):
        chunks.append(chunk(seq, "x"))
    for seq in (5, 4):
        chunks.remove(seq)
    assert chunks.last().seq == 3


def test_a_removed_chunk_is_not_kept_alive() -> None:
    chunks, writer = ChunkList(), source()
    for seq in range(1, 4):
        chunks.append(chunk(seq, "x", writer=writer))
    chunks.remove(2)
    alive = [one.seq for one in gc.get_objects() if isinstance(one, Chunk) and one.source is writer]
    assert sorted(alive) == [1, 3]
