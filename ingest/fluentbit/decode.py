"""Fluent Bit's request body -> lines, a run for each source. Pure: bytes in, values out.

What the body is decides how it is read, not its Content-Type.
"""

from __future__ import annotations

from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING

from ingest.batch import Batch, Run
from ingest.errors import Undecodable
from ingest.fluentbit import jsontext, messagepack, metadata
from ingest.fluentbit.budget import PIECE, Budget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import msgspec

    from buffer.source import Source
    from ingest.fluentbit.table import Columns

# Blanks in front of the records are passed over so many at a time.
_BLANKS = 4 << 20
# An empty array of more than this is not told from other bodies: to look for its end would take too long.
_MOST_BLANKS = 16 << 20
_BRACKETS = frozenset((b"[", b"{"))
_BOM = b"\xef\xbb\xbf"
# The type of an entry's time in MessagePack, and where the first one is to be found.
_EVENT_TIME, _START = b"\xd7\x00", 16


def decode(body: bytes, headers: Mapping[str, str]) -> Iterable[Batch]:
    """Return what the body holds: one batch if it is as it should be, else batches of bounded work, maybe of no lines.

    The header `Fluent-Tag` has Fluent Bit's tag. The container's log file that it names stands in for missing metadata,
    and goes before what contradicts it. Raises Undecodable if nothing in the body can be read as records, at the latest
    when all of it has been looked at.
    """
    tagged = metadata.of_headers(headers)
    # Nearly every body is decoded here, and nearly all of what a small one takes is spent on the way to it.
    form = jsontext if body[:1] in _BRACKETS else messagepack
    columns = form.whole(body) if len(body) <= PIECE else None
    return (_batch(columns, tagged, 0),) if columns else _batches(body, tagged)


def _batches(body: bytes, tagged: Source | None) -> Iterator[Batch]:
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
    readable, lost = False, 0
    # MessagePack whose first byte is damaged is not read as JSON: text may hold lines of it that nobody has escaped.
    is_packed = body[0] >= 0x80 or _EVENT_TIME in body[:_START]
    for table in (messagepack if is_packed else jsontext).Body(body, Budget()).tables():
        readable = readable or table.readable
        lost += table.lost
        if readable:
            yield _batch(table[:4], tagged, table.skipped + lost)
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


def _batch(columns: Columns, tagged: Source | None, skipped: int) -> Batch:
    """Put records into runs by their metadata."""
    runs: list[Run] = []  # `list[Run]()` takes a twentieth of all that a small body takes
    contradicted = 0
    for kubernetes, texts, times, streams in _stretches(columns):
        source, contradicts = metadata.settled(metadata.of_record(kubernetes), tagged)
        if source is None:
            skipped += len(texts)
        elif runs and runs[-1].source == source:
            runs[-1].texts.extend(texts)
            runs[-1].times.extend(times)
            runs[-1].streams.extend(streams)
        else:
            runs.append(Run(source, texts, times, streams))
        if contradicts:
            contradicted += len(texts)
    return Batch(runs, skipped, contradicted)


def _stretches(columns: Columns) -> Iterable[tuple[msgspec.Raw, list[str], list[str], list[str | None]]]:
    """Return stretches of records with the same metadata: it, and their texts, times and streams."""
    texts, times, streams, kubernetes = columns
    # Nearly always a body is of one container; comparing the bytes is quick, hashing them is not possible.
    if kubernetes and kubernetes.count(kubernetes[0]) == len(kubernetes):
        return ((kubernetes[0], texts, times, streams),)
    ends = accumulate([sum(1 for _ in group) for _, group in groupby(kubernetes)], initial=0)
    parts = [slice(start, end) for start, end in pairwise(ends)]
    return [(kubernetes[part.start], texts[part], times[part], streams[part]) for part in parts]
