"""Fluent Bit's request body -> lines, a run for each source. Pure: bytes in, values out.

What the body is decides how it is read, not its Content-Type.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from ingest.batch import Batch, Run
from ingest.errors import Undecodable
from ingest.fluentbit import jsontext, messagepack, metadata
from ingest.fluentbit.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import msgspec

    from buffer.source import Source
    from ingest.fluentbit.table import Table

# Blanks in front of the records are passed over so many at a time.
_BLANKS = 4 << 20
# An empty array of more than this is not told from other bodies: to look for its end would take too long.
_MOST_BLANKS = 16 << 20
_BOM = b"\xef\xbb\xbf"
# The type of an entry's time in MessagePack, and where the first one is to be found.
_EVENT_TIME, _START = b"\xd7\x00", 16


def decode(body: bytes, headers: Mapping[str, str]) -> Iterator[Batch]:
    """Yield what the body holds: one batch if it is as it should be, else batches of bounded work, which may be empty.

    The header `Fluent-Tag` has Fluent Bit's tag. The container's log file that it names stands in for missing metadata,
    and goes before what contradicts it. Raises Undecodable if nothing in the body can be read as records, at the latest
    when all of it has been looked at.
    """
    body = body.removeprefix(_BOM)
    if body[:1].isspace():
        blank = 0
        while len(body) - blank > _BLANKS and body[blank : blank + _BLANKS].isspace():
            blank += _BLANKS
            yield Batch([], 0)
        body = body[blank:].lstrip()
    if not body or body == b"\x90" or _is_empty_array(body):
        yield Batch([], 0)
        return
    tagged = metadata.of_headers(headers)
    readable, lost = False, 0
    # MessagePack whose first byte is damaged is not read as JSON: text may hold lines of it that nobody has escaped.
    is_packed = body[0] >= 0x80 or _EVENT_TIME in body[:_START]
    for table in (messagepack if is_packed else jsontext).Body(body, Budget()).tables():
        readable = readable or table.readable
        lost += table.lost
        if readable:
            yield _batch(table, tagged, lost)
            lost = 0
        elif not table.lost:
            yield Batch([], 0, 0)  # a pause
    if not readable:
        raise Undecodable("JSON or MessagePack records")


def _is_empty_array(body: bytes) -> bool:
    if body[:1] != b"[" or body[1:2] not in (b"]", b" ", b"\n", b"\r", b"\t"):
        return False
    if len(body) > _MOST_BLANKS:
        return False
    rest = body[1:].lstrip()
    return rest[:1] == b"]" and not rest[1:].strip()


def _batch(table: Table, tagged: Source | None, lost: int) -> Batch:
    """Put records into runs by their metadata."""
    runs, skipped, contradicted = list[Run](), table.skipped + lost, 0
    for kubernetes, texts, times, streams in _stretches(table):
        source, contradicts = metadata.settled(metadata.of_record(kubernetes), tagged)
        if source is None:
            skipped += len(texts)
        elif runs and runs[-1].source == source:
            runs[-1].texts.extend(texts)
            runs[-1].times.extend(times)
            runs[-1].streams.extend(streams)
        else:
            runs.append(Run(source, texts, times, streams))
        contradicted += len(texts) if contradicts else 0
    return Batch(runs, skipped, contradicted)


def _stretches(table: Table) -> Iterator[tuple[msgspec.Raw, list[str], list[str], list[str | None]]]:
    """Yield stretches of records with the same metadata: it, and their texts, times and streams."""
    texts, times, streams, kubernetes = table[:4]
    # Nearly always a body is of one container; comparing the bytes is quick, hashing them is not possible.
    if kubernetes and kubernetes.count(kubernetes[0]) == len(kubernetes):
        yield kubernetes[0], texts, times, streams
        return
    start = 0
    for raw, group in groupby(kubernetes):
        end = start + sum(1 for _ in group)
        yield raw, texts[start:end], times[start:end], streams[start:end]
        start = end
