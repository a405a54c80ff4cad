from __future__ import annotations

from delivery.slice import LoopSlice, Slice
from tests.delivery.doubles import Clock


def test_a_slice_is_over_once_its_seconds_have_passed() -> None:
    clock = Clock()
    time = Slice(clock.monotonic, 2)
    clock.advance(2)
    assert not time.is_over()
    clock.advance(0.1)
    assert time.is_over()


def test_a_part_of_a_slice_begins_now_and_may_end_earlier() -> None:
    clock = Clock()
    time = Slice(clock.monotonic, 10)
    clock.advance(5)
    part = time.part(2)
    clock.advance(3)
    assert (part.is_over(), time.is_over()) == (True, False)


def test_all_who_ask_in_one_turn_of_the_loop_share_a_slice() -> None:
    clock = Clock()
    loop = LoopSlice(1, monotonic=clock.monotonic, call_later=clock.call_later)
    first = loop.current()
    assert loop.current() is first
    clock.run_one()
    assert loop.current() is not first


def test_a_loop_slice_begins_when_it_is_asked_for() -> None:
    clock = Clock()
    loop = LoopSlice(1, monotonic=clock.monotonic, call_later=clock.call_later)
    clock.advance(5)
    assert not loop.current().is_over()
