from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.chunk import CHUNK_BYTES, CHUNK_LINES, Chunk, pack
from buffer.ring import Ring
from buffer.timestamp import unix_seconds
from tests.buffer.factories import ARRIVED, chunk, source

TIME = "2025-11-22T08:15:01.%09dZ"
ARRIVED_TEXT = b"2023-11-14T22:13:20.000000Z"

SECONDS = [
    *(f"1970-01-01T00:00:{second}Z" for second in ("10", "10.5", "11", "11.25", "11.250000001", "12")),
    "1970-01-01T02:00:11+02:00",
    "1969-12-31T22:00:12.5-02:00",
    "1970-13-01T00:00:11Z",
]

texts = st.text(st.sampled_from("ab\né😀\r\x00"), max_size=8)
times = st.sampled_from(
    ["", "2025-11-22T08:15:01.123456789Z", "2025-11-22T08:15:01+02:00", "yesterday", "a\nb", '"', "\ud800"]
)
streams = st.sampled_from([None, "stdout", "stderr", "elsewhere"])
records = st.lists(st.tuples(texts, times, streams), min_size=1, max_size=12)


def packed(lines: list[str], max_line_bytes: int = 256 * 1024) -> list[Chunk]:
    blank = [""] * len(lines)
    return list(pack(source(), lines, blank, ["stdout"] * len(lines), arrived=ARRIVED, max_line_bytes=max_line_bytes))


@given(records)
def test_a_chunk_gives_back_what_was_put_in(rows: list[tuple[str, str, str | None]]) -> None:
    lines, stamps, outputs = (list(column) for column in zip(*rows, strict=True))
    made = Chunk(source(), lines, stamps, outputs, ARRIVED)
    assert made.lines() == [line.removesuffix("\n").encode() for line in lines]
    assert made.times() == [time.encode() if time[:4] == "2025" else ARRIVED_TEXT for time in stamps]
    assert made.streams() == [stream if stream in ("stdout", "stderr") else None for stream in outputs]
    assert made.count == len(rows)
    assert made.joins_cleanly == all("\n" not in line.removesuffix("\n") for line in lines)


@given(st.lists(texts, max_size=30), st.integers(1, 40), st.integers(1, 5))
def test_packing_keeps_all_lines_in_order(lines: list[str], max_bytes: int, max_lines: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("buffer.chunk.CHUNK_BYTES", max_bytes)
        patched.setattr("buffer.chunk.CHUNK_LINES", max_lines)
        chunks = packed(lines)
    assert [line for made in chunks for line in made.lines()] == [line.removesuffix("\n").encode() for line in lines]
    assert all(made.count <= max_lines for made in chunks)
    assert all(made.count == 1 or len(made.text) <= 4 * max_bytes + max_lines for made in chunks)


@given(st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from("a語😀")), max_size=30))
def test_no_chunk_is_far_above_its_bound(sizes: list[tuple[int, str]]) -> None:
    chunks = packed([letter * length for length, letter in sizes])
    assert all(len(made.text) <= 4 * CHUNK_BYTES + CHUNK_LINES for made in chunks)


@pytest.mark.parametrize(
    ("lines", "stored"),
    [
        ([""], [b""]),
        (["\n"], [b""]),
        (["\n\n"], [b"\n"]),
        (["", ""], [b"", b""]),
        (["\n", "\n", "\n"], [b"", b"", b""]),
        (["a\n", "b"], [b"a", b"b"]),
        (["a\nb\n", "c\n"], [b"a\nb", b"c"]),
        (["\na", ""], [b"\na", b""]),
        (["a\r\n"], [b"a\r"]),
    ],
)
def test_one_trailing_newline_is_taken_off_and_inner_ones_stay(lines: list[str], stored: list[bytes]) -> None:
    (made,) = packed(lines)
    assert made.lines() == stored
    assert made.count == len(stored)


def test_no_lines_make_no_chunk() -> None:
    assert packed([]) == []


def test_many_lines_are_divided_and_keep_their_times_and_streams() -> None:
    count = 3 * CHUNK_LINES + 1
    stamps = [TIME % number for number in range(count)]
    outputs = ["stderr" if number % 7 else "stdout" for number in range(count)]
    chunks = list(pack(source(), ["x"] * count, stamps, outputs, arrived=ARRIVED, max_line_bytes=1024))
    assert [time for made in chunks for time in made.times()] == [time.encode() for time in stamps]
    assert [stream for made in chunks for stream in made.streams()] == outputs
    assert len(chunks) == 4


@given(st.text(st.sampled_from("aé語😀\n"), min_size=90, max_size=300), st.integers(100, 200))
def test_a_cut_line_is_within_the_bound_and_says_how_much_is_gone(text: str, bound: int) -> None:
    ((line,),) = [made.lines() for made in packed([text], bound)]
    whole = text.removesuffix("\n").encode()
    if len(whole) <= bound:
        assert line == whole
        return
    kept, _, notice = line.decode().rpartition(" [logurt] ")
    assert len(line) <= bound < len(line) + 8
    assert whole.startswith(kept.encode())
    assert notice == f"{len(whole) - len(kept.encode())} bytes cut: the line was too long"


def test_a_trailing_newline_does_not_count_for_the_bound() -> None:
    assert packed(["x" * 100 + "\n"], 100)[0].lines() == [b"x" * 100]


def test_a_long_line_is_cut_once_however_often_its_batch_is_divided() -> None:
    lines = ["x" * 300_000, *["y"] * 3000, "z" * 300_000]
    stored = [line for made in packed(lines) for line in made.lines()]
    assert stored[1:-1] == [b"y"] * 3000
    assert [line.count(b"[logurt]") for line in (stored[0], stored[-1])] == [1, 1]


@given(st.lists(st.tuples(texts, st.integers(0, 9)), min_size=1, max_size=30), st.integers(0, 40), st.integers(0, 9))
def test_a_chunk_is_divided_into_parts_that_are_small_or_one_line(
    rows: list[tuple[str, int]], max_bytes: int, max_lines: int
) -> None:
    made = chunk(1, *(text * times for text, times in rows))
    parts = made.divide(max_bytes, max_lines)
    assert [index for start, stop in parts for index in range(start, stop)] == list(range(made.count))
    for start, stop in parts:
        assert start < stop
        assert stop - start <= max(1, max_lines)
        assert stop - start == 1 or len(b"\n".join(made.lines()[start:stop])) <= max_bytes


def test_parts_of_a_chunk_are_as_large_as_they_may_be() -> None:
    made = chunk(1, *["x" * 9] * 10)
    assert made.divide(29, 99) == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert made.divide(99, 4) == [(0, 4), (4, 8), (8, 10)]


@pytest.mark.parametrize(("when", "first"), [(0, 0), (11, 0), (12, 1), (12.5, 2), (13, 2), (14, None)])
def test_the_first_line_since_a_time_is_found(when: float, first: int | None) -> None:
    made = chunk(1, "a", "b", "c", times=[f"1970-01-01T00:00:{second}Z" for second in (11, 12, 13)])
    assert made.first_since(when) == first


@given(
    st.lists(st.sampled_from(["", "odd", *SECONDS]), min_size=1, max_size=6),
    st.sampled_from([10.0, 10.5, 11.0, 11.25, 12.0, 13.0, ARRIVED, ARRIVED + 1]),
)
def test_the_first_line_since_a_time_is_found_whatever_the_order_and_the_zones(times: list[str], when: float) -> None:
    made = chunk(1, *["x"] * len(times), times=times)
    seconds = [unix_seconds(time) for time in made.times()]
    assert made.first_since(when) == next((index for index, time in enumerate(seconds) if time >= when), None)


@pytest.mark.parametrize("when", [-1e12, -1.0, 0.0, 1e12, float("inf")])
def test_lines_are_compared_with_times_of_any_year(when: float) -> None:
    made = chunk(1, "a", times=["2025-11-22T08:15:01Z"])
    assert made.first_since(when) == (0 if when < ARRIVED else None)


@pytest.mark.parametrize("odd", ["", "yesterday"])
def test_the_first_and_the_last_time_are_those_of_the_lines_or_of_arrival(odd: str) -> None:
    stamps = ["2025-11-22T08:15:01Z", odd, "2025-11-22T08:15:02Z"]
    made = chunk(1, "a", "b", "c", times=stamps)
    assert (made.first_time, made.last_time) == (stamps[0].encode(), stamps[2].encode())
    made = chunk(1, "a", "b", times=[odd, odd])
    assert (made.first_time, made.last_time) == (ARRIVED_TEXT, ARRIVED_TEXT)


def test_times_of_some_lines_are_those_of_all() -> None:
    made = chunk(1, "a", "b", "c", times=["2025-11-22T08:15:01Z", "odd", ""])
    assert made.times([2, 0]) == [made.times()[2], made.times()[0]]


def test_a_line_without_a_time_is_as_old_as_its_arrival() -> None:
    assert chunk(1, "a").first_since(ARRIVED) == 0
    assert chunk(1, "a").first_since(ARRIVED + 1) is None


@pytest.mark.parametrize("multiline", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("count", [1, 50])
def test_what_a_ring_says_it_holds_is_what_it_holds(count: int, *, mixed: bool, multiline: bool) -> None:
    gc.collect()
    tracemalloc.start()
    ring = Ring("n")
    for seq in range(1, 600):
        lines = [f"{number:100}" + ("\nmore" if multiline else "") for number in range(count)]
        stamps = [TIME % number for number in range(count)]
        outputs = ["stderr" if mixed and number % 2 else "stdout" for number in range(count)]
        ring.append(chunk(seq, *lines, writer=source(pod=f"web-{seq % 5}"), times=stamps, streams=outputs))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.95 * held <= ring.bytes <= 2 * held
    if count == 50:
        assert held - ring.lines * (100 + len(TIME % 0) + 5 * multiline) < 40 * ring.lines


def test_where_lines_end_is_counted_where_it_is_kept() -> None:
    plain, multiline = chunk(1, *["a b"] * 50), chunk(1, *["a\nb"] * 50)
    assert multiline.size >= plain.size + 4 * 50
    assert chunk(1, *["a b"] * 50, streams=["stdout", None] * 25).size >= plain.size + 50


@given(
    st.lists(st.tuples(st.text(), st.text(max_size=40), st.sampled_from([None, "stdout", "stderr"])), min_size=1),
    st.floats(0, 2e9),
)
def test_a_chunk_is_decoded_to_what_was_encoded(lines: list[tuple[str, str, str | None]], arrived: float) -> None:
    texts, times, streams = zip(*lines, strict=True)
    before = Chunk(source(), texts, times, streams, arrived)
    after = Chunk.decode(before.source, before.encode())
    assert after.lines() == before.lines()
    assert after.times() == before.times()
    assert after.streams() == before.streams()
    assert (after.arrived, after.count, after.size, after.seq, after.epoch) == (arrived, len(lines), before.size, 0, "")
    assert after.joins_cleanly == before.joins_cleanly
    assert after.encode() == before.encode()


@given(st.binary(max_size=60), st.integers(0, 200))
def test_bytes_that_are_no_chunk_are_refused(noise: bytes, cut: int) -> None:
    data = Chunk(source(), ["a", "b\nc"], ["", ""], ["stdout", "stderr"], 1.0).encode()
    with pytest.raises(ValueError, match=r"^not a chunk$"):
        Chunk.decode(source(), data[: min(cut, len(data) - 1)])
    with pytest.raises(ValueError, match=r"^not a chunk$"):
        Chunk.decode(source(), data + b"x" + noise)
