"""Lines of a body that cannot be decoded in one go: its records are cut apart, and each is read on its own merits."""

from __future__ import annotations

from itertools import groupby, islice
from math import isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import msgspec

from ingest.fluentbit import messagepack, metadata, record, repair
from ingest.fluentbit.record import CriRecord, Line, LogRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from buffer.source import Source

_Item = TypeVar("_Item")

# Records that are tried together first, and how few are worth it.
_TOGETHER, _FEW = 16, 1
_LARGE, _SMALLEST = 1 << 20, 64
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Object(msgspec.Struct, gc=False):
    """Any object: its members are skipped."""


_LOG_RECORDS = msgspec.json.Decoder(list[LogRecord])
_CRI_RECORDS = msgspec.json.Decoder(list[CriRecord])
_PACKED_LOG_RECORDS = msgspec.msgpack.Decoder(list[LogRecord])
_PACKED_CRI_RECORDS = msgspec.msgpack.Decoder(list[CriRecord])
_OBJECTS = msgspec.json.Decoder(list[_Object])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_ENTRIES = msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, msgspec.Raw]])


class Skipped(NamedTuple):
    """Stands in for a line where there is none.

    `skipped` is 1 for a record, or for bytes that are none; `readable` tells which.
    """

    skipped: int
    readable: bool


_SKIPPED = Skipped(1, readable=True)
_LOST = Skipped(1, readable=False)
_PAUSE = Skipped(0, readable=False)
_MARKER = Skipped(0, readable=True)
Step: TypeAlias = Line | Skipped


def is_dense(size: int, records: int) -> bool:
    """Tell whether so many records in so many bytes would take gigabytes if they were decoded in one go."""
    return size > _LARGE and records > size // _SMALLEST


def of_source(source: Source | None, records: Iterable[LogRecord | CriRecord]) -> Iterator[Step]:
    """Yield the lines of decoded records of one source; they are skipped if it is not known."""
    for item in records:
        yield Line(source, item.text, item.time, item.stream) if source else _SKIPPED


def of_json(body: bytes, tagged: Source | None) -> Iterator[Step]:
    """Yield the lines of JSON objects, and what is between them, in order but for the latter."""

    def many(items: list[bytes]) -> Iterable[LogRecord | CriRecord]:
        return _first_that_fits(b"[%b]" % b",".join(items), _LOG_RECORDS, _CRI_RECORDS)

    def one(item: bytes) -> Step:
        try:
            return record.line_of(item, "", tagged) or _SKIPPED
        except record.UnreadableError:
            return _LOST

    pieces = iter(_json_pieces(body))
    while some := list(islice(pieces, _TOGETHER)):
        objects = [piece for piece in some if piece and piece.startswith(b"{")]
        for piece in some:
            if not piece or not piece.startswith(b"{"):
                yield _PAUSE if piece == b"" else _LOST
        yield from _together(objects, many, one, lambda raw: metadata.completed(metadata.from_json(raw), tagged))


def _json_pieces(body: bytes) -> Iterable[bytes | None]:
    if is_dense(len(body), body.count(b"{")):
        return repair.objects(body)
    try:
        array = body if body.lstrip()[:1] == b"[" else repair.joined(body)
        if len(array) > _LARGE:
            # Other values than objects are too small to be counted by their braces.
            _OBJECTS.decode(array)
        return map(bytes, _RAWS.decode(array))
    except _BROKEN:
        return repair.objects(body)


def of_messagepack(body: bytes, tagged: Source | None) -> Iterator[Step]:
    """Yield the lines of MessagePack entries, and what is between them, in order but for the latter."""

    def many(items: list[messagepack.Entry]) -> Iterable[LogRecord | CriRecord]:
        packed = b"\xdd" + len(items).to_bytes(4, "big") + b"".join(bytes(item.record) for item in items)
        return _first_that_fits(packed, _PACKED_LOG_RECORDS, _PACKED_CRI_RECORDS)

    def one(item: messagepack.Entry) -> Step:
        try:
            return record.line_of(messagepack.as_json(bytes(item.record)), _sent(item), tagged) or _SKIPPED
        except (messagepack.MalformedError, record.UnreadableError):
            return _LOST

    pieces = iter(_entries(body))
    while some := list(islice(pieces, _TOGETHER)):
        entries = list[messagepack.Entry]()
        for piece in some:
            if piece is None:
                yield _LOST
            elif messagepack.is_group_marker(piece.head):
                yield _MARKER
            else:
                entries.append(piece)
        yield from _together(entries, many, one, lambda raw: metadata.completed(metadata.from_messagepack(raw), tagged))


def _entries(body: bytes) -> Iterable[messagepack.Entry | None]:
    for count in messagepack.counts(body):
        if is_dense(len(body), count):
            break
        try:
            pairs = _ENTRIES.decode(messagepack.array_of(body, count))
        except _BROKEN:
            continue
        # One array around two entries is a pair as well.
        if all(messagepack.is_map(memoryview(packed)[0]) for _, packed in pairs):
            return (messagepack.Entry(*pair) for pair in pairs)
    return messagepack.entries(body)


def _sent(entry: messagepack.Entry) -> str:
    parts = messagepack.time_parts(entry.head)
    if isinstance(parts, tuple):
        return record.timestamp(*parts, 9)
    return record.rfc3339(repr(parts)) if parts is not None and isfinite(parts) else ""


def _first_that_fits(data: bytes, *decoders: Any) -> Iterable[LogRecord | CriRecord]:
    """Decode with the first decoder that can; raises what the last one raises."""
    for decoder in decoders[:-1]:
        try:
            return decoder.decode(data)  # type: ignore[no-any-return]
        except _BROKEN:
            pass
    return decoders[-1].decode(data)  # type: ignore[no-any-return]


def _together(
    items: list[_Item],
    many: Callable[[list[_Item]], Iterable[LogRecord | CriRecord]],
    one: Callable[[_Item], Step],
    lookup: metadata.Lookup,
) -> Iterator[Step]:
    """Read many items at once; if that fails, halves of them, down to one at a time."""
    if len(items) <= _FEW:
        yield from map(one, items)
        return
    try:
        records = list(many(items))
    except _BROKEN:
        records = []
    if records and record.all_times([item.time for item in records]):
        for raw, group in groupby(records, attrgetter("kubernetes")):
            yield from of_source(lookup(raw), group)
        return
    middle = len(items) // 2
    yield from _together(items[:middle], many, one, lookup)
    yield from _together(items[middle:], many, one, lookup)
