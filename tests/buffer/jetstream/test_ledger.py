from __future__ import annotations

from typing import TYPE_CHECKING

from buffer.jetstream.ledger import Ledger
from tests.buffer.factories import source

if TYPE_CHECKING:
    import pytest


def test_the_first_message_of_a_source_has_nothing_before_it() -> None:
    place = Ledger().entry(source()).place
    assert (place.lines, place.previous, len(place.writer)) == (0, 0, 8)


def test_a_message_that_is_stored_moves_the_place_of_the_next() -> None:
    ledger = Ledger()
    before = ledger.entry(source()).place
    ledger.entry(source()).add(3, 17)
    ledger.entry(source()).add(2, 19)
    assert ledger.entry(source()).place == (before.writer, 5, 19)
    assert ledger.entry(source(pod="other")).place == (before.writer, 0, 0)


def test_after_a_doubt_lines_are_counted_in_the_name_of_another_writer() -> None:
    ledger = Ledger()
    entry = ledger.entry(source())
    entry.add(3, 17)
    before = entry.place
    entry.doubt()
    assert entry.place.writer != before.writer
    assert (entry.place.lines, entry.place.previous) == (0, 17)
    entry.doubt(20)
    assert entry.place.previous == 20


def test_a_source_that_was_forgotten_may_have_any_earlier_number_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.jetstream.ledger.MAX_SOURCES", 2)
    ledger = Ledger()
    for number, pod in enumerate("abc", start=1):
        ledger.entry(source(pod=pod)).add(1, number)
    assert ledger.entry(source(pod="c")).place.previous == 3
    place = ledger.entry(source(pod="a")).place
    assert (place.lines, place.previous) == (0, 1)
    assert place.writer != ledger.entry(source(pod="c")).place.writer


def test_a_new_numbering_begins_with_another_writer() -> None:
    ledger = Ledger()
    ledger.entry(source()).add(1, 5)
    before = ledger.entry(source()).place
    ledger.clear()
    place = ledger.entry(source()).place
    assert (place.lines, place.previous) == (0, 0)
    assert place.writer != before.writer
