from __future__ import annotations

import pytest
import re2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from delivery.filter import MAX_PATTERN_CHARACTERS, BadPattern, TextFilter
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


@settings(max_examples=600, deadline=None)
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
    with pytest.raises(BadPattern, match=r"^pattern does not compile: .+") as refused:
        TextFilter((pattern,))
    assert refused.value.pattern == pattern
    assert refused.value.problem


def test_a_pattern_may_be_so_long_and_no_longer() -> None:
    assert TextFilter(("a" * MAX_PATTERN_CHARACTERS,))
    with pytest.raises(BadPattern, match="it has 1001 characters, and 1000 are allowed"):
        TextFilter((), ("a" * (MAX_PATTERN_CHARACTERS + 1),))


def test_a_pattern_that_takes_exponential_time_elsewhere_is_answered() -> None:
    assert not TextFilter(("(a*)*(a*)*(a*)*b$",)).indices(chunk(1, "a" * 50_000))


def test_a_pattern_that_outgrows_its_memory_still_answers_rightly() -> None:
    line = "ab" * 4000
    assert list(TextFilter(("a[ab]{60}z",)).indices(chunk(1, line, line + "ab" * 40 + "z"))) == naive(
        [line, line + "ab" * 40 + "z"], ["a[ab]{60}z"], []
    )
