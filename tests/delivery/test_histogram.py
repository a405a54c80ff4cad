from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from delivery.histogram import Histogram


def test_a_value_is_counted_in_the_first_bucket_that_holds_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 7.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([2, 1, 1], 10.0)


@given(st.lists(st.floats(0, 100)))
def test_every_value_is_counted_once(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    expected = [0] * (len(histogram.bounds) + 1)
    for value in values:
        expected[bisect_left(histogram.bounds, value)] += 1
    assert histogram.counts == expected
