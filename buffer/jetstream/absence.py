"""Absence: a time in which the leader was out of reach, and what may have come and gone meanwhile without a trace.

What a stream lets go of for its age, or to stay within its bytes, is what it has had for the longest. So as long as it
holds something from before the absence, it holds all that came after it; messages that are kept for a shorter time have
farewells that outlive them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from buffer.jetstream.stream import StreamSettings, StreamState


class Absence(NamedTuple):
    """The highest number that was known before, and when it began, in seconds of the loop's clock."""

    last: int
    began: float
    settings: StreamSettings

    def hides(self, state: StreamState, now: float) -> bool:
        """Tell whether lines may have come and gone; then nothing is left in the stream that was known before."""
        if not self.last or state.first_seq <= self.last + 1:
            return False
        # Where nobody writes, all that is left may be an epoch that has been written again.
        return now - self.began > self.settings.max_age or 2 * state.bytes > self.settings.max_bytes
