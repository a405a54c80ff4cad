from __future__ import annotations

import tracemalloc
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from buffer.tombstones import Tombstones
from tests.buffer.factories import selector, source

PODS = st.sampled_from(["a", "b", "c", "d"])


def test_nothing_is_missing_before_anything_has_left() -> None:
    assert not Tombstones().any_since(1, selector())


@given(st.lists(PODS, max_size=20), PODS, st.integers(1, 25))
def test_what_has_left_is_missed_by_those_who_could_see_it(pods: list[str], seen: str, seq: int) -> None:
    tombstones = Tombstones()
    for number, pod in enumerate(pods, 1):
        tombstones.add(source(pod=pod), number)
    lost = any(number >= seq for number, pod in enumerate(pods, 1) if pod == seen)
    assert tombstones.any_since(seq, selector(pod=seen)) == lost


@given(st.lists(PODS, max_size=20), PODS, st.integers(1, 25), st.integers(0, 3))
def test_nothing_that_has_left_is_forgotten_silently(pods: list[str], seen: str, seq: int, kept: int) -> None:
    tombstones = Tombstones()
    with patch("buffer.tombstones.MAX_BYTES", kept * source(pod="a").size):
        for number, pod in enumerate(pods, 1):
            tombstones.add(source(pod=pod), number)
    assert len(tombstones) <= kept
    if any(number >= seq for number, pod in enumerate(pods, 1) if pod == seen):
        assert tombstones.any_since(seq, selector(pod=seen))


def test_memory_stays_bounded_however_many_sources_leave() -> None:
    tombstones = Tombstones()
    tracemalloc.start()
    for number in range(1, 12_000):
        tombstones.add(source(pod=f"job-{number}"), number)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 3 * 1024 * 1024
    assert len(tombstones) > 1000


def test_many_sources_that_leave_one_namespace_cost_another_no_gap() -> None:
    tombstones = Tombstones()
    with patch("buffer.tombstones.MAX_BYTES", source().size):
        for number in range(1, 10):
            tombstones.add(source(pod=f"job-{number}"), number)
    assert tombstones.any_since(8, selector())
    assert not tombstones.any_since(8, selector("quiet"))


def test_of_namespaces_that_are_too_many_the_oldest_are_told_a_gap_to_be_on_the_safe_side() -> None:
    tombstones = Tombstones()
    with patch("buffer.tombstones.MAX_BYTES", 0), patch("buffer.tombstones.MAX_NAMESPACES", 2):
        for number in range(1, 6):
            tombstones.add(source(namespace=f"n{number}"), number)
    assert tombstones.any_since(3, selector("quiet"))
    assert not tombstones.any_since(4, selector("quiet"))
    assert tombstones.any_since(5, selector("n5"))


@given(st.lists(st.tuples(st.sampled_from("nm"), PODS), max_size=20), st.integers(0, 3))
def test_the_highest_number_of_a_namespace_is_remembered_even_when_its_sources_are_not(
    left: list[tuple[str, str]], kept: int
) -> None:
    tombstones = Tombstones()
    with patch("buffer.tombstones.MAX_BYTES", kept * source(pod="a").size):
        for number, (namespace, pod) in enumerate(left, 1):
            tombstones.add(source(namespace, pod), number)
    for one in "nm":
        expected = max((number for number, (namespace, _) in enumerate(left, 1) if namespace == one), default=0)
        assert tombstones.last_seq(one) == expected


def test_a_source_is_remembered_by_its_highest_number() -> None:
    tombstones = Tombstones()
    tombstones.add(source(), 5)
    tombstones.add(source(), 3)
    assert tombstones.any_since(5, selector())
    assert tombstones.last_seq("n") == 5


def test_a_namespace_that_is_removed_leaves_the_others_and_its_room() -> None:
    tombstones = Tombstones()
    with patch("buffer.tombstones.MAX_BYTES", 2 * source(pod="a").size):
        for number, namespace in enumerate("nnm", 1):
            tombstones.add(source(namespace, "abc"[number - 1]), number)
        tombstones.remove("n")
        tombstones.add(source("m", "d"), 4)
    assert not tombstones.any_since(1, selector())
    assert tombstones.any_since(3, selector("m", pod="c"))
    assert len(tombstones) == 2
