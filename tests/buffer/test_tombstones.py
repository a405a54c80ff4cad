from __future__ import annotations

import tracemalloc
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from buffer.source import Selector
from buffer.tombstones import Tombstones
from tests.delivery.doubles import source

PODS = st.sampled_from(["a", "b", "c", "d"])


def test_nothing_is_missing_before_anything_has_left() -> None:
    assert not Tombstones().any_since(1, Selector("n"))


@given(st.lists(PODS, max_size=20), PODS, st.integers(1, 25))
def test_what_has_left_is_missed_by_those_who_could_see_it(pods: list[str], seen: str, seq: int) -> None:
    tombstones = Tombstones()
    for number, pod in enumerate(pods, 1):
        tombstones.note(source(pod=pod), number)
    lost = any(number >= seq for number, pod in enumerate(pods, 1) if pod == seen)
    assert tombstones.any_since(seq, Selector("n", pod=seen)) == lost


@given(st.lists(PODS, max_size=20), PODS, st.integers(1, 25), st.integers(0, 3))
def test_nothing_that_has_left_is_forgotten_silently(pods: list[str], seen: str, seq: int, kept: int) -> None:
    tombstones = Tombstones()
    with patch("buffer.tombstones._MAX_BYTES", kept * source(pod="a").size):
        for number, pod in enumerate(pods, 1):
            tombstones.note(source(pod=pod), number)
    assert len(tombstones._seqs) <= kept
    if any(number >= seq for number, pod in enumerate(pods, 1) if pod == seen):
        assert tombstones.any_since(seq, Selector("n", pod=seen))


def test_memory_stays_bounded_however_many_sources_leave() -> None:
    tombstones = Tombstones()
    tracemalloc.start()
    for number in range(1, 12_000):
        tombstones.note(source(pod=f"job-{number}"), number)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 3 * 1024 * 1024
    assert len(tombstones._seqs) > 1000


def test_many_sources_that_leave_one_namespace_cost_another_no_gap() -> None:
    tombstones = Tombstones()
    with patch("buffer.tombstones._MAX_BYTES", source().size):
        for number in range(1, 10):
            tombstones.note(source(pod=f"job-{number}"), number)
    assert tombstones.any_since(8, Selector("n"))
    assert not tombstones.any_since(8, Selector("quiet"))


def test_of_namespaces_that_are_too_many_the_oldest_are_told_a_gap_to_be_on_the_safe_side() -> None:
    tombstones = Tombstones()
    with patch("buffer.tombstones._MAX_BYTES", 0), patch("buffer.tombstones._MAX_NAMESPACES", 2):
        for number in range(1, 6):
            tombstones.note(source(namespace=f"n{number}"), number)
    assert tombstones.any_since(3, Selector("quiet"))
    assert not tombstones.any_since(4, Selector("quiet"))
    assert tombstones.any_since(5, Selector("n5"))
