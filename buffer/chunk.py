"""Chunks: consecutive lines of one source that arrived in one request, kept compactly.

A chunk is the unit of storage, of transport and of eviction. The text of all its lines is one bytes object, joined by
newlines. Only a chunk in which some line holds a newline of its own also keeps where each line ends. Times stay the
text that was sent: nanoseconds and offset survive, and ingest need not parse times that may never be asked for.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from buffer.timestamp import TIMESTAMP, TIMESTAMPS, UTC_TIMESTAMPS, rfc3339, unix_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from buffer.source import Source

# Characters of text, and lines, that one chunk holds at most, one longer line aside.
CHUNK_BYTES = 64 * 1024
CHUNK_LINES = 1024

# What CPython keeps for a chunk beside text and times: its slots, the heads of its two bytes objects, three numbers,
# its places in the ring's two chunk lists and in the ring's heap.
CHUNK_OVERHEAD = 488

_STREAMS: dict[str | None, int] = {None: 0, "stdout": 1, "stderr": 2}
_STREAM_NAMES = (None, "stdout", "stderr")

# What stands before the parts of an encoded chunk: when it arrived, how many lines it has, their stream or _MIXED, and
# the bytes of where they end, of their times and of their text. Numbers are little-endian, as on all machines in use.
_HEAD = struct.Struct("<dIBIII")
_MIXED = 255

_YEAR_10000 = 253_402_300_800


class Chunk:
    """Consecutive lines of one source. Immutable once a broker has numbered it.

    `seq` is the broker's sequence number (0: not numbered yet) and `epoch` the numbering that it belongs to, `arrived`
    Unix seconds, `count` the number of lines, `text` their UTF-8, `size` the bytes of memory that the chunk takes.
    """

    __slots__ = ("_ends", "_streams", "_times", "arrived", "count", "epoch", "seq", "size", "source", "text")

    def __init__(
        self,
        source: Source,
        texts: Sequence[str],
        times: Sequence[str],
        streams: Sequence[str | None],
        arrived: float,
    ) -> None:
        self.seq = 0
        self.epoch = ""  # set by the hub
        self.source = source
        self.arrived = arrived
        self.count = len(texts)
        self.text, self._ends = _join(texts)
        joined = "\n".join(times)
        if joined.count("\n") != len(times) - 1:
            joined = "\n".join("" if "\n" in time else time for time in times)
        self._times = joined.encode("utf-8", "replace")
        # Nearly always all lines of a chunk went to the same stream: then one small number says so.
        is_one = streams.count(streams[0]) == self.count
        self._streams: int | bytes = (
            _STREAMS.get(streams[0], 0) if is_one else bytes([_STREAMS.get(stream, 0) for stream in streams])
        )
        self.size = self._measure()

    @classmethod
    def decode(cls, source: Source, data: bytes | memoryview) -> Chunk:
        """Return the chunk of a source that `encode` has made these bytes of. Raises ValueError if they are not."""
        try:
            arrived, count, streams, ends, times, text = _HEAD.unpack_from(data)
        except struct.error:
            raise ValueError("not a chunk") from None
        sizes = (count if streams == _MIXED else 0, ends, times, text)
        bounds = list(accumulate(sizes, initial=_HEAD.size))
        if bounds[-1] != len(data) or ends not in (0, 4 * count):
            raise ValueError("not a chunk")
        parts = [bytes(data[start:stop]) for start, stop in pairwise(bounds)]
        self = cls.__new__(cls)
        self.seq, self.epoch, self.source, self.arrived, self.count = 0, "", source, arrived, count
        self._streams = parts[0] if streams == _MIXED else streams
        self._ends = array("I", parts[1]) if ends else None
        self._times, self.text = parts[2:]
        self.size = self._measure()
        return self

    def encode(self) -> bytes:
        """Return everything but the source, the number and the epoch, for disks and networks, on any machine."""
        code, streams = (_MIXED, self._streams) if isinstance(self._streams, bytes) else (self._streams, b"")
        ends = b"" if self._ends is None else self._ends.tobytes()
        head = _HEAD.pack(self.arrived, self.count, code, len(ends), len(self._times), len(self.text))
        return b"".join((head, streams, ends, self._times, self.text))

    def _measure(self) -> int:
        size = CHUNK_OVERHEAD + len(self.text) + len(self._times)
        if self._ends is not None:
            size += 64 + self._ends.itemsize * self.count
        return size + 33 + self.count if isinstance(self._streams, bytes) else size

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

    def divide(self, max_bytes: int, max_lines: int) -> list[tuple[int, int]]:
        """Divide the lines into parts of at most so many bytes and lines, or one longer line; return their bounds."""
        ends: Sequence[int] = self._ends or list(_ends(self.text.split(b"\n")))
        parts, start, offset = list[tuple[int, int]](), 0, 0
        while start < self.count:
            last = min(start + max(1, max_lines), self.count)
            stop = max(bisect_right(ends, offset + max_bytes, start, last), start + 1)
            parts.append((start, stop))
            start, offset = stop, ends[stop - 1] + 1
        return parts

    def times(self, indices: Iterable[int] | None = None) -> list[bytes]:
        """Return the RFC 3339 times of these lines (None: all); that of arrival stands in for a missing or odd one."""
        times = self._times.split(b"\n")
        if indices is not None:
            times = [times[index] for index in indices]
        elif TIMESTAMPS.fullmatch(self._times):
            return times
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
        """Return the index of the first line that is not older than that time, in Unix seconds; None if all are.

        Times may be in any order. A line without a usable time is as old as its arrival.
        """
        times: Iterable[tuple[int, bytes]]
        if UTC_TIMESTAMPS.fullmatch(self._times):
            # Comparing text rules out whatever is older by a second, some forty times quicker than parsing it would.
            second = _second_of(when)
            times = ((index, time) for index, time in enumerate(self._times.split(b"\n")) if time >= second)
        else:
            times = enumerate(self.times())
        return next((index for index, time in times if unix_seconds(time) >= when), None)

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
) -> list[Chunk]:
    """Return chunks that hold the lines in order.

    One trailing newline is taken off each text, and a line of more than `max_line_bytes` bytes is cut and says so.
    `times` are RFC 3339 or empty; `arrived` is in Unix seconds.
    """
    # A character takes at most four bytes of UTF-8, so what is short enough in characters needs no exact count.
    characters, count = sum(map(len, texts)), len(texts)
    if 4 * characters > max_line_bytes and 4 * max(map(len, texts)) > max_line_bytes:
        texts = [_cut(text, max_line_bytes) if 4 * len(text) > max_line_bytes else text for text in texts]
        characters = sum(map(len, texts))
    step = min(CHUNK_LINES, count * CHUNK_BYTES // max(characters, 1))
    if step >= count or count <= 1:
        return [Chunk(source, texts, times, streams, arrived)] if count else []
    chunks, step = list[Chunk](), max(step, 1)
    for start in range(0, count, step):
        part = slice(start, start + step)
        # The part of a mixed lot that has the long lines may still be too large: then it is divided again.
        chunks += pack(source, texts[part], times[part], streams[part], arrived=arrived, max_line_bytes=max_line_bytes)
    return chunks


def _join(texts: Sequence[str]) -> tuple[bytes, array[int] | None]:
    """Return the joined UTF-8 and, only where a line holds a newline, where each line ends."""
    if "\n" not in "".join(texts):  # several times quicker than counting those that join the lines
        return "\n".join(texts).encode(), None
    texts = [text.removesuffix("\n") for text in texts]
    joined = "\n".join(texts)
    if joined.count("\n") == len(texts) - 1:
        return joined.encode(), None
    lines = [text.encode() for text in texts]
    return b"\n".join(lines), array("I", _ends(lines))


def _ends(lines: Sequence[bytes]) -> Iterator[int]:
    """Yield where each line ends in the text of all lines, joined by newlines."""
    ends = accumulate(lines, lambda end, line: end + 1 + len(line), initial=-1)
    next(ends)
    return ends


@lru_cache(maxsize=16)
def _second_of(when: float) -> bytes:
    """Return the beginning of RFC 3339 text in UTC, down to the second; nothing for a time outside 1970 to 9999."""
    return rfc3339(when)[: len("2025-11-22T08:15:01")].encode() if 0 <= when < _YEAR_10000 else b""


def _cut(text: str, max_bytes: int) -> str:
    """Return the text in at most `max_bytes` bytes of UTF-8, one trailing newline aside."""
    data = text.removesuffix("\n").encode()
    if len(data) <= max_bytes:
        return text
    # The notice grows with the number in it: leave room for the longest.
    room = max_bytes - len(_cut_notice(len(data)))
    kept = data[: max(room, 0)].decode("utf-8", "ignore")
    return kept + _cut_notice(len(data) - len(kept.encode()))


def _cut_notice(dropped: int) -> str:
    return f" [logurt] {dropped} bytes cut: the line was too long"
