from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.ring import RING_OVERHEAD
from buffer.source_log import SOURCE_LOG_OVERHEAD
from buffer.store import Evicted, Limits, Store
from tests.buffer.factories import ARRIVED, chunk, selector, source

NAMESPACES = st.sampled_from("abc")
WRITING = st.lists(st.tuples(NAMESPACES, st.sampled_from("xy"), st.integers(0, 300)), max_size=60)
WIDE = 1 << 20


def expired(store: Store, now: float = float("inf")) -> list[Evicted]:
    return [one for one in store.expire(now) if one is not None]


def made(namespace_bytes: int = WIDE, total_bytes: int = WIDE, max_age: float = 60.0) -> Store:
    return Store(Limits(namespace_bytes, total_bytes, max_age))


@given(WRITING, st.integers(4000, 9000), st.integers(4000, 20_000))
def test_whatever_comes_in_the_bounds_hold_and_every_line_is_held_or_was_evicted(
    written: list[tuple[str, str, int]], namespace_bytes: int, total_bytes: int
) -> None:
    store, evicted = made(namespace_bytes, total_bytes), list[int]()
    for seq, (namespace, pod, length) in enumerate(written, 1):
        evicted += [one.chunk.seq for one in store.append(chunk(seq, "x" * length, writer=source(namespace, pod)))]
        assert store.bytes == sum(ring.bytes for ring in store.rings.values()) <= total_bytes
        assert all(ring and ring.bytes <= namespace_bytes for ring in store.rings.values())
    held = [one.seq for ring in store.rings.values() for log in ring.logs.values() for one in log.chunks.from_seq(0)]
    assert sorted(held + evicted) == list(range(1, len(written) + 1))
    assert store.statistics().lines_evicted == len(evicted)


@given(WRITING, st.integers(0, 70))
def test_what_expires_are_the_chunks_that_arrived_too_long_ago(
    written: list[tuple[str, str, int]], seconds: int
) -> None:
    store = made()
    for seq, (namespace, pod, _) in enumerate(written, 1):
        store.append(chunk(seq, "x", writer=source(namespace, pod), arrived=ARRIVED + seq))
    gone = sorted(one.chunk.seq for one in expired(store, ARRIVED + 60 + seconds))
    assert gone == [seq for seq in range(1, len(written) + 1) if seq < seconds]
    assert store.statistics().lines_expired == len(gone)
    assert store.statistics().lines == len(written) - len(gone)


def test_chunks_expire_only_as_they_are_asked_for() -> None:
    store = made()
    for seq in range(1, 5):
        store.append(chunk(seq, "x"))
    expiring = store.expire(float("inf"))
    first = next(expiring)
    assert first is not None
    assert first.chunk.seq == 1
    assert store.statistics().lines == 3


def test_what_arrives_while_others_expire_is_kept() -> None:
    store = made()
    store.append(chunk(1, "old"))
    expiring = store.expire(ARRIVED + 100)
    store.append(chunk(2, "new", arrived=ARRIVED + 99))
    assert [one and one.chunk.seq for one in expiring] == [1, None]
    assert store.rings["n"].first().seq == 2


def test_a_ring_that_has_gone_while_others_expire_is_passed_over() -> None:
    store = made()
    for seq, namespace in enumerate("ab", 1):
        store.append(chunk(seq, "x", writer=source(namespace)))
    expiring = store.expire(float("inf"))
    next(expiring)
    assert [one.chunk.seq for one in expired(store)] == [2]
    assert list(expiring) == [None, None]


def test_a_walk_over_namespaces_of_which_nothing_expires_can_be_paused_after_each() -> None:
    store = made()
    for seq, namespace in enumerate("abc", 1):
        store.append(chunk(seq, "x", writer=source(namespace)))
    assert list(store.expire(ARRIVED)) == [None] * 3


def test_the_heaviest_source_of_a_full_namespace_gives_way() -> None:
    store = made(namespace_bytes=20_000)
    store.append(chunk(1, "quiet", writer=source(pod="quiet")))
    evicted = [one for seq in range(2, 200) for one in store.append(chunk(seq, "x" * 100))]
    assert evicted
    assert {one.chunk.source.pod for one in evicted} == {"web-0"}


def test_the_heaviest_namespace_gives_way_where_the_total_is_full() -> None:
    store = made(namespace_bytes=50_000, total_bytes=60_000)
    store.append(chunk(1, "small", writer=source("small")))
    for number in range(2, 1000):
        store.append(chunk(number, "x" * 100, writer=source(f"n{number % 3}")))
    assert "small" in store.rings


def test_many_quiet_namespaces_do_not_keep_a_new_one_from_holding_a_line() -> None:
    store = made(40_000, 40_000)
    for number in range(1, 101):
        store.append(chunk(number, "x", writer=source(f"n{number:03}")))
    store.append(chunk(101, "a longer line than theirs", writer=source("a-new-one")))
    assert "a-new-one" in store.rings
    assert "n001" not in store.rings


def test_a_chunk_larger_than_all_the_memory_is_evicted_at_once() -> None:
    store = made(1000, 500)
    (evicted,) = store.append(chunk(1, "x" * 2000))
    assert (evicted.chunk.seq, evicted.was_last) == (1, True)
    assert (dict(store.rings), store.bytes, store.statistics().lines) == ({}, 0, 0)


def test_an_eviction_says_whether_its_source_has_left() -> None:
    store = made()
    for seq, pod in enumerate("aab", 1):
        store.append(chunk(seq, "x", writer=source(pod=pod)))
    assert [one.was_last for one in expired(store)] == [False, True, True]


@pytest.mark.parametrize(("seq", "lost"), [(1, True), (3, True), (4, False)])
def test_a_loss_is_known_while_its_source_is_held(seq: int, *, lost: bool) -> None:
    store = made()
    for number in range(1, 6):
        store.append(chunk(number, "x", arrived=ARRIVED + number))
    expired(store, ARRIVED + 60 + 3.5)
    assert store.has_lost_since(seq, selector(), [source()]) == lost


@pytest.mark.parametrize(("pod", "lost"), [("gone", True), ("gone,held", True), ("go*", True), ("held", False)])
def test_a_loss_is_known_after_its_source_has_left(pod: str, *, lost: bool) -> None:
    store, held = made(), source(pod="held")
    store.append(chunk(1, "x", writer=source(pod="gone")))
    store.append(chunk(2, "x", writer=held, arrived=ARRIVED + 60))
    expired(store, ARRIVED + 61)
    assert store.has_lost_since(1, selector(pod=pod), {held}) == lost


def test_a_loss_is_known_after_its_namespace_has_left() -> None:
    store = made()
    store.append(chunk(1, "x"))
    expired(store)
    assert store.has_lost_since(1, selector(), ())
    assert not store.has_lost_since(2, selector(), ())
    assert not store.has_lost_since(1, selector("m"), ())


def test_the_next_number_is_one_above_the_highest_of_its_namespace_even_when_that_has_left() -> None:
    store = made()
    for seq, namespace in ((3, "a"), (9, "b"), (7, "c"), (10, "c")):
        store.append(chunk(seq, "x", writer=source(namespace)))
    for _ in range(2):
        assert [store.next_seq(namespace) for namespace in "abcd"] == [4, 10, 11, 1]
        expired(store)


def test_what_never_came_counts_for_the_next_number() -> None:
    store = made()
    store.append(chunk(3, "x", writer=source("a")))
    assert store.lose(source("a"), 5)
    assert not store.lose(source("a", "web-1"), 7)
    assert not store.lose(source("b"), 9)
    assert [store.next_seq(namespace) for namespace in "ab"] == [8, 10]


def test_what_never_came_has_been_lost_by_those_who_had_not_got_there() -> None:
    store, seen = made(), selector("a")
    store.append(chunk(3, "x", writer=source("a")))
    store.append(chunk(9, "x", writer=source("a")))
    store.lose(source("a"), 7)  # before what is held
    assert store.has_lost_since(7, seen, [source("a")])
    assert not store.has_lost_since(8, seen, [source("a")])
    store.lose(source("a"), 11)  # after it
    assert store.has_lost_since(11, seen, [source("a")])
    assert not store.has_lost_since(12, seen, [source("a")])
    expired(store)
    assert store.has_lost_since(11, seen, ())
    assert not store.has_lost_since(12, seen, ())


def test_a_namespace_that_is_forgotten_leaves_nothing() -> None:
    store = made()
    for seq, namespace in ((1, "a"), (2, "a"), (3, "b")):
        store.append(chunk(seq, "x", writer=source(namespace, f"web-{seq}")))
    store.lose(source("a", "web-9"), 4)
    store.forget("a")
    store.forget("c")
    alone = made()
    alone.append(chunk(3, "x", writer=source("b", "web-3")))
    assert store.statistics() == alone.statistics()
    assert store.next_seq("a") == 1
    assert not store.has_lost_since(1, selector("a"), ())


def test_a_store_that_is_cleared_is_as_new() -> None:
    store = made()
    store.append(chunk(1, "x", writer=source("a")))
    store.lose(source("b"), 2)
    store.clear()
    assert store.statistics() == made().statistics()
    assert [store.next_seq(namespace) for namespace in "ab"] == [1, 1]


def test_expiry_passes_over_a_namespace_that_is_forgotten_meanwhile() -> None:
    store = made()
    for seq in (1, 2):
        store.append(chunk(seq, "x", writer=source("a")))
    passing = store.expire(ARRIVED + 1e6)
    assert next(passing) is not None
    store.forget("a")
    assert list(passing) == [None]


def test_what_a_source_had_before_a_number_is_dropped_and_nothing_else() -> None:
    store = made()
    for seq, pod in enumerate(["web-0", "web-1", "web-0", "web-0"], 1):
        store.append(chunk(seq, "x", writer=source(pod=pod)))
    bytes_before = store.bytes
    assert [(one.chunk.seq, one.was_last) for one in store.drop(source(), 4)] == [(1, False), (3, False)]
    assert [(one.chunk.seq, one.was_last) for one in store.drop(source(), 5)] == [(4, True)]
    assert store.drop(source(), 5) == []
    assert store.drop(source("nowhere"), 5) == []
    assert (store.statistics().sources, store.statistics().lines) == (1, 1)
    assert store.bytes < bytes_before


def test_a_namespace_that_has_reached_a_number_goes_on_after_it() -> None:
    store = made()
    store.reach("n", 5)
    assert store.next_seq("n") == 6
    store.append(chunk(9, "x"))
    assert store.next_seq("n") == 10
    store.reach("n", 20)
    store.reach("n", 12)
    assert store.next_seq("n") == 21
    store.forget("n")
    assert store.next_seq("n") == 1


def test_what_leaves_because_of_the_bounds_is_let_go() -> None:
    gone = list[int]()
    store = Store(Limits(WIDE, WIDE, 60.0), lambda one: gone.append(one.seq))
    for seq in (1, 2):
        store.append(chunk(seq, "x" * 600_000, writer=source("a")))
    assert gone == [1]
    expired(store)
    assert gone == [1, 2]


def test_statistics_count_what_is_held() -> None:
    store = made()
    writers = [source("a"), source("a", "web-1"), source("b"), source("b")]
    chunks = [chunk(seq, "x", "y", writer=writer) for seq, writer in enumerate(writers, 1)]
    for one in chunks:
        store.append(one)
    statistics = store.statistics()
    assert (statistics.namespaces, statistics.sources, statistics.chunks, statistics.lines) == (2, 3, 4, 8)
    sources = sum(SOURCE_LOG_OVERHEAD + one.size for one in set(writers))
    assert statistics.bytes == 2 * RING_OVERHEAD + sources + sum(one.size for one in chunks)


def test_namespaces_that_come_and_go_leave_nothing_but_bounded_tombstones() -> None:
    store, sizes = made(total_bytes=100_000), []
    tracemalloc.start()
    for seq in range(1, 6001):
        store.append(chunk(seq, "x" * 100, writer=source(f"n{seq}")))
        if seq % 1000 == 0:
            expired(store)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert (dict(store.rings), store.bytes) == ({}, 0)
    assert max(sizes) < 3 * WIDE
