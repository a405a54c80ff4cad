from __future__ import annotations

import pytest

from delivery.histogram import Histogram
from handlers.lateness import INTERVAL_SECONDS, Lateness
from tests.delivery.doubles import Clock


class Watch:
    """A lateness that has been started, and the clock that it looks at."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.waits = Histogram((0.1,))
        self.lateness = Lateness(self.waits, monotonic=self.clock.monotonic, call_later=self.clock.call_later)
        self.lateness.start()


def test_a_loop_that_is_on_time_is_not_late() -> None:
    watch = Watch()
    watch.clock.advance(10 * INTERVAL_SECONDS + 0.001)
    assert watch.waits.counts == [10, 0]
    assert watch.waits.sum == pytest.approx(0)


def test_a_loop_that_was_held_up_is_late() -> None:
    watch = Watch()
    watch.clock.now += INTERVAL_SECONDS + 0.15  # and nothing has run meanwhile
    watch.clock.run_due()
    assert watch.waits.counts == [0, 1]
    assert watch.waits.sum == pytest.approx(0.15)


def test_nothing_is_noted_once_it_has_stopped() -> None:
    watch = Watch()
    watch.lateness.stop()
    watch.lateness.stop()
    watch.clock.advance(2 * INTERVAL_SECONDS)
    assert not sum(watch.waits.counts)
