"""Fluent Bit's MessagePack: entries one after the other, read apart without recursion.

An entry is `[[time, {metadata}], {record}]`, in 1.9 `[time, {record}]`, or a bare record. The time is an
extension of type 0, eight bytes of seconds and nanoseconds (Fluentd's EventTime), or a number.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ingest.fluentbit import repair

if TYPE_CHECKING:
    from collections.abc import Iterator

# Beyond this, a record is not made into Python objects before its values have been counted.
LARGE = 256 << 10
_MOST_VALUES = 200_000
_DEEP = 64
# How many values may be read in vain before the rest is given up, and what an attempt counts for at least.
_PATIENCE, _ATTEMPT = 1_000_000, 20
# The seconds of the markers around a group of records (Fluent Bit's log groups): -1 and -2.
_GROUP_MARKERS = frozenset((0xFFFFFFFF, 0xFFFFFFFE))
_MARKED = b"\xff\xff\xff"
_TIME_HEAD = b"\xd7\x00"
_TIME_BYTES = len(_TIME_HEAD) + 8
# As much of a record's start is the same for all of an hour: its first key, and of its time the date.
_ALIKE = 20
_START = re.compile(rb"(?:\x92|\xdc\x00\x02|\xdd\x00\x00\x00\x02){1,2}\xd7\x00")
_LONGEST_START = 12
_PAIRS = (b"\x92", b"\xdc\x00\x02", b"\xdd\x00\x00\x00\x02")
# It starts with what is fixed, so that the search is quick.
_TIME_OF_ENTRY = re.compile(rb"\xd7\x00(?<=[\x92\x02]\xd7\x00)")
# Headers of byte strings; text of some languages has these bytes as well, so this only rules them out.
_MAY_HOLD_BYTES = re.compile(rb"[\xc4-\xc6]")


class MalformedError(ValueError):
    """Bytes that are not MessagePack, found after so many values."""

    def __init__(self, values: int = 0) -> None:
        super().__init__(values)
        self.values = values

    def __str__(self) -> str:
        return f"not MessagePack after {self.values} values"


class Entry(NamedTuple):
    """One entry: where its time and its record are in the body; a bare record has no time."""

    head: msgspec.Raw | None
    record: msgspec.Raw


def _shapes() -> list[tuple[int, int, int]]:
    """List for every first byte: bytes of its length field, bytes that follow anyway, values that follow."""
    shapes = [(0, 0, 0)] * 256
    for size in range(16):
        shapes[0x80 + size] = (0, 0, 2 * size)
        shapes[0x90 + size] = (0, 0, size)
    for size in range(32):
        shapes[0xA0 + size] = (0, size, 0)
    for first, width in ((0xC4, 1), (0xC5, 2), (0xC6, 4), (0xD9, 1), (0xDA, 2), (0xDB, 4)):
        shapes[first] = (width, 0, 0)
    for first, width in ((0xC7, 1), (0xC8, 2), (0xC9, 4)):
        shapes[first] = (width, 1, 0)
    for first, size in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True):
        shapes[first] = (0, size, 0)
    for first, size in zip(range(0xD4, 0xD9), (2, 3, 5, 9, 17), strict=True):
        shapes[first] = (0, size, 0)
    for first, width, values in ((0xDC, 2, 1), (0xDD, 4, 1), (0xDE, 2, 2), (0xDF, 4, 2)):
        shapes[first] = (width, 0, values)
    return shapes


_SHAPES = _shapes()
_NEVER_USED = 0xC1


def _header(body: bytes, position: int) -> tuple[int, int, int]:
    """Return where the payload starts, where it ends, and how many values follow it."""
    if position >= len(body) or body[position] == _NEVER_USED:
        raise MalformedError
    width, size, values = _SHAPES[body[position]]
    start = position + 1 + width
    if width:
        number = int.from_bytes(body[position + 1 : start], "big")
        if values:
            values *= number
        else:
            size += number
    if start + size > len(body):
        raise MalformedError
    return start, start + size, values


def end_of(body: bytes, position: int) -> int:
    """Return where the value that starts here ends. Raises MalformedError, also for far too many values."""
    pending, steps = 1, 0
    try:
        while pending and steps < _MOST_VALUES:
            _, position, values = _header(body, position)
            pending += values - 1
            steps += 1
    except MalformedError as error:
        raise MalformedError(steps) from error
    if pending:
        raise MalformedError(steps)
    return position


def is_map(first: int) -> bool:
    """Tell whether a value with this first byte is a map."""
    return 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)


def _is_array(first: int) -> bool:
    return 0x90 <= first <= 0x9F or first in (0xDC, 0xDD)


def _entry(body: bytes, position: int) -> tuple[Entry, int]:
    start, _, values = _header(body, position)
    if is_map(body[position]):
        end = end_of(body, position)
        return Entry(None, msgspec.Raw(body[position:end])), end
    if not _is_array(body[position]) or values != 2:
        raise MalformedError
    middle = end_of(body, start)
    if middle >= len(body) or not is_map(body[middle]):
        raise MalformedError
    end = end_of(body, middle)
    return Entry(msgspec.Raw(body[start:middle]), msgspec.Raw(body[middle:end])), end


def _refuse_remains(body: bytes, position: int, entry: Entry, end: int, *, bare: bool) -> None:
    """Raise MalformedError if other entries start inside this one: a damaged length made it swallow them."""
    if entry.head is None and not bare:
        raise MalformedError
    own = _START.match(body, position)
    if 0 <= _next_start(body, own.end() if own else position + 1, end + _LONGEST_START) < end:
        raise MalformedError


def _next_start(body: bytes, position: int, end: int) -> int:
    """Return where the next entry with an EventTime seems to start; -1 if there is none."""
    time = _TIME_OF_ENTRY.search(body, position, end)
    if time is None:
        return -1
    start = time.start()
    for head in (*_PAIRS, *_PAIRS):
        if start - len(head) >= position and body.startswith(head, start - len(head)):
            start -= len(head)
    return start


def counts(body: bytes) -> Iterator[int]:
    """Yield guesses of how many entries there are, the cheapest first; none if there is no first entry with a time.

    What comes again with each entry is counted: the start of the first record, or the start of the first entry. The
    former is longer and found more quickly, but not all records need to start alike.
    """
    time = body.find(_TIME_HEAD, 0, 16)
    if time > 0:
        record = time + _TIME_BYTES
        yield body.count(body[record : record + _ALIKE])
        yield body.count(body[: time + len(_TIME_HEAD)])


def array_of(body: bytes, count: int) -> bytes:
    """Return a body of so many entries as one array.

    If the array decodes, the count was right: a wrong one leaves bytes over, or runs out of them.
    """
    return b"\xdd" + count.to_bytes(4, "big") + body


def entries(body: bytes) -> Iterator[Entry | None]:
    """Yield every entry that can be read, in order; None for each broken place."""
    position, broken, vain, bare = 0, False, 0, True
    while position < len(body):
        try:
            entry, end = _entry(body, position)
            _refuse_remains(body, position, entry, end, bare=bare)
        except MalformedError as error:
            if position == 0 and _is_array(body[0]) and not _START.match(body):
                # One array around all the entries: they follow its header.
                position = _header(body, 0)[0] if len(body) > 4 else len(body)
                continue
            vain += _ATTEMPT + error.values
            if not broken:
                yield None
            own = _START.match(body, position)
            start = _next_start(body, own.end() if own else position + 1, len(body))
            if start < 0 or vain > _PATIENCE:
                return
            broken, position = True, start
        else:
            yield entry
            # Bare records come alone; among entries with a time they would be the rest of a damaged one.
            position, broken, vain, bare = end, False, 0, bare and entry.head is None


def time_parts(head: msgspec.Raw | None) -> tuple[int, int] | float | None:
    """Return an entry's time as seconds and nanoseconds, or as a number; None if it has none."""
    data = bytes(head or b"")
    if data and _is_array(data[0]):
        data = data[_header(data, 0)[0] :]
    # The extension in its short form, or with its length spelt out.
    for start in (_TIME_HEAD, b"\xc7\x08\x00"):
        if data.startswith(start) and len(data) >= len(start) + 8:
            seconds, nanoseconds = struct.unpack_from(">II", data, len(start))
            return seconds, nanoseconds
    value = _plain(data, 0, 0)[0] if data and (data[0] < 0x80 or data[0] in _NUMBERS) else None
    return value if isinstance(value, int | float) else None


def is_group_marker(head: msgspec.Raw | None) -> bool:
    """Tell whether an entry only marks the start or the end of a group: it is no record."""
    parts = time_parts(head) if head is not None and _MARKED in bytes(head) else None
    return isinstance(parts, tuple) and parts[0] in _GROUP_MARKERS


def as_json(record: bytes) -> bytes:
    """Return a record as JSON, whatever its strings hold. Raises MalformedError."""
    if len(record) <= LARGE and not _MAY_HOLD_BYTES.search(record):
        try:
            return msgspec.json.encode(msgspec.msgpack.decode(record))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, ValueError):
            pass
    end_of(record, 0)
    return msgspec.json.encode(_plain(record, 0, 0)[0])


def _plain(body: bytes, position: int, depth: int) -> tuple[Any, int]:
    """Return a value and where it ends; bytes become text, what is too deep or has no meaning becomes None."""
    first = body[position]
    start, end, values = _header(body, position)
    if values and depth >= _DEEP:
        return None, end_of(body, position)
    if is_map(first):
        return _plain_map(body, start, values, depth)
    if _is_array(first):
        items = []
        for _ in range(values):
            item, end = _plain(body, end, depth + 1)
            items.append(item)
        return items, end
    return _scalar(first, body[start:end]), end


def _plain_map(body: bytes, position: int, values: int, depth: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    for _ in range(values // 2):
        key, position = _plain(body, position, depth + 1)
        members[str(key)], position = _plain(body, position, depth + 1)
    return members, position


def _scalar(first: int, payload: bytes) -> bool | float | str | None:
    if 0xA0 <= first <= 0xBF or first in _TEXTS:
        return repair.text_of(payload)
    if first in _NUMBERS:
        number: float = struct.unpack(_NUMBERS[first], payload)[0]
        return number
    if first < 0x80 or first >= 0xE0:
        return first if first < 0x80 else first - 0x100
    return {0xC2: False, 0xC3: True}.get(first)


_TEXTS = frozenset((0xC4, 0xC5, 0xC6, 0xD9, 0xDA, 0xDB))
_FORMATS = ((0xCA, ">f"), (0xCB, ">d"), (0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q"))
_NUMBERS = dict((*_FORMATS, (0xD0, ">b"), (0xD1, ">h"), (0xD2, ">i"), (0xD3, ">q")))
