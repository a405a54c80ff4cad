from __future__ import annotations

from buffer.jetstream.held import Held


def test_a_number_that_was_held_is_not_doubtful_and_others_before_all_is_heard_are() -> None:
    held = Held()
    for number in (7, 3, 9):
        held.add(number)
    held.close(20)
    assert [number for number in range(25) if held.doubts(number)] == [1, 2, 4, 5, 6, 8, *range(10, 20)]


def test_a_number_that_comes_after_all_was_loaded_is_not_doubtful_either() -> None:
    held = Held()
    held.add(3)
    held.close(10)
    for number in (8, 5, 12):
        held.add(number)
    assert [number for number in range(15) if held.doubts(number)] == [1, 2, 4, 6, 7, 9]


def test_nothing_is_doubtful_where_everything_was_heard() -> None:
    held = Held()
    held.close(1)
    assert not any(held.doubts(number) for number in range(5))
