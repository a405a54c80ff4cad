"""Fluent Bit's request body -> lines, a run for each source. Pure: bytes in, values out.

What the body is decides how it is read, not its Content-Type: a JSON array, one object, lines of objects,
objects with nothing between them, or MessagePack. A body as Fluent Bit means it is decoded in one go;
of any other body each record is read by itself, so that a broken one never costs its neighbours.
"""

from __future__ import annotations

from itertools import groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ingest.batch import Batch, Run
from ingest.errors import Undecodable
from ingest.fluentbit import fallback, messagepack, metadata, record, repair
from ingest.fluentbit.record import CriRecord, Line, LogRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from buffer.source import Source


# Records in a batch, where a body cannot be decoded in one go.
_BATCH = 256
# Only in a body this large are records counted before it is decoded in one go.
_LARGE = 4 << 20
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NO_ENTRIES = b"\x90"
_BOM = b"\xef\xbb\xbf"

_Record: TypeAlias = LogRecord | CriRecord
_ARRAYS: tuple[msgspec.json.Decoder[Any], ...] = (
    msgspec.json.Decoder(list[LogRecord]),
    msgspec.json.Decoder(list[CriRecord]),
)
_OBJECTS: tuple[msgspec.json.Decoder[Any], ...] = (
    msgspec.json.Decoder(LogRecord),
    msgspec.json.Decoder(CriRecord),
)
_ENTRIES: tuple[msgspec.msgpack.Decoder[Any], ...] = (
    msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, LogRecord]]),
    msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, CriRecord]]),
)


def decode(body: bytes, headers: Mapping[str, str]) -> Iterator[Batch]:
    """Yield what the body holds: one batch if it is as it should be, else batches of bounded work.

    The header `Fluent-Tag` has Fluent Bit's tag: the name of the container's log file in it stands in for missing
    metadata. Raises Undecodable at the first batch if nothing in the body can be read as records.
    """
    tag = headers.get("Fluent-Tag", "") or headers.get("X-Fluent-Tag", "")
    body = body.removeprefix(_BOM)
    if not body or body.isspace() or body == _NO_ENTRIES:
        yield Batch([], 0)
        return
    tagged = metadata.from_tag(tag)
    # JSON that was damaged at its first byte goes on with a brace or a quote.
    packed = body[0] >= 0x80 and body[1:2] not in (b"{", b'"')
    batch = (_all_of_messagepack if packed else _all_of_json)(body, tagged)
    if batch is not None:
        yield batch
        return
    # A damaged first byte may hide the format, but not what its records start with.
    ways = [(fallback.of_json, b"{"), (fallback.of_messagepack, b"\xd7\x00" if not packed else b"")]
    for way, mark in reversed(ways) if packed else ways:
        readable = False
        for batch in _batches(way(body, tagged)) if mark in body else ():
            readable = True
            yield batch
        if readable:
            return
    raise Undecodable("JSON or MessagePack records")


def _all_of_json(body: bytes, tagged: Source | None) -> Batch | None:
    """Decode all records in one go; None if one of them is not as Fluent Bit sends it by default."""
    # Counting takes half as long as decoding, so only what could take gigabytes is counted.
    if len(body) > _LARGE and fallback.is_dense(len(body), body.count(b"{")):
        return None
    body = repair.joined_alike(body) or body
    is_array = body.lstrip()[:1] == b"["
    for array, single in zip(_ARRAYS, _OBJECTS, strict=True):
        try:
            records: list[_Record] = array.decode(body) if is_array else single.decode_lines(body)
        except _BROKEN:
            continue
        return _grouped(records, metadata.from_json, tagged)
    return None


def _all_of_messagepack(body: bytes, tagged: Source | None) -> Batch | None:
    for count in messagepack.counts(body):
        if fallback.is_dense(len(body), count):
            return None
        array = messagepack.array_of(body, count)
        for decoder in _ENTRIES:
            try:
                entries: list[tuple[msgspec.Raw, _Record]] = decoder.decode(array)
            except _BROKEN:
                continue
            return _grouped([entry[1] for entry in entries], metadata.from_messagepack, tagged)
    return None


def _grouped(records: list[_Record], lookup: metadata.Lookup, tagged: Source | None) -> Batch | None:
    """Put records into runs by their metadata; None if a time needs a closer look."""
    times = [item.time for item in records]
    if not record.all_times(times):
        return None
    kubernetes = [item.kubernetes for item in records]
    # Nearly always a body is of one container; comparing the bytes is quick, hashing them is not possible.
    if kubernetes and kubernetes.count(kubernetes[0]) == len(kubernetes):
        source = metadata.completed(lookup(kubernetes[0]), tagged)
        if source is None:
            return Batch([], len(records))
        texts = [item.text for item in records]
        return Batch([Run(source, texts, times, [item.stream for item in records])], 0)
    steps = list[fallback.Step]()
    for raw, group in groupby(records, attrgetter("kubernetes")):
        steps += fallback.of_source(metadata.completed(lookup(raw), tagged), group)
    return _in_runs(steps)


def _in_runs(steps: Iterable[fallback.Step]) -> Batch:
    runs, skipped = list[Run](), 0
    for step in steps:
        if isinstance(step, fallback.Skipped):
            skipped += step.skipped
            continue
        source, text, time, stream = step
        if not runs or (runs[-1].source is not source and runs[-1].source != source):
            runs.append(Run(source, [], [], []))
        run = runs[-1]
        run.texts.append(text)
        run.times.append(time)
        run.streams.append(stream)
    return Batch(runs, skipped)


def _batches(steps: Iterator[fallback.Step]) -> Iterator[Batch]:
    """Yield batches of steps, none before the first record that could be read."""
    waiting, readable = list[fallback.Step](), False
    while some := list(islice(steps, _BATCH)):
        waiting += some
        readable = readable or any(isinstance(step, Line) or step.readable for step in some)
        if readable:
            yield _in_runs(waiting)
            waiting.clear()
