from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.shelf import Shelf
from tests.buffer.doubles import chunk


@given(st.lists(st.tuples(st.integers(1, 3), st.none() | st.integers(0, 60)), max_size=250), st.integers(0, 400))
def test_a_shelf_is_a_list_in_order(steps: list[tuple[int, int | None]], place: int) -> None:
    shelf, model, seq = Shelf(), list[int](), 0
    for hole, taken in steps:
        if taken is None or not model:
            seq += hole
            shelf.put(chunk(seq, "x"))
            model.append(seq)
        else:
            shelf.take(model.pop(taken % len(model)))
        assert len(shelf) == len(model)
        assert not model or shelf.first().seq == model[0]
    assert [made.seq for made in shelf.from_seq(place)] == [number for number in model if number >= place]
    assert [made.seq for made in shelf.backwards(place)] == [number for number in reversed(model) if number < place]


@pytest.mark.parametrize("ahead", [1, 200])
def test_places_stay_in_proportion_to_what_they_hold(ahead: int) -> None:
    shelf = Shelf()
    for seq in range(1, 10_000):
        shelf.put(chunk(seq, "x"))
        if seq > ahead:
            shelf.take(seq - ahead)
    assert len(shelf) == ahead
    assert len(shelf._chunks) == len(shelf._seqs) <= 2 * ahead + 33


def test_what_was_taken_out_is_not_kept() -> None:
    shelf = Shelf()
    shelf.put(chunk(1, "x"))
    shelf.put(chunk(2, "y"))
    shelf.take(1)
    assert [made.seq for made in shelf._chunks if made] == [2]
