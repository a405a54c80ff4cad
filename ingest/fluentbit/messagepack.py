"""A body of MessagePack: entries one after the other, or in one array.

An entry is `[[time, {metadata}], {record}]`, in Fluent Bit 1.9 `[time, {record}]`, or a bare record. The time is
Fluentd's EventTime (extension type 0, eight bytes of seconds and nanoseconds), or a number.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgpack
import msgspec

from ingest.fluentbit import packed
from ingest.fluentbit.budget import LARGEST_RECORD, PIECE, SHORT_RECORD, TOGETHER, WHOLE
from ingest.fluentbit.merged import SAMPLES, WORTHWHILE, columns_of_merged_entries
from ingest.fluentbit.packed import array_of, is_map
from ingest.fluentbit.repair import records_after
from ingest.fluentbit.shape import TIMED, UNTIMED, columns_of
from ingest.fluentbit.table import BROKEN, Table, lost, of_rows, pause
from ingest.fluentbit.times import times_of_events

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import TypeAlias

    from ingest.fluentbit.budget import Budget
    from ingest.fluentbit.table import Columns, Row

    # The time as it was sent, if any, with what stands beside it; and the record.
    Entry: TypeAlias = tuple[msgspec.Raw, Row]

# Entries that are decoded in one go, if they are so small.
_ENTRIES_A_PIECE = 8192
# Entries of any shape that are looked at before others get their turn.
_ENTRIES_A_TURN = 1024
# What the unpacker is given at a time.
_WINDOW = 128 << 10
# What an entry takes of the budget that has to be read by itself.
_STEPS = 4
_EVENT_TIME, _AFTER_MARK = b"\xd7\x00", 8
# With the record's own time, or with that of the entry.
_SHAPES = TIMED + UNTIMED
# What is the same in all records of a container: so much of their metadata. The more, the sooner it is counted in a
# large body; in a small one the key of the time is, and with it maybe all of an hour.
_METADATA, _SAME_METADATA = b"\xaakubernetes", 64
_TIME, _SAME_TIME, _SMALL = b"\xa4time", 20, 32 << 10

_ENTRY = msgspec.msgpack.Decoder(tuple[msgspec.Raw, dict[str, msgspec.Raw]])
_ENTRIES = msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, dict[str, msgspec.Raw]]])
_CODEC = packed.Codec()
_PAIR = msgspec.msgpack.Decoder(tuple[msgspec.Raw, msgspec.Raw])
_ROW = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])


def whole(body: bytes) -> Columns | None:
    """Decode a body that is as it should be: all records alike, and with times beside them; None for any other."""
    array = _guessed(body, _mark(body))
    return _in_one_go(array) if array else None


class Body:
    """A body of MessagePack, read from its start on. One of up to PIECE bytes is known not to be as it should be."""

    def __init__(self, body: bytes, budget: Budget) -> None:
        self._body = body
        self._budget = budget
        self._mark = _mark(body)

    def tables(self) -> Iterator[Table]:
        """Yield the records in order, as tables of bounded work."""
        is_crowded = self._body.find(self._mark, 1, SHORT_RECORD) >= 0
        position, size = 0, PIECE if is_crowded or len(self._body) > WHOLE else WHOLE
        while position < len(self._body):
            cut = self._cut(position, size)
            array = _guessed(self._body[position:cut], self._mark)
            columns = _in_one_go(array) if array and len(self._body) > PIECE else None
            if columns:
                yield Table(*columns)
            elif entries := _entries_of(array) if array else None:
                yield from self._read(entries)
            elif cut - position > PIECE:
                size = PIECE
                yield pause()
                continue
            else:
                yield from self._walked(position or _start_of_entries(self._body))
                return
            position = cut

    def _cut(self, position: int, size: int) -> int:
        """Return where an entry seems to start, so that what is before it may be decoded in one go."""
        if len(self._body) - position <= size:
            return len(self._body)
        return max(self._body.rfind(self._mark, position + 1, position + PIECE), position)

    def _walked(self, position: int) -> Iterator[Table]:
        """Yield entries from here on, of any kind; what follows a malformed one is lost."""
        walk = _Walk(self._body, position)
        while position < len(self._body):
            ends = yield from walk.ends(position)
            if not ends or self._budget.exhausted:
                yield lost(records_after(self._body, position, walk.mark))
                return
            # Only the last one can be that long.
            *others, last = ends
            if last - (others or [position])[-1] > LARGEST_RECORD:
                yield from self._piece(position, others, walk.mark)
                yield lost(1)
            else:
                yield from self._piece(position, ends, walk.mark)
            position = last

    def _piece(self, position: int, ends: list[int], mark: bytes) -> Iterator[Table]:
        """Yield entries: in one go if all are entries, or one by one."""
        if not ends:
            return
        piece = memoryview(self._body)[position : ends[-1]]
        if mark.endswith(_EVENT_TIME) and _count(piece, mark) > len(ends):
            yield from self._one_by_one(position, ends, mark)
            return
        entries = _entries_of(array_of(piece, len(ends)))
        if entries is None:
            yield from self._one_by_one(position, ends, mark)
        else:
            yield from self._read(entries)

    def _one_by_one(self, position: int, ends: list[int], mark: bytes) -> Iterator[Table]:
        for first in range(0, len(ends), TOGETHER):
            starts = [position, *ends][first : first + TOGETHER]
            found = [_entry_of(self._body[start:end], mark) for start, end in zip(starts, ends[first:], strict=False)]
            entries = [entry for entry in found if entry]
            self._budget.spend(_STEPS * len(found))
            yield lost(len(found) - len(entries))._replace(readable=bool(entries))
            yield from self._read(entries)

    def _read(self, entries: list[Entry]) -> Iterator[Table]:
        """Yield entries of any shape, but for those that only mark a group."""
        for start in range(0, len(entries), _ENTRIES_A_TURN):
            part = entries[start : start + _ENTRIES_A_TURN]
            times = packed.times_of([head for head, _ in part])
            kept = [(row, time) for (_, row), time in zip(part, times, strict=True) if time is not None]
            if not kept:
                yield pause()._replace(readable=True)
            yield from of_rows([row for row, _ in kept], [time for _, time in kept], _CODEC, self._budget)


class _Walk:
    """Finds where entries end. Each says how long it is. `mark` is what all of them start with.

    Where one is malformed, or is followed by what does not start like the first, nobody knows where the next one
    starts: text may hold any bytes, those of entries too.
    """

    def __init__(self, body: bytes, start: int) -> None:
        self._body = body
        self._view = memoryview(body)
        self._start = start
        self.mark: bytes = _mark(body, start)
        self._fed = start  # how far the unpacker knows the body
        self._unpacker = msgpack.Unpacker(max_buffer_size=len(body))
        self._is_malformed = False

    def ends(self, position: int) -> Generator[Table, None, list[int]]:
        """Return where some entries from here on end; none if the first one does not."""
        ends, end, skip, tell = list[int](), position, self._unpacker.skip, self._unpacker.tell
        while not self._is_malformed and len(ends) < _ENTRIES_A_PIECE and end - position < PIECE:
            try:
                skip()
            except msgpack.OutOfData:
                if self._fed >= len(self._body):
                    break
                self._unpacker.feed(self._view[self._fed : self._fed + _WINDOW])
                self._fed += _WINDOW
                if self._fed - position > 2 * PIECE:
                    yield pause()
                continue
            except packed.MALFORMED:
                self._is_malformed = True
                break
            end = self._start + tell()
            if end < len(self._body) and not (
                self._body.startswith(self.mark, end) if self.mark else is_map(self._body[end])
            ):
                self._is_malformed = True
                break
            ends.append(end)
        return ends


def _mark(body: bytes, position: int = 0) -> bytes:
    """Return what entries start with, by the start of the first: up to the type of its time; b"" for bare records."""
    start = body[position : position + 16]
    if not start or is_map(start[0]):
        return b""
    time = start.find(_EVENT_TIME)
    return start[: time + len(_EVENT_TIME)] if time > 0 else start[:1]


def _guessed(piece: bytes, mark: bytes) -> bytes:
    """Return entries as one array, with a guess of how many there are; b"" if there is nothing to go by.

    It takes a third of the time of looking where each ends. If the array can be decoded, the guess was right, and so
    was the cut: a wrong one leaves bytes over, or runs out of them.
    """
    if not mark.endswith(_EVENT_TIME):
        return b""
    start = piece[len(mark) + _AFTER_MARK : len(mark) + _AFTER_MARK + _SAME_TIME]
    metadata = piece.find(_METADATA, 0, _SMALL) if len(piece) > _SMALL or _TIME not in start else -1
    if metadata > 0:
        return array_of(piece, piece.count(piece[metadata : metadata + _SAME_METADATA]))
    return array_of(piece, piece.count(start) if _TIME in start else _count(piece, mark))


def _in_one_go(array: bytes) -> Columns | None:
    """Decode entries whose records are alike, or have members of the application; None for any others."""
    return _alike(array) or _merged(array)


def _alike(array: bytes) -> Columns | None:
    """Decode entries whose records are alike; None if they are not."""
    for shape in _SHAPES:
        try:
            pairs = shape.entries.decode(array)
        except BROKEN:
            continue
        records = [record for _, record in pairs]
        times = shape.times(records) if shape in TIMED else times_of_events([head for head, _ in pairs])
        if columns := columns_of(shape, records, times, _CODEC):
            return columns
    return None


def _merged(array: bytes) -> Columns | None:
    """Decode entries whose records have members of the application; None for any others."""
    if len(array) < WORTHWHILE:
        return None
    unpacker = msgpack.Unpacker()
    unpacker.feed(memoryview(array)[:WORTHWHILE])
    try:
        count = min(unpacker.read_array_header(), SAMPLES)
        start = int(unpacker.tell())
        for _ in range(count):
            unpacker.skip()
        first = _ENTRIES.decode(array_of(array[start : unpacker.tell()], count))
    except (*packed.MALFORMED, *BROKEN):
        return None
    return columns_of_merged_entries(array, [row for _, row in first], _CODEC)


def _count(body: bytes | memoryview, mark: bytes) -> int:
    return len(re.findall(re.escape(mark), body))  # quicker than bytes.count


def _entries_of(array: bytes) -> list[Entry] | None:
    """Return the entries of an array; None if not all are, or if they are very large."""
    try:
        return _ENTRIES.decode(array) if len(array) <= 2 * PIECE else None
    except BROKEN:
        return None


def _entry_of(data: bytes, mark: bytes) -> Entry | None:
    """Return a value as an entry; None if it is none, or if others start inside: a damaged length swallowed them."""
    if len(data) > LARGEST_RECORD or (mark.endswith(_EVENT_TIME) and data.find(mark, 1) > 0):
        return None
    try:
        return (msgspec.Raw(), _ROW.decode(data)) if is_map(data[0]) else _ENTRY.decode(data)
    except BROKEN:
        pass
    try:
        head, record = (msgspec.Raw(), msgspec.Raw(data)) if is_map(data[0]) else _PAIR.decode(data)
    except BROKEN:
        return None
    row = packed.row_of(bytes(record))
    return None if row is None else (head, row)


def _start_of_entries(body: bytes) -> int:
    """Return where the first entry starts: behind the header of an array around them all, if there is one."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(body[:LARGEST_RECORD])
    try:
        count = unpacker.read_array_header()
        start = int(unpacker.tell())
        if count == 2 and not is_map(body[start]):
            unpacker.skip()
            return 0 if is_map(body[unpacker.tell()]) else start
    except (*packed.MALFORMED, IndexError):
        return 0
    return start
