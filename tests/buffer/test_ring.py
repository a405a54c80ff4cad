from __future__ import annotations

import gc
import tracemalloc
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.chunk import Chunk
from buffer.ring import MAX_SKEW, RING_OVERHEAD, Position, Ring, Since, Tail
from buffer.source_log import SOURCE_LOG_OVERHEAD
from buffer.timestamp import rfc3339
from tests.buffer.factories import ARRIVED, chunk, selector, source

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.source import Source

PODS = [source(pod=pod) for pod in "abcdefg"]
WRITING = st.tuples(st.sampled_from(PODS), st.lists(st.sampled_from("xyz"), min_size=1, max_size=4), st.integers(1, 2))
WRITTEN = st.lists(WRITING, max_size=30)
SEEN = st.sets(st.sampled_from(PODS), min_size=1) | st.just(set(PODS))


def filled(written: list[tuple[Source, list[str], int]], evictions: int = 0) -> tuple[Ring, list[Chunk]]:
    """A ring, and the list of what it must hold."""
    ring, model, seq = Ring("n"), list[Chunk](), 0
    for writer, texts, step in written:
        seq += step
        model.append(chunk(seq, *texts, writer=writer, arrived=ARRIVED + seq))
        ring.append(model[-1])
    for _ in range(min(evictions, len(model))):
        model.remove(ring.evict())
    return ring, model


RINGS = st.builds(filled, st.lists(WRITING, min_size=10, max_size=30), st.integers(0, 6)) | st.builds(
    filled, WRITTEN, st.integers(0, 20)
)
POSITIONS = st.builds(Position, st.integers(0, 70), st.integers(0, 5))


class Matching:
    """Matches lines with one text (None: all), in steps of so many lines."""

    def __init__(self, text: bytes | None, step: int = 99) -> None:
        self.text = text
        self.step = step

    def steps(self, made: Chunk) -> list[tuple[int, int]]:
        return [(start, min(start + self.step, made.count)) for start in range(0, made.count, self.step)]

    def match(self, made: Chunk, start: int, stop: int) -> list[int] | None:
        if self.text is None and stop - start == made.count:
            return None
        return [index for index in range(start, stop) if self.text in (None, made.lines()[index])]


MATCHERS = st.builds(Matching, st.sampled_from([None, b"x"]), st.integers(1, 4))


def never() -> bool:
    return False


def now_and_then(steps: int) -> Callable[[], bool]:
    """Say that time is up every so many times."""
    asked = count(1)
    return lambda: next(asked) % steps == 0


def whole_tail(ring: Ring, lines: int, sources: set[Source], matcher: Matching, before: int) -> Position:
    return ring.tail(Tail(Position(before, 0), lines), sources, matcher, never).position


def whole_since(ring: Ring, when: float, sources: set[Source], before: int | None = None) -> Position:
    start = Since(Position(0, 0), done=False)
    return ring.since(when, start, sources, ring.next_seq if before is None else before, never).position


def held(ring: Ring, seen: set[Source]) -> set[Source]:
    return seen & set(ring.logs)


@given(WRITTEN, st.integers(0, 40))
def test_eviction_takes_the_oldest_chunk_of_the_heaviest_source_unless_that_has_only_one(
    written: list[tuple[Source, list[str], int]], evictions: int
) -> None:
    ring, model = filled(written)
    for _ in range(min(evictions, len(model))):
        weights = {writer: SOURCE_LOG_OVERHEAD + writer.size for writer in ring.logs}
        for made in model:
            weights[made.source] += made.size
        evicted = ring.evict()
        heaviest = [
            [made for made in model if made.source == one] for one in weights if weights[one] == max(weights.values())
        ]
        assert evicted in [held[0] if len(held) > 1 else model[0] for held in heaviest]
        model.remove(evicted)
        assert len(ring) == len(model)


@given(WRITTEN, st.integers(0, 40))
def test_what_a_ring_counts_is_what_it_holds(written: list[tuple[Source, list[str], int]], evictions: int) -> None:
    ring, model = filled(written, evictions)
    sources = {made.source for made in model}
    assert set(ring.logs) == sources
    assert ring.lines == sum(made.count for made in model)
    assert ring.bytes == RING_OVERHEAD + sum(made.size for made in model) + sum(
        SOURCE_LOG_OVERHEAD + writer.size for writer in sources
    )
    assert not model or ring.first() is model[0]


@given(RINGS, st.sampled_from([None, *"abcz", "a*", "a,b,z", "*"]), st.sampled_from([None, "app", "other"]))
def test_the_sources_admitted_are_those_of_the_ring_that_the_selector_admits(
    made: tuple[Ring, list[Chunk]], pod: str | None, container: str | None
) -> None:
    ring, model = made
    wanted = selector(pod=pod, container=container)
    assert set(ring.admitted(wanted)) == {made.source for made in model if wanted.admits(made.source)}
    assert len(ring.admitted(wanted)) == len(set(ring.admitted(wanted)))
    assert set(ring.pods) == {made.source.pod for made in model}


def test_a_quiet_source_keeps_its_history_beside_a_chatty_one() -> None:
    ring = Ring("n")
    ring.append(chunk(1, "quiet", writer=PODS[0]))
    for seq in range(2, 500):
        ring.append(chunk(seq, "chatty" * 20, writer=PODS[1]))
        while ring.bytes > 20_000:
            assert ring.evict().source is PODS[1]
    assert ring.first().seq == 1


@given(RINGS, SEEN, POSITIONS, st.none() | st.integers(0, 70))
def test_after_yields_what_lies_from_a_position_on(
    made_ring: tuple[Ring, list[Chunk]], seen: set[Source], position: Position, before: int | None
) -> None:
    ring, model = made_ring
    expected = [
        (made.seq, index)
        for made in model
        for index in range(made.count)
        if made.source in seen and (made.seq, index) >= position and (before is None or made.seq < before)
    ]
    found = ring.after(position, held(ring, seen), before)
    assert [(made.seq, index) for made, start in found for index in range(start, made.count)] == expected


@given(RINGS, SEEN, st.integers(0, 40), st.integers(0, 70), MATCHERS)
def test_a_tail_begins_where_so_many_matching_lines_follow(
    made_ring: tuple[Ring, list[Chunk]], seen: set[Source], lines: int, before: int, matcher: Matching
) -> None:
    ring, model = made_ring
    places = [
        (made.seq, index)
        for made in model
        if made.source in seen and made.seq < before
        for index in range(made.count)
        if matcher.text in (None, made.lines()[index])
    ]
    position, missing = ring.tail(Tail(Position(before, 0), lines), held(ring, seen), matcher, never)
    assert [place for place in places if place >= position] == places[max(0, len(places) - lines) :]
    assert missing == 0
    assert position <= (before, 0)


@given(RINGS, SEEN, st.integers(0, 40), MATCHERS, st.integers(1, 5))
def test_a_tail_that_is_interrupted_ends_where_one_that_is_not_does(
    made_ring: tuple[Ring, list[Chunk]], seen: set[Source], lines: int, matcher: Matching, steps: int
) -> None:
    ring, _ = made_ring
    sources, should_stop = held(ring, seen), now_and_then(steps)
    walk, goes = Tail(Position(ring.next_seq, 0), lines), 0
    while walk.missing:
        before, walk = walk, ring.tail(walk, sources, matcher, should_stop)
        goes += 1
        assert walk.position < before.position or not walk.missing, "no progress"
    assert walk.position == whole_tail(ring, lines, sources, matcher, ring.next_seq)
    assert goes <= 1 + 4 * 30 // steps


@pytest.mark.parametrize("walk", ["tail", "since"])
def test_a_walk_past_chunks_of_others_can_be_interrupted(walk: str) -> None:
    ring, sources = Ring("n"), {PODS[0], PODS[1]}
    for seq, writer in enumerate([*PODS[:3], *[PODS[2]] * 100], 1):
        ring.append(chunk(seq, "x", writer=writer))
    if walk == "tail":
        found, _ = ring.tail(Tail(Position(104, 0), 1), sources, Matching(None), now_and_then(10))
        assert found == (94, 0)
    else:
        found, _ = ring.since(ARRIVED + 1, Since(Position(3, 0), done=False), sources, 104, now_and_then(10))
        assert found == (13, 0)


@given(WRITTEN, st.integers(0, 20), SEEN, st.integers(0, 70), st.integers(0, 70))
def test_since_is_the_first_line_not_older(
    written: list[tuple[Source, list[str], int]], evictions: int, seen: set[Source], when: int, before: int
) -> None:
    ring, model = filled(written, evictions)
    younger = [made.seq for made in model if made.source in seen and when <= made.seq < before]
    expected = Position(younger[0] if younger else before, 0)
    assert whole_since(ring, ARRIVED + when, held(ring, seen), before) == expected


@given(
    st.lists(st.tuples(st.sampled_from(PODS), st.lists(st.integers(-500, 500), min_size=1, max_size=3)), max_size=20),
    SEEN,
    st.integers(-500, 500),
    st.integers(1, 4),
)
def test_since_goes_by_the_times_of_lines_in_whatever_order_and_however_often_it_is_interrupted(
    written: list[tuple[Source, list[int]]], seen: set[Source], when: int, steps: int
) -> None:
    ring, younger = Ring("n"), list[tuple[int, int]]()
    for seq, (writer, times) in enumerate(written, 1):
        ring.append(chunk(seq, *["x"] * len(times), writer=writer, times=[rfc3339(ARRIVED + time) for time in times]))
        younger += [(seq, index) for index, time in enumerate(times) if time >= when and writer in seen]
    walk, should_stop = Since(Position(0, 0), done=False), now_and_then(steps)
    while not walk.done:
        before, walk = walk, ring.since(ARRIVED + when, walk, held(ring, seen), ring.next_seq, should_stop)
        assert walk.done or walk.position > before.position, "no progress"
    assert walk.position == (younger[0] if younger else (ring.next_seq, 0))


@pytest.mark.parametrize(("ahead", "found"), [(0, True), (MAX_SKEW - 1, True), (MAX_SKEW + 1, False)])
def test_a_line_may_be_younger_than_its_arrival_by_the_skew_of_clocks(ahead: int, *, found: bool) -> None:
    ring = Ring("n")
    ring.append(chunk(1, "x", times=[rfc3339(ARRIVED + ahead)]))
    assert whole_since(ring, ARRIVED + ahead, set(ring.logs)) == ((1, 0) if found else (2, 0))


def test_an_old_last_line_does_not_hide_a_younger_one_before_it() -> None:
    ring = Ring("n")
    ring.append(chunk(1, "old", "young", "old", times=[rfc3339(ARRIVED + time) for time in (-9, 0, -9)]))
    assert whole_since(ring, ARRIVED - 1, set(ring.logs)) == (1, 1)


def test_a_position_after_the_last_line_of_a_chunk_goes_on_with_the_next() -> None:
    ring, _ = filled([(PODS[0], ["x"], 1), (PODS[1], ["y"], 1)])
    found = ring.after(Position(1, 9), set(ring.logs))
    assert [(made.seq, index) for made, start in found for index in range(start, made.count)] == [(2, 0)]


def test_a_chunk_can_be_named_for_eviction() -> None:
    ring, _ = filled([(PODS[0], ["x"], 1), (PODS[1], ["y"] * 50, 1)])
    assert ring.evict(ring.first()).seq == 1


def test_chunks_of_equal_sources_share_one() -> None:
    ring = Ring("n")
    for seq in range(1, 4):
        ring.append(chunk(seq, "x", writer=source(pod="a", app="web")))
    assert len({id(made.source) for made, _ in ring.after(Position(0, 0), list(ring.logs))}) == 1


def test_a_ring_at_its_limit_does_not_grow() -> None:
    limit, sizes = 100_000, []
    tracemalloc.start()
    ring = Ring("n")
    for seq in range(1, 5001):
        ring.append(chunk(seq, f"{seq:200}", writer=source(pod=f"web-{seq % 7}", app="web")))
        while ring.bytes > limit:
            ring.evict()
        if seq % 500 == 0:
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(sizes) < limit
    assert max(sizes[1:]) < 1.1 * sizes[0]


def test_a_source_that_left_is_not_kept_alive() -> None:
    ring = Ring("n")
    for seq in range(1, 200):
        ring.append(chunk(seq, "x", writer=source(pod=f"job-{seq}")))
        while len(ring) > 3:
            ring.evict(ring.first())
    gc.collect()
    assert sum(isinstance(thing, type(PODS[0])) and thing.pod.startswith("job-") for thing in gc.get_objects()) == 3
