from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.source import Source, sorted_labels

names = st.text(max_size=3)
labels = st.dictionaries(names, names, max_size=3).map(sorted_labels)
sources = st.builds(Source, names, names, names, labels, names)


class OneHash(str):
    """Text whose hash says nothing of it."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 1


def test_labels_in_another_order_make_the_same_source() -> None:
    one, other = sorted_labels({"a": "1", "b": "2"}), sorted_labels({"b": "2", "a": "1"})
    assert Source("n", labels=one) == Source("n", labels=other)
    assert hash(Source("n", labels=one)) == hash(Source("n", labels=other))


@given(sources, sources)
def test_sources_are_equal_if_all_their_parts_are(one: Source, other: Source) -> None:
    parts = [(s.namespace, s.pod, s.container, s.labels, s.owner) for s in (one, other)]
    assert (one == other) == (parts[0] == parts[1])
    assert one == Source(*parts[0])


@pytest.mark.parametrize("other", [Source("a", "bc"), Source("abc"), Source("", "ab", "c"), Source("ab", "", "c")])
def test_sources_whose_joined_parts_read_alike_differ(other: Source) -> None:
    assert Source("ab", "c") != other


def test_a_pod_with_another_owner_is_another_source() -> None:
    assert Source("n", "web", owner="replicaset/web-1") != Source("n", "web", owner="replicaset/web-2")


def test_sources_that_share_a_hash_are_still_told_apart() -> None:
    one, other = Source("n", OneHash("a")), Source("n", OneHash("b"))
    assert hash(one) == hash(other)
    assert one != other


def test_a_source_equals_nothing_else() -> None:
    assert Source("n") != ("n", "", "", (), "")


def test_a_source_shows_its_parts() -> None:
    made = Source("n", "p", "c", (("k", "v"),), "job/j")
    assert repr(made) == "Source('n', 'p', 'c', (('k', 'v'),), 'job/j')"


@pytest.mark.parametrize("letter", ["a", "é", "語", "😀"])
@pytest.mark.parametrize(("characters", "labels"), [(1, 0), (1, 10), (60, 10)])
def test_a_source_takes_no_more_memory_than_its_size(letter: str, characters: int, labels: int) -> None:
    gc.collect()
    tracemalloc.start()
    made = []
    for i in range(500):
        names = [f"{i}{letter * characters}" for _ in range(4)]
        pairs = tuple((f"{j}{letter}{i}", f"{i}{letter}{j}") for j in range(labels))
        made.append(Source(names[0], names[1], names[2], pairs, names[3]))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held <= sum(source.size for source in made) <= (8 if characters == 60 else 2.5) * held
