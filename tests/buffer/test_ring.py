from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from buffer.chunk import Chunk
from buffer.ring import RING_OVERHEAD, Position, Ring, Tail
from buffer.source_log import SOURCE_LOG_OVERHEAD
from tests.buffer.factories import ARRIVED, chunk, selector, source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def everything(_: Chunk) -> None:
    """Match all lines, as a view without filters does."""


def only_x(made: Chunk) -> Sequence[int]:
    return [index for index, line in enumerate(made.lines()) if line == b"x"]


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


@given(RINGS, SEEN, st.integers(0, 40), st.integers(0, 70), st.sampled_from([everything, only_x]))
def test_a_tail_begins_where_so_many_matching_lines_follow(
    made_ring: tuple[Ring, list[Chunk]],
    seen: set[Source],
    lines: int,
    before: int,
    match: Callable[[Chunk], Sequence[int] | None],
) -> None:
    ring, model = made_ring
    places = [
        (made.seq, index)
        for made in model
        if made.source in seen and made.seq < before
        for index in (only_x(made) if match is only_x else range(made.count))
    ]
    position, missing = ring.tail(lines, held(ring, seen), match, before)
    assert [place for place in places if place >= position] == places[max(0, len(places) - lines) :]
    assert missing == 0
    assert position <= (before, 0)


@given(RINGS, SEEN, st.integers(0, 40), st.integers(1, 1500))
def test_a_tail_taken_up_again_ends_where_one_without_a_budget_does(
    made_ring: tuple[Ring, list[Chunk]], seen: set[Source], lines: int, budget: int
) -> None:
    ring, _ = made_ring
    sources = held(ring, seen)
    whole = ring.tail(lines, sources, only_x, ring.next_seq)
    part, goes = Tail(Position(ring.next_seq, 0), lines), 0
    while part.missing:
        part, goes = ring.tail(part.missing, sources, only_x, part.position.seq, budget), goes + 1
        assert goes <= 60
    assert part == whole


def test_a_budget_counts_chunks_without_text_too() -> None:
    ring = Ring("n")
    for seq in range(1, 1000):
        ring.append(chunk(seq, ""))
    position, missing = ring.tail(5, list(ring.logs), lambda _: (), ring.next_seq, 10_000)
    assert missing == 5
    assert position.seq > 900


@given(WRITTEN, st.integers(0, 20), SEEN, st.integers(0, 70))
def test_since_is_the_first_line_not_older(
    written: list[tuple[Source, list[str], int]], evictions: int, seen: set[Source], when: int
) -> None:
    ring, model = filled(written, evictions)
    younger = [made.seq for made in model if made.source in seen and made.seq >= when]
    expected = Position(younger[0] if younger else ring.next_seq, 0)
    assert ring.since(ARRIVED + when, held(ring, seen)) == expected


def test_since_goes_by_the_times_of_the_lines_where_they_have_one() -> None:
    ring = Ring("n")
    stamps = ["2023-11-14T22:13:18Z", "2023-11-14T22:13:19Z"]
    ring.append(chunk(1, "a", "b", times=["2023-11-14T22:13:10Z"] * 2))
    ring.append(chunk(2, "c", "d", times=stamps))
    assert ring.since(ARRIVED - 1, list(ring.logs)) == Position(2, 1)
    assert ring.since(ARRIVED - 0.5, list(ring.logs)) == Position(3, 0)


def test_a_position_after_the_last_line_of_a_chunk_goes_on_with_the_next() -> None:
    ring, _ = filled([(PODS[0], ["x"], 1), (PODS[1], ["y"], 1)])
    assert [(made.seq, start) for made, start in ring.after(Position(1, 9), set(ring.logs))] == [(2, 0)]


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
