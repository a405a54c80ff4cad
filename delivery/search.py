"""The search for the line that a reader begins with: by its age, by how many lines were asked for, or by both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buffer.ring import Since, Tail
from delivery.reader import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.ring import Ring
    from delivery.reader import Reader


def search(reader: Reader, ring: Ring | None, should_stop: Callable[[], bool]) -> None:
    """Go on with a reader's search for the line to begin with, until that is found or the time is up."""
    if ring is None:  # everything that was there when it joined has left
        reader.begin_at(reader.position)
        return
    group = reader.group
    if reader.state is State.SEEKING:
        assert reader.since is not None  # noqa: S101 - what the state means
        walk = Since(reader.floor, done=False)
        reader.floor, done = ring.since(reader.since, walk, group.sources, reader.position.seq, should_stop)
        if not done:
            return
        reader.state = State.COUNTING
    if reader.missing is None:
        reader.position = reader.floor
    else:
        tail = Tail(reader.position, reader.missing)
        reader.position, reader.missing = ring.tail(tail, group.sources, group.view, should_stop)
        if reader.missing and reader.position > reader.floor:
            return
        reader.position = max(reader.position, reader.floor)
    reader.begin_at(reader.position)
