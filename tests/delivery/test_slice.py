from __future__ import annotations

from delivery.slice import Slice
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
