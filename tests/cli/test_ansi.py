from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.ansi import harmless, harmless_json, notice

_TEXT = st.text(st.sampled_from("ab\t\n\r\x00\x1b[]0;1m\x07\x08\x7f\x9b\x85é漢") | st.characters())
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢\t\n", "plain é 漢\t\n"),
        ("\x1b[2Jgone", "␛[2Jgone"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("nul\x00 back\x08 del\x7f", "nul␀ back␈ del␡"),
        ("\x9b2J", "\\x9b2J"),
        ("10%\r20%", "10%␍20%"),
        ("windows\r\nlines\r", "windows\nlines"),
        ("\x1b[31mred\x1b[0m", "red"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_colours_stay_where_they_may() -> None:
    assert harmless("\x1b[1;38;5;9mred\x1b[m\x1b[K", coloured=True) == "\x1b[1;38;5;9mred\x1b[m␛[K"


@given(_TEXT)
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    assert _OBEYED.search(harmless(text)) is None


@given(_TEXT)
def test_only_colours_are_left_that_a_terminal_obeys(text: str) -> None:
    assert _OBEYED.search(re.sub(r"\x1b\[[0-9;:]*m", "", harmless(text, coloured=True))) is None


@given(_TEXT)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    once = harmless(text)
    assert harmless(once) == once


def test_json_says_the_same_in_other_letters() -> None:
    assert harmless_json('"a\x9b\x7f"') == '"a\\u009b\\u007f"'


def test_a_notice_ends_its_own_colour() -> None:
    assert notice("x") == "\x1b[1;33mx\x1b[0m"
