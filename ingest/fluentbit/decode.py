"""Fluent Bit's request body -> lines, a run for each source. Pure: bytes in, values out.

What the body is decides how it is read, not its Content-Type.
"""

from __future__ import annotations

import re
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

_NO_RECORDS = re.compile(rb"\s*+(?:\[\s*+\]\s*+)?+|\x90")
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
    if _NO_RECORDS.fullmatch(body):
        yield Batch([], 0, 0)
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
