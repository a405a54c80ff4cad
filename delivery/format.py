"""Formats: how a line reads, before it is framed for a transport.

Formats are values: equal ones are interchangeable, which lets readers share rendered bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from delivery.cursor import cursor_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buffer.chunk import Chunk
    from delivery.gap import Gap


class Format(Protocol):
    """How a line reads. `growth` is roughly how many bytes longer it makes a line, framing included."""

    growth: ClassVar[int]

    def payloads(self, chunk: Chunk, indices: Sequence[int] | None) -> list[bytes]:
        """Return these lines of the chunk (None: all of them), with nothing after them."""

    def gap(self, gap: Gap) -> bytes:
        """Return the notice of lost lines."""

    def live(self) -> bytes | None:
        """Return the notice that the backlog has been sent, if this format has one."""


@dataclass(frozen=True, slots=True)
class Text:
    """The text as it was written, after its time and its source if asked for."""

    growth: ClassVar[int] = 40

    timestamps: bool = False
    prefix: bool = False

    def payloads(self, chunk: Chunk, indices: Sequence[int] | None) -> list[bytes]:
        """Return these lines as UTF-8."""
        lines = _pick(chunk.lines(), indices)
        if self.prefix:
            prefix = f"{chunk.source.pod}/{chunk.source.container} ".encode()
            lines = [prefix + line for line in lines]
        if self.timestamps:
            lines = [time + b" " + line for time, line in zip(chunk.times(indices), lines, strict=True)]
        return lines

    def gap(self, gap: Gap) -> bytes:
        """Return a sentence for people to read."""
        return str(gap).encode()

    def live(self) -> bytes | None:
        """Return None: text has no notice for that."""
        return None


@dataclass(frozen=True, slots=True)
class Json:
    """One object for each line, with the cursor to resume from."""

    growth: ClassVar[int] = 200

    def payloads(self, chunk: Chunk, indices: Sequence[int] | None) -> list[bytes]:
        """Return these lines as JSON objects."""
        encode, source = msgspec.json.encode, chunk.source
        middle = b'","pod":%s,"container":%s,"stream":' % (encode(source.pod), encode(source.container))
        places = range(chunk.count) if indices is None else indices
        streams, lines = chunk.streams(), chunk.lines()
        return [
            b'{"type":"line","cursor":"%s","timestamp":"%s%s%s,"log":%s}'
            % (
                cursor_after(chunk, at),
                time,
                middle,
                encode(streams[at]),
                encode(lines[at].decode()),
            )
            for at, time in zip(places, chunk.times(indices), strict=True)
        ]

    def gap(self, gap: Gap) -> bytes:
        """Return the gap as an object."""
        return msgspec.json.encode({"type": "gap", "lost": gap.lost, "reason": gap.reason})

    def live(self) -> bytes | None:
        """Return the object that says that lines are live from here on."""
        return b'{"type":"live"}'


def _pick(values: list[bytes], indices: Sequence[int] | None) -> list[bytes]:
    return values if indices is None else [values[index] for index in indices]
