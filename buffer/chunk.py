"""Chunks: consecutive lines of one source that arrived in one request, kept compactly.

The text of all lines is one bytes object, joined by newlines. Only a chunk in which some line holds a newline
of its own also keeps where each line ends. Times stay the text that was sent: nanoseconds and offset survive,
and ingest, which has many more lines than anyone will ask the time of, does not pay for parsing them.
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING

from buffer.timestamp import TIMESTAMP, rfc3339, unix_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from buffer.source import Source

# A chunk is the unit of eviction and of writing to a reader, so neither its text nor what it renders to may be large.
CHUNK_BYTES = 64 * 1024
CHUNK_LINES = 1024

# What CPython keeps for a chunk beside text and times: its slots, the heads of its two bytes objects, three numbers,
# its places in the ring's two chunk_lists and in the ring's heap.
CHUNK_OVERHEAD = 480

_STREAMS: dict[str | None, int] = {None: 0, "stdout": 1, "stderr": 2}
_STREAM_NAMES = (None, "stdout", "stderr")


class Chunk:
    """Consecutive lines of one source. Immutable once a broker has numbered it.

    `seq` is the broker's sequence number (0: not numbered yet), `arrived` Unix seconds, `count` the number of
    lines, `text` their UTF-8, `size` the bytes of memory the chunk takes.
    """

    __slots__ = ("_ends", "_streams", "_times", "arrived", "count", "seq", "size", "source", "text")

    def __init__(
        self,
        source: Source,
        texts: Sequence[str],
        times: Sequence[str],
        streams: Sequence[str | None],
        arrived: float,
    ) -> None:
        self.seq = 0
        self.source = source
        self.arrived = arrived
        self.count = len(texts)
        self.text, self._ends = _join(texts)
        joined = "\n".join(times)
        if joined.count("\n") != len(times) - 1:
            joined = "\n".join("" if "\n" in time else time for time in times)
        self._times = joined.encode("utf-8", "replace")
        # Nearly always all lines of a chunk went to the same stream: then one small number says so.
        codes = {_STREAMS.get(stream, 0) for stream in set(streams)}
        self._streams: int | bytes = (
            codes.pop() if len(codes) == 1 else bytes(_STREAMS.get(stream, 0) for stream in streams)
        )
        self.size = CHUNK_OVERHEAD + len(self.text) + len(self._times)
        if self._ends is not None:
            self.size += 64 + self._ends.itemsize * self.count
        if isinstance(self._streams, bytes):
            self.size += 33 + self.count

    def lines(self) -> list[bytes]:
        """Return the text of each line."""
        if self._ends is None:
            return self.text.split(b"\n")
        text, start, lines = self.text, 0, []
        for end in self._ends:
            lines.append(text[start:end])
            start = end + 1
        return lines

    @property
    def joins_cleanly(self) -> bool:
        """Whether no line holds a newline, so that `text` is the lines joined by newlines, and nothing else."""
        return self._ends is None

    def times(self) -> list[bytes]:
        """Return the RFC 3339 time of each line; the time of arrival stands in for a missing or odd one."""
        times = self._times.split(b"\n")
        fallback = rfc3339(self.arrived).encode()
        return [time if TIMESTAMP.fullmatch(time) else fallback for time in times]

    @property
    def first_time(self) -> bytes:
        """The RFC 3339 time of the first line, or of arrival."""
        return self._or_arrival(self._times.partition(b"\n")[0])

    @property
    def last_time(self) -> bytes:
        """The RFC 3339 time of the last line, or of arrival."""
        return self._or_arrival(self._times.rpartition(b"\n")[2])

    def _or_arrival(self, time: bytes) -> bytes:
        return time if TIMESTAMP.fullmatch(time) else rfc3339(self.arrived).encode()

    def first_since(self, when: float) -> int | None:
        """Return the index of the first line that is not older than that time, in Unix seconds; None if all are."""
        # Lines of a chunk follow each other in time: if the last is too old, so are all.
        last = self._times.rpartition(b"\n")[2]
        if TIMESTAMP.fullmatch(last) and unix_seconds(last) < when:
            return None
        return next((index for index, time in enumerate(self.times()) if unix_seconds(time) >= when), None)

    def streams(self) -> list[str | None]:
        """Return the output stream of each line: stdout, stderr, or None where it is not known."""
        if isinstance(self._streams, int):
            return [_STREAM_NAMES[self._streams]] * self.count
        return [_STREAM_NAMES[code] for code in self._streams]


def pack(
    source: Source,
    texts: Sequence[str],
    times: Sequence[str],
    streams: Sequence[str | None],
    *,
    arrived: float,
    max_line_bytes: int,
) -> Iterator[Chunk]:
    """Yield chunks that hold the lines in order.

    One trailing newline is taken off each text, and a line of more than `max_line_bytes` bytes is cut and says so.
    `times` are RFC 3339 or empty; `arrived` is in Unix seconds.
    """
    # UTF-8 takes at most four bytes a character, hence what is short enough in characters needs no exact count.
    characters, count = sum(map(len, texts)), len(texts)
    if 4 * characters > max_line_bytes:
        texts = [_cut(text, max_line_bytes) if 4 * len(text) > max_line_bytes else text for text in texts]
        characters = sum(map(len, texts))
    step = min(CHUNK_LINES, count * CHUNK_BYTES // max(characters, 1))
    if step >= count or count <= 1:
        if count:
            yield Chunk(source, texts, times, streams, arrived)
        return
    step = max(step, 1)
    for start in range(0, count, step):
        part = slice(start, start + step)
        # A part with the long lines of a mixed lot may still be too large: then it is divided again.
        yield from pack(source, texts[part], times[part], streams[part], arrived=arrived, max_line_bytes=max_line_bytes)


def _join(texts: Sequence[str]) -> tuple[bytes, array[int] | None]:
    """Return the joined UTF-8 and, only where a line holds a newline, where each line ends."""
    if "\n" not in "".join(texts):  # several times quicker than to count them in what is joined by them
        return "\n".join(texts).encode(), None
    texts = [text.removesuffix("\n") for text in texts]
    joined = "\n".join(texts)
    if joined.count("\n") == len(texts) - 1:
        return joined.encode(), None
    lines = [text.encode() for text in texts]
    ends = accumulate(lines, lambda end, line: end + 1 + len(line), initial=-1)
    next(ends)
    return b"\n".join(lines), array("I", ends)


def _cut(text: str, max_bytes: int) -> str:
    """Return the text in at most `max_bytes` bytes of UTF-8, one trailing newline aside."""
    data = text.removesuffix("\n").encode()
    if len(data) <= max_bytes:
        return text
    # The notice's own length changes with the number in it: leave room for the longest.
    room = max_bytes - len(_cut_notice(len(data)))
    kept = data[: max(room, 0)].decode("utf-8", "ignore")
    return kept + _cut_notice(len(data) - len(kept.encode()))


def _cut_notice(dropped: int) -> str:
    return f" [logurt] {dropped} bytes cut: the line was too long"
