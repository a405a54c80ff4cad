"""A body of JSON: an array of records, a record a line, or one after the other with nothing between."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from ingest.fluentbit import repair
from ingest.fluentbit.budget import LARGEST_RECORD, PIECE, SHORT_RECORD, TOGETHER, WHOLE
from ingest.fluentbit.merged import SAMPLES, WORTHWHILE, columns_of_merged
from ingest.fluentbit.record import CONTAINER_KEYS, DATE_KEYS, texts_of
from ingest.fluentbit.shape import TIMED, UNTIMED, columns_of, dated
from ingest.fluentbit.table import BROKEN, Object, Table, lost, of_rows, pause

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from ingest.fluentbit.budget import Budget
    from ingest.fluentbit.shape import Shape, Shapes
    from ingest.fluentbit.table import Columns, Row

# Of a piece that is broken, a smaller one is tried, this many times smaller and no smaller than this.
_FACTOR, _SMALLEST_PIECE = 8, 8 << 10
# A large object of more members than this would take a lot of memory, were they held apart.
_CROWD, _LARGE = 50_000, 64 << 10

# Where the first record starts, and with what; and its first two keys, if there is a short value between them.
_OPENING = re.compile(rb'(\[?)[ \t\r\n]{0,4096}+(\{[ \t\r\n]{0,16}+(?:"[^"\\]{0,64}+"[ \t\r\n]{0,16}+:|\}))?')
_KEYS = re.compile(
    rb'\[?[ \t\r\n]{0,16}+\{[ \t\r\n]{0,16}+"([^"\\\x00-\x1f]{0,64}+)"[ \t\r\n]{0,16}+:[ \t\r\n]{0,16}+'
    rb'(?:"[^"\\]{0,64}+"|[^,"]{0,64}+)(?:,[ \t\r\n]{0,16}+"([^"\\]{0,64}+)")?'
)
# So much of a body shows what its first record begins with.
_BEGINNING = 16
# To decode more rows than this takes a turn of its own.
_MANY = 8192
# What stands between records, and how much of it.
_SEPARATORS, _GAP = b", \t\r\n", 16
# Places that may be where a record starts, of which each is looked at.
_GUESSES = 8

_ROWS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ROW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRINGS = msgspec.json.Decoder(list[str | Object | None])


class Codec:
    """How members of a row in JSON are encoded."""

    null = msgspec.Raw(b"null")

    def strings(self, raws: Sequence[msgspec.Raw]) -> list[str | Object | None]:
        """Decode strings, objects without their members, and null. Raises what is in BROKEN, for other values too."""
        return _STRINGS.decode(b"[%b]" % b",".join(raws))

    def texts(self, values: Sequence[msgspec.Raw | Row]) -> list[str] | None:
        """Return strings as they are, all else as JSON; None where that needs a closer look at each."""
        try:
            return texts_of(values)
        except BROKEN:
            return None

    def as_json(self, raw: msgspec.Raw) -> msgspec.Raw:
        """Return a value as JSON, which it is."""
        return raw


_CODEC = Codec()


def whole(body: bytes) -> Columns | None:
    """Decode a body that is as it should be: all records alike, nothing before them; None for any other."""
    is_array = body.startswith(b"[")
    columns = _alike(body, is_array, TIMED) or _alike(body, is_array, _shapes_without_time(body))
    if columns or not is_array or len(body) < WORTHWHILE:
        return columns
    opening = _OPENING.match(body)
    return _merged(body, opening[2] or b"") if opening else None


def _alike(data: bytes | memoryview, is_array: bool, shapes: Sequence[Shape]) -> Columns | None:  # noqa: FBT001  # quicker
    for shape in shapes:
        try:
            # It reads records with nothing between them too.
            records = shape.array.decode(data) if is_array else shape.one.decode_lines(data)
        except BROKEN:
            continue
        opening = bytes(data[:_BEGINNING]) if shape.dates else b""
        if columns := columns_of(shape, records, shape.times(records), _CODEC, opening):
            return columns
    return None


def _merged(data: bytes | memoryview, mark: bytes) -> Columns | None:
    """Decode records in which the application's members are; None for any other."""
    if not isinstance(data, bytes) or len(data) < WORTHWHILE or not mark:
        return None
    starts = [start := data.find(mark)]
    while len(starts) <= SAMPLES and start >= 0:
        starts.append(start := data.find(mark, start + 1))
    try:
        first = [_ROW.decode(data[start:end].rstrip(_SEPARATORS)) for start, end in pairwise(starts) if end > 0]
    except BROKEN:
        return None  # the mark stands inside of records too
    return columns_of_merged(data, first, _CODEC) if first else None


def _shapes_without_time(body: bytes) -> Shapes | tuple[()]:
    """Return the shapes that records without a time of their own may have, by the keys of the first."""
    found = _KEYS.match(body)
    first, second = (key.decode("utf-8", "replace") for key in found.groups(b"")) if found else ("", "")
    if first in CONTAINER_KEYS:
        return UNTIMED
    return dated(first) if first in DATE_KEYS or second in CONTAINER_KEYS else ()


class Body:
    """A body of JSON without blanks before it, read in pieces of which all records are alike, if there are such.

    One of up to PIECE bytes is known not to be as it should be.
    """

    def __init__(self, body: bytes, budget: Budget) -> None:
        self._body = body
        self._budget = budget
        opening = _OPENING.match(body)
        bracket, mark = opening.groups() if opening else (b"", None)
        self._start = opening.end(1) if opening else 0
        self._is_array = bracket == b"["
        # What all records start with if they start like the first; it may stand inside of records too.
        self._mark: bytes = mark or b""
        self._shapes = TIMED + _shapes_without_time(body)

    def tables(self) -> Iterator[Table]:
        """Yield the records in order, as tables of bounded work."""
        is_crowded = self._body.find(self._mark, self._start + 1, self._start + SHORT_RECORD) >= 0
        position, size = self._start, PIECE if is_crowded or len(self._body) > WHOLE else WHOLE
        while position < len(self._body):
            if self._budget.exhausted:
                yield lost(repair.records_after(self._body, position, self._mark))
                return
            cut = self._cut(position, size)
            found = yield from self._decoded(position, cut)
            if found is None and cut - position <= size > _SMALLEST_PIECE:
                size //= _FACTOR
                continue
            size = min(size * _FACTOR, PIECE)
            if isinstance(found, list):
                if len(found) > _MANY:
                    yield pause()
                yield from of_rows(found, [""] * len(found), _CODEC, self._budget)
            elif found:
                yield found
            else:
                cut = yield from self._repaired(position, cut)
            position = cut

    def _cut(self, position: int, size: int) -> int:
        """Return where a record seems to start, so that what is before it may be decoded in one go."""
        body, mark = self._body, self._mark
        if len(body) - position <= size:
            return len(body)
        if not mark:
            return min(position + LARGEST_RECORD, len(body))
        cut = body.rfind(mark, position + 1, position + size)
        for _ in range(_GUESSES):
            if cut < 0 or body[max(cut - _GAP, 0) : cut].rstrip(_SEPARATORS).endswith(b"}"):
                break
            cut = body.rfind(mark, position + 1, cut)
        cut = cut if cut > 0 else body.find(mark, position + size, position + LARGEST_RECORD)
        return cut if cut > 0 else min(position + LARGEST_RECORD, len(body))

    def _decoded(self, position: int, cut: int) -> Generator[Table, None, Table | list[Row] | None]:
        """Decode a piece in one go; return None if it is broken.

        If it can be decoded, its cut was where a record starts: in JSON nothing that is left open can end well.
        """
        data = self._piece(position, cut)
        for shape in self._shapes if data is not self._body or len(data) > PIECE else ():
            if columns := _alike(data, self._is_array, [shape]):
                return Table(*columns)
            if len(data) > PIECE:
                yield pause()
        if self._is_array and data is not self._body and (columns := _merged(data, self._mark)):
            return Table(*columns)
        if len(data) > 2 * PIECE:
            return None
        try:
            return _ROWS.decode(data) if self._is_array else _ROW.decode_lines(data)
        except BROKEN:
            return None

    def _piece(self, position: int, cut: int) -> bytes | memoryview:
        """Return a piece as it can be decoded; copying it takes nearly as long as that."""
        body, is_last = self._body, cut == len(self._body)
        if is_last and position <= self._start:
            return body
        if not self._is_array:
            return memoryview(body)[position:cut]
        head, tail = body[position : position + _GAP], body[max(cut - _GAP, position) : cut]
        start = position + len(head) - len(head.lstrip(_SEPARATORS))
        end = cut - len(tail) + len(tail.rstrip(_SEPARATORS))
        return b"".join((b"[", memoryview(body)[start:end], b"" if is_last else b"]"))

    def _repaired(self, position: int, until: int) -> Generator[Table, None, int]:
        """Yield what is left of a broken piece; return where the next one starts."""
        body, budget, records, size = self._body, self._budget, list[bytes](), 0
        if not self._is_array and repair.is_of_lines(body):
            pieces = repair.by_line(body, position, until, budget)
        else:
            pieces = repair.by_record(body, position, until, budget, mark=self._mark, is_array=self._is_array)
        while True:
            try:
                piece = next(pieces)
            except StopIteration as done:
                yield from self._read(records)
                return int(done.value)
            if piece is None:
                yield pause()
            elif isinstance(piece, int):
                yield from self._read(records)
                yield lost(piece)
                records, size = [], 0
            else:
                records.append(piece)
                size += len(piece)
                if size > PIECE or len(records) == TOGETHER:
                    yield from self._read(records)
                    records, size = [], 0

    def _read(self, records: list[bytes]) -> Iterator[Table]:
        """Yield records that were cut apart and mended."""
        rows = _rows_of(b"[%b]" % b",".join(records)) if records else []
        if rows is None:
            found = [_rows_of(b"[%b]" % record) for record in records]
            rows = [row for one in found if one for row in one]
            yield lost(len(records) - len(rows))
        yield from of_rows(rows, [""] * len(rows), _CODEC, self._budget)


def _rows_of(array: bytes) -> list[Row] | None:
    """Return the members of each record; None if there is one of which they cannot be told, or far too many."""
    if len(array) > _LARGE and array.count(b'":') - array.count(b'\\":') > _CROWD:
        return None
    try:
        return _ROWS.decode(array)
    except BROKEN:
        return None
