from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.chunk_list import ChunkList
from tests.delivery.doubles import chunk


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.integers(0, 60)), max_size=250), st.integers(0, 400))
def test_a_shelf_is_a_list_in_order(steps: list[tuple[int, int | None]], place: int) -> None:
    chunks, model, seq = ChunkList(), list[int](), 0
    for hole, taken in steps:
        if taken is None or not model:
            seq += hole
            chunks.put(chunk(seq, "x"))
            model.append(seq)
        else:
            chunks.take(model.pop(taken % len(model)))
        assert len(chunks) == len(model)
        assert not model or chunks.first().seq == model[0]
    assert [made.seq for made in chunks.from_seq(place)] == [number for number in model if number >= place]
    assert [made.seq for made in chunks.backwards(place)] == [number for number in reversed(model) if number < place]


@pytest.mark.parametrize("ahead", [1, 200])
def test_places_stay_in_proportion_to_what_they_hold(ahead: int) -> None:
    chunks = ChunkList()
    for seq in range(1, 10_000):
        chunks.put(chunk(seq, "x"))
        if seq > ahead:
            chunks.take(seq - ahead)
    assert len(chunks) == ahead
    assert len(chunks._chunks) == len(chunks._seqs) <= 2 * ahead + 33


def test_what_was_taken_out_is_not_kept() -> None:
    chunks = ChunkList()
    chunks.put(chunk(1, "x"))
    chunks.put(chunk(2, "y"))
    chunks.take(1)
    assert [made.seq for made in chunks._chunks if made] == [2]
