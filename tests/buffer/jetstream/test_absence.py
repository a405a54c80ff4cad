from __future__ import annotations

import pytest

from buffer.jetstream.absence import Absence
from buffer.jetstream.stream import StreamSettings, StreamState

SETTINGS = StreamSettings("TEST", 1, 1000, 3600, 500, 100)


@pytest.mark.parametrize(
    ("first_seq", "seconds", "held", "hides"),
    [
        (100, 4000, 900, False),  # it holds the last that was known
        (101, 4000, 900, False),  # it holds the next one
        (102, 10, 900, True),
        (102, 4000, 0, True),
        (102, 10, 300, False),  # nothing can have left for its age, nor to make room
    ],
)
def test_what_has_left_may_hide_something_if_nothing_is_left_that_was_known(
    first_seq: int, seconds: int, held: int, *, hides: bool
) -> None:
    state = StreamState(last_seq=200, first_seq=first_seq, bytes=held)
    assert Absence(100, 50.0, SETTINGS).hides(state, 50.0 + seconds) == hides


def test_to_who_knew_nothing_nothing_is_hidden() -> None:
    assert not Absence(0, 0.0, SETTINGS).hides(StreamState(last_seq=200, first_seq=102, bytes=900), 4000.0)
