from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.cursor import BadCursor, Cursor, cursor_after
from tests.buffer.factories import EPOCH, chunk


@given(st.integers(1, 16**15 - 2), st.integers(1, 20), st.data())
def test_a_cursor_that_was_given_out_names_the_next_line(seq: int, count: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, count - 1))
    cursor = Cursor.parse(cursor_after(chunk(seq, *["x"] * count), index).decode())
    assert cursor == ((EPOCH, seq + 1, 0) if index == count - 1 else (EPOCH, seq, index + 1))


@given(st.text(max_size=12) | st.from_regex(r"[0-9a-z]{0,3}-[0-9a-f]{0,3}-[0-9a-f]{0,3}\n?", fullmatch=True))
def test_any_text_is_a_cursor_or_a_bad_one(text: str) -> None:
    try:
        epoch, seq, line = Cursor.parse(text)
    except BadCursor:
        return
    parts = text.split("-")
    assert text.strip() == text
    assert (parts[0], int(parts[1], 16), int(parts[2], 16)) == (epoch, seq, line)


@pytest.mark.parametrize(
    "text",
    [
        "", "e1", "e1-1", "e1-1-", "-1-1", "e1-1-1-1", "e1--1-1", "e1-1-1\n", " e1-1-1", "E1-1-1", "e1-G-1", "e1-1-0x1",
        "e1-\N{ARABIC-INDIC DIGIT ONE}-1", "e1-1_0-1", f"{'e' * 33}-1-1", f"e1-{'1' * 16}-1", f"e1-1-{'1' * 9}",
    ],
)  # fmt: skip
def test_what_is_not_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor, match=r"^cursor is not one that this server has given out$"):
        Cursor.parse(text)


def test_the_highest_cursor_stays_below_what_64_bits_hold() -> None:
    assert Cursor.parse(f"e1-{'f' * 15}-{'f' * 8}").seq < 2**63
