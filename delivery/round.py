"""Rounds: a range goes to all live readers of a group, over several turns of the event loop where these are many."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from delivery.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from delivery.ranges import Range
    from delivery.slice import Slice

# Readers written to before the clock is looked at again.
BATCH = 512

# How long a round goes on in each turn after the first, in seconds: others have to be flushed in it, too.
ROUND_SECONDS = 0.01


class Round(NamedTuple):
    """A range that a flush has rendered, and the live readers that have yet to be written it.

    Their group counts its lines already, as if they had been.
    """

    range: Range
    unreached: dict[Reader, None]

    def leave(self, reader: Reader) -> None:
        """Note that a reader has left, which may not have been reached."""
        if reader in self.unreached:
            del self.unreached[reader]
            reader.counted -= self.range.lines


def write(readers: Mapping[Reader, None], data: bytes, time: Slice) -> tuple[Sequence[Reader], Sequence[Reader]]:
    """Write to live readers; return those that could not take all of it, and those that there was no time for."""
    if not data:
        return (), ()
    if len(readers) <= BATCH:
        return [reader for reader in readers if not reader.write(data)], ()  # nearly always
    left, full = iter(readers), list[Reader]()
    for written in range(0, len(readers), BATCH):
        if written and time.is_over():
            break
        full += [reader for reader in islice(left, BATCH) if not reader.write(data)]
    return full, list(left)
