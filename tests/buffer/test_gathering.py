"""The clock stands still but for what a test adds to `time`."""

from __future__ import annotations

from typing import Any

from buffer.gathering import Gathering


class Turns:
    """Turns of an event loop, and something that there is more and more of."""

    def __init__(self) -> None:
        self.count = 1
        self.time = 100.0
        self.done: list[int] = []  # how much there was
        self._soon: list[tuple[Any, ...]] = []
        self.gathering = Gathering(
            lambda: self.count, lambda: self.done.append(self.count), call_soon=self._call_soon, time=lambda: self.time
        )

    def _call_soon(self, *call: Any) -> None:
        self._soon.append(call)

    def turn(self, times: int) -> None:
        for _ in range(times):
            calls, self._soon = self._soon, []
            for function, *given in calls:
                function(*given)


def test_it_is_done_some_turns_after_the_last_has_come() -> None:
    turns = Turns()
    turns.gathering.begin()
    for _ in range(3):
        turns.turn(3)
        turns.gathering.begin()  # which changes nothing
        turns.count += 1
    assert turns.done == []
    turns.turn(10)
    assert turns.done == [4]


def test_it_is_done_after_a_while_although_more_keeps_coming() -> None:
    turns = Turns()
    turns.gathering.begin()
    for _ in range(100):
        turns.turn(1)
        turns.count += 1
    assert turns.done == []
    turns.time += 0.005
    turns.turn(1)
    assert turns.done == [101]


def test_it_can_be_done_more_than_once() -> None:
    turns = Turns()
    for number in (1, 2):
        turns.gathering.begin()
        turns.turn(10)
        assert len(turns.done) == number
