from __future__ import annotations

import pytest
import re2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from delivery.filter import MAX_PATTERN_CHARACTERS, MIN_LINE_BYTES, BadPattern, TextFilter
from tests.buffer.factories import chunk

PIECES = st.sampled_from(
    [
        "a", "b", " ", "^", "$", r"\b", r"\B", "(?i)", "[^a]", r"\s*", r"\S+", ".", ".*", "a?", "|", "(a|^b)", "(?:b$)",
        r"\n", "(?i:A)", "(?s)", "(?s:.)", "(?-s:.)", "(?m)", "(?m:^)", "(?U)a+", r"\A", r"\z", r"\Q^\E", r"\x41",
        r"\\", r"\\A", "(?P<n>a)", "(?<m>b)", r"[^\n]", r"[\s]$", "é", r"\pL", r"[[:^alpha:]]", "{2}", "^$",
    ]
)  # fmt: skip
PATTERNS = st.lists(PIECES, max_size=5).map("".join)
LINES = st.lists(st.text("abA \n\té\\^z", max_size=6).map(lambda text: text.removesuffix("\n")), min_size=1, max_size=6)


def naive(lines: list[str], include: list[str], exclude: list[str]) -> list[int]:
    def found(patterns: list[str], line: str) -> bool:
        return any(re2.search(pattern, line.encode()) for pattern in patterns)

    return [
        index for index, line in enumerate(lines) if (not include or found(include, line)) and not found(exclude, line)
    ]


def made(include: list[str], exclude: list[str]) -> TextFilter:
    try:
        return TextFilter(tuple(include), tuple(exclude))
    except BadPattern:
        assume(condition=False)
        raise


@settings(max_examples=600)
@given(LINES, st.lists(PATTERNS, max_size=2), st.lists(PATTERNS, max_size=1))
@example(["b", ""], ["^$"], [])
@example(["", ""], ["^$"], [])
@example(["b", "a"], [r"\Aa"], [])
@example(["a", "b"], [r"a\z"], [])
@example(["b", "", "a"], [r"\B"], [])
@example(["ab", "b"], ["(?m)^b$"], [])
@example(["a\nb", "c"], ["^b"], [])
@example(["c"], ["^[^a]$"], [])
@example(["a", "b"], ["(?i)^B$|^A$"], [])
def test_a_filter_passes_the_lines_that_each_pattern_alone_would(
    lines: list[str], include: list[str], exclude: list[str]
) -> None:
    passes = made(include, exclude)
    assert list(passes.indices(chunk(1, *(line + "\n" for line in lines)))) == naive(lines, include, exclude)


def test_no_filter_is_false_and_passes_everything() -> None:
    assert not TextFilter()
    assert list(TextFilter().indices(chunk(1, "a", "b"))) == [0, 1]


@pytest.mark.parametrize("filters", [TextFilter(("a",)), TextFilter((), ("a",))])
def test_a_filter_of_either_kind_is_true(filters: TextFilter) -> None:
    assert filters


def test_filters_of_the_same_patterns_are_equal_and_hash_alike() -> None:
    assert TextFilter(("a",), ("b",)) == TextFilter(("a",), ("b",)) != TextFilter(("b",), ("a",))
    assert hash(TextFilter(("a",))) == hash(TextFilter(("a",)))


@pytest.mark.parametrize("pattern", ["(", "a)(b", "[", "a**", r"(?=a)", r"\1", "x{9999}", "\\"])
def test_a_pattern_that_does_not_compile_is_refused_and_says_why(pattern: str) -> None:
    with pytest.raises(BadPattern, match=r"^pattern cannot be used: .+") as refused:
        TextFilter((pattern,))
    assert refused.value.pattern == pattern
    assert refused.value.problem


def test_a_pattern_may_be_so_long_and_no_longer() -> None:
    assert TextFilter(("|" * MAX_PATTERN_CHARACTERS,))
    with pytest.raises(BadPattern, match="it has 1001 characters, and 1000 are allowed"):
        TextFilter((), ("|" * (MAX_PATTERN_CHARACTERS + 1),))


@pytest.mark.parametrize("pattern", [r"[ -~\n]{999}\x01", "(a|b)*a(a|b){100}c", "x" * 300])
def test_a_pattern_that_would_be_slow_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern, match=r"it has \d+ instructions once compiled, and 300 are allowed"):
        TextFilter((), (pattern,))


@pytest.mark.parametrize("pattern", ["(a|b)*a(a|b){90}c", "x" * 290, r"(?i)error|warn(ing)?|fatal"])
def test_a_pattern_of_usual_size_is_allowed(pattern: str) -> None:
    assert TextFilter((pattern,), (pattern,))


def test_patterns_that_would_be_slow_together_are_refused() -> None:
    patterns = ("a" * 140, "b" * 140, "c" * 140)
    assert TextFilter(patterns[:2], patterns[1:])
    with pytest.raises(BadPattern, match="with those before it, it has 432 instructions once compiled"):
        TextFilter(patterns)


@given(LINES, st.lists(PATTERNS, max_size=2), st.lists(PATTERNS, max_size=1), st.integers(0, 5), st.integers(1, 6))
def test_a_filter_passes_the_same_lines_part_by_part(
    lines: list[str], include: list[str], exclude: list[str], start: int, count: int
) -> None:
    passes, stop = made(include, exclude), min(start + count, len(lines))
    whole = chunk(1, *(line + "\n" for line in lines))
    found = list(passes.indices(whole, start, max(start, stop)))
    assert found == [index for index in passes.indices(whole) if start <= index < stop]


@pytest.mark.parametrize("place", [MIN_LINE_BYTES - 1, 200_000])
def test_simple_patterns_look_at_all_of_a_long_line(place: int) -> None:
    lines = ["x" * place + "y" + "x" * 1000, "x" * 200_000]
    assert list(TextFilter(("y",)).indices(chunk(1, *lines))) == [0]
    assert list(TextFilter((), ("y",)).indices(chunk(1, *lines))) == [1]


@pytest.mark.parametrize(("place", "found"), [(MIN_LINE_BYTES - 100, [0]), (MIN_LINE_BYTES + 100, [])])
@pytest.mark.parametrize("short", [[], ["short"]])
def test_complex_patterns_look_at_the_beginning_of_a_long_line(place: int, found: list[int], short: list[str]) -> None:
    pattern = TextFilter(("y" + "(a|b)?" * 60,), ("z" * 200,))
    assert list(pattern.indices(chunk(1, "x" * place + "y" + "x" * 1000, *short))) == found


@pytest.mark.parametrize(("patterns", "least", "most"), [((), 0, 0), (("error",), 640_000, 1_000_000)])
def test_work_grows_with_patterns_text_and_lines(patterns: tuple[str, ...], least: int, most: int) -> None:
    assert least <= TextFilter(patterns).work(64 * 1024, 640) <= most


def test_a_pattern_that_takes_exponential_time_elsewhere_is_answered() -> None:
    assert not TextFilter(("(a*)*(a*)*(a*)*b$",)).indices(chunk(1, "a" * 50_000))


def test_a_pattern_that_outgrows_its_memory_still_answers_rightly() -> None:
    line = "ab" * 4000
    assert list(TextFilter(("a[ab]{60}z",)).indices(chunk(1, line, line + "ab" * 40 + "z"))) == naive(
        [line, line + "ab" * 40 + "z"], ["a[ab]{60}z"], []
    )
