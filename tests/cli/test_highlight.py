from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import BadInput
from cli.highlight import Highlighter

_ON, _OFF = "\x1b[1;31m", "\x1b[0m"
_GREEN, _BOLD = "\x1b[32m", "\x1b[1m"


@pytest.mark.parametrize(
    ("patterns", "text", "marked"),
    [
        (["b"], "abcb", f"a{_ON}b{_OFF}c{_ON}b{_OFF}"),
        (["a", "(?i)B|C"], "abd", f"{_ON}a{_OFF}{_ON}b{_OFF}d"),
        (["é漢"], "xé漢x", f"x{_ON}é漢{_OFF}x"),
        (["x*"], "ab", "ab"),
        (["b\\s*|d"], f"{_GREEN}ab\ncd e", f"{_GREEN}a{_ON}b{_OFF}{_GREEN}\nc{_ON}d{_OFF} e"),
        (["nothing"], f"{_GREEN}some", f"{_GREEN}some"),
        (["b"], f"{_GREEN}abc{_OFF}", f"{_GREEN}a{_ON}b{_OFF}{_GREEN}c{_OFF}"),
        (["ab"], f"a{_GREEN}bc", f"{_ON}ab{_OFF}{_GREEN}c"),
        (["b"], f"{_GREEN}{_BOLD}a{_OFF}b", f"{_GREEN}{_BOLD}a{_OFF}{_ON}b{_OFF}{_OFF}"),
        (["ab"], f"ab{_GREEN}", f"{_ON}ab{_OFF}{_GREEN}"),
    ],
)
def test_matches_are_marked_and_the_colours_of_a_line_go_on(patterns: list[str], text: str, marked: str) -> None:
    assert Highlighter(patterns).mark(text) == marked


@given(st.text(st.sampled_from(f"ab{_GREEN}")), st.sampled_from(["a", "ab", "b+", "m", "[0-9]"]))
def test_marks_leave_the_text_as_it_was(text: str, pattern: str) -> None:
    sgr = re.compile(r"\x1b\[[0-9;:]*m")
    assert sgr.sub("", Highlighter([pattern]).mark(text)) == sgr.sub("", text)


@pytest.mark.parametrize("pattern", ["(", "a**", "(?<=x)y", "\\1", "a)(?:b", "\ud800"])
def test_a_pattern_that_cannot_be_used_is_named(pattern: str) -> None:
    with pytest.raises(BadInput, match=r"--highlight .* is not a usable pattern: ."):
        Highlighter(["fine", pattern])


def test_no_line_takes_long() -> None:
    hostile = "\x1b[1m" * 50_000 + "a" * 100_000
    started = time.process_time()
    marked = Highlighter(["(a|a)*b", "a"]).mark(hostile)
    assert len(marked) < 10_000_000
    assert time.process_time() - started < 2
