from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from buffer.jetstream.losses import Losses
from buffer.jetstream.message import Place
from tests.buffer.factories import source

if TYPE_CHECKING:
    import pytest

A, B = b"writer-A", b"writer-B"


def test_messages_that_follow_each_other_lose_nothing() -> None:
    losses = Losses()
    losses.fetched(1, 100)
    assert losses.see(source(), Place(A, 0, 0), 3, 10) is None
    assert losses.see(source(), Place(A, 3, 10), 2, 20) is None
    assert losses.see(source(pod="other"), Place(A, 0, 0), 2, 21) is None


def test_what_is_missing_between_two_messages_of_a_writer_is_counted() -> None:
    losses = Losses()
    losses.see(source(), Place(A, 0, 0), 3, 10)
    assert losses.see(source(), Place(A, 10, 15), 2, 20) == (15, 7)
    assert losses.see(source(), Place(A, 13, 0), 2, 30) == (29, 1)


def test_two_writers_of_a_source_are_counted_apart() -> None:
    losses = Losses()
    losses.see(source(), Place(A, 0, 0), 3, 10)
    losses.see(source(), Place(B, 0, 0), 5, 11)
    assert losses.see(source(), Place(A, 3, 10), 1, 12) is None
    assert losses.see(source(), Place(B, 9, 11), 1, 14) == (13, 4)


def test_the_message_before_the_first_that_is_held_was_lost() -> None:
    losses = Losses()
    losses.fetched(1, 101)
    assert losses.see(source(), Place(A, 40, 90), 3, 100) == (90, None)


def test_a_message_that_was_heard_before_it_was_forgotten_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.jetstream.losses.MAX_REMEMBERED", 1)
    losses = Losses()
    losses.fetched(1, 50)
    losses.see(source(), Place(A, 0, 0), 3, 60)
    losses.see(source(pod="other"), Place(A, 0, 0), 3, 61)
    assert losses.see(source(), Place(A, 3, 60), 3, 62) is None


def test_a_source_is_remembered_for_longer_than_each_of_its_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.jetstream.losses.MAX_REMEMBERED", 1)
    monkeypatch.setattr("buffer.jetstream.losses.MAX_SOURCES", 2)
    losses = Losses()
    losses.fetched(1, 50)
    losses.see(source(), Place(A, 0, 0), 3, 10)
    losses.see(source(), Place(B, 0, 0), 3, 11)
    losses.see(source(pod="other"), Place(A, 0, 0), 3, 12)
    assert losses.see(source(), Place(A, 3, 10), 3, 60) is None


def test_a_writer_that_takes_over_a_source_names_what_was_seen_last() -> None:
    losses = Losses()
    losses.fetched(1, 100)
    losses.see(source(), Place(A, 0, 0), 3, 60)
    assert losses.see(source(), Place(B, 0, 60), 3, 70) is None
    assert losses.see(source(), Place(b"writer-C", 0, 80), 3, 90) == (80, None)


def test_a_place_of_another_numbering_says_nothing() -> None:
    losses = Losses()
    losses.fetched(1, 100)
    assert losses.see(source(), Place(A, 7, 5000), 3, 60) is None


def test_many_stretches_are_joined() -> None:
    losses = Losses()
    for number in range(1, 2000, 10):
        losses.fetched(number, number + 1)
    assert losses.see(source(), Place(A, 7, 11), 3, 5000) == (11, None)
    assert losses.see(source(pod="new"), Place(A, 7, 1995), 3, 5001) is None


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=50))
def test_the_lines_that_were_evicted_between_others_add_up(messages: list[tuple[int, bool]]) -> None:
    losses, sent, previous, reported, hidden = Losses(), 0, 0, 0, 0
    missing = 0
    for number, (lines, is_evicted) in enumerate([(1, False), *messages, (1, False)], start=1):
        if is_evicted:
            hidden += lines
        else:
            loss = losses.see(source(), Place(A, sent, previous), lines, number)
            missing, hidden = missing + hidden, 0
            reported += 0 if loss is None else loss.lines or 0
        sent, previous = sent + lines, number
    assert reported == missing
