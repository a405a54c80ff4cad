from __future__ import annotations

import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st

from buffer.max_heap import MaxHeap

STEPS = st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 20)), max_size=200)


class Thing:
    """A key that can be seen to leave."""


@given(STEPS)
def test_the_top_is_a_key_of_the_greatest_weight(steps: list[tuple[int, int | None]]) -> None:
    heaviest, weights = MaxHeap[int](), dict[int, int]()
    for key, weight in steps:
        if weight is not None:
            weights[key] = weight
            heaviest.set(key, weight)
        elif key in weights:
            del weights[key]
            heaviest.remove(key)
        if weights:
            assert weights[heaviest.top()] == max(weights.values())


def test_keys_need_no_order() -> None:
    heaviest = MaxHeap[Thing]()
    one, other = Thing(), Thing()
    heaviest.set(one, 1)
    heaviest.set(other, 1)
    assert heaviest.top() in (one, other)


def test_a_removed_key_is_not_kept_alive() -> None:
    heaviest = MaxHeap[Thing]()
    heaviest.set(Thing(), 100)
    removed = weakref.ref(heaviest.top())
    for weight in range(10):
        heaviest.set(heaviest.top(), weight * 100)
    heaviest.remove(heaviest.top())
    gc.collect()
    assert removed() is None


def test_the_heap_stays_in_proportion_to_its_keys_however_often_they_change() -> None:
    heaviest = MaxHeap[int]()
    for weight in range(10_000):
        heaviest.set(weight % 10, weight)
    assert heaviest.entries <= 100
    assert heaviest.top() == 9


def test_the_heap_stays_in_proportion_when_keys_come_and_go() -> None:
    heaviest = MaxHeap[int]()
    for key in range(10_000):
        heaviest.set(key, 1)
        if key >= 10:
            heaviest.remove(key - 10)
    assert heaviest.entries <= 100
    assert heaviest.top() >= 9_990
