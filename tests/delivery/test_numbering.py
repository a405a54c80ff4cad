from __future__ import annotations

import pytest

from delivery.cursor import Cursor
from delivery.gap import Gap
from delivery.numbering import Meaning, Numbering

RESTARTED = Gap(None, "restarted")


@pytest.mark.parametrize(
    ("seq", "line", "meaning"),
    [(7, 0, "as it is"), (6, 9, "as it is"), (7, 1, "nothing"), (8, 0, "nothing"), (1, 0, "as it is")],
)
def test_a_place_means_something_up_to_the_next_number(seq: int, line: int, meaning: str) -> None:
    cursor = Cursor("e", seq, line)
    expected = Meaning(cursor, None) if meaning == "as it is" else Meaning(None, RESTARTED)
    assert Numbering("e").meaning(cursor, 7) == expected


def test_a_cursor_of_another_numbering_means_nothing() -> None:
    numbering = Numbering("e")
    numbering.restart("f")
    assert numbering.meaning(Cursor("e", 1, 0), 7) == Meaning(None, RESTARTED)
    assert numbering.meaning(Cursor("f", 1, 0), 7) == Meaning(Cursor("f", 1, 0), None)


def test_skipped_numbers_are_doubtful_until_the_numbering_starts_anew() -> None:
    numbering, cursor = Numbering("e"), Cursor("e", 5, 0)
    numbering.skip(4, 6)
    assert numbering.meaning(cursor, 7) == Meaning(cursor, RESTARTED)
    numbering.restart("e")
    assert numbering.meaning(cursor, 7) == Meaning(cursor, None)


def test_a_cursor_that_is_doubtful_is_told_of_a_loss_and_goes_on_where_it_was() -> None:
    cursor = Cursor("e", 5, 0)
    assert Numbering("e").meaning(cursor, 9, is_doubtful=True) == (cursor, Gap(None, "evicted"))
    assert Numbering("e").meaning(cursor, 5 - 1, is_doubtful=True) == (None, Gap(None, "restarted"))
