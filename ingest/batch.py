"""Batches: what every decoder returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from buffer.source import Source


class Run(NamedTuple):
    """Consecutive lines of one source, in the order of the body; the lists are of one length.

    A text may end in a newline. Times are RFC 3339 as they were sent, "" when unknown.
    """

    source: Source
    texts: list[str]
    times: list[str]
    streams: list[str | None]


class Batch(NamedTuple):
    """What was read of a body in one step, maybe nothing.

    `skipped` counts records without usable text or namespace, and those that could not be read; where nobody knows
    where one of these ends, the number of all that follow is estimated. `contradicted` counts lines whose metadata
    named another source than the tag; they have the tag's.
    """

    runs: list[Run]
    skipped: int
    contradicted: int = 0


class Decoder(Protocol):
    """Reads the body of a request, decompressed, with the help of its headers."""

    def __call__(self, body: bytes, headers: Mapping[str, str], /) -> Iterable[Batch]:
        """Return what the body holds, in steps of bounded work. Raises Undecodable if it holds no records at all."""
