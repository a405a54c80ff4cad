"""Records side by side: columns of texts, times, streams and metadata, which is how they are read quickly."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import msgspec

from ingest.fluentbit import record
from ingest.fluentbit.times import are_times, time_of_text, times_of_dates

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from ingest.fluentbit.budget import Budget

    # The members of a record, each as it was sent.
    Row: TypeAlias = dict[str, msgspec.Raw]

# What msgspec raises of what it cannot decode.
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# Members that are read before others get their turn, and for how many of them a row counts beside its own.
_A_TURN, _MEMBERS_BESIDE = 4096, 8
# Bytes of rows that are read one by one, and what each is counted for beside them: a byte may take half a microsecond.
_BYTES_A_TURN, _A_ROW = 8 << 10, 32
# A record with more members is not read one member at a time.
_MOST_MEMBERS = 20_000
# Steps of the budget that it takes to look for a text elsewhere, beside one for each member of the row.
_STEPS_A_ROW = 3
_STREAMS = frozenset(("stdout", "stderr"))
NOTHING = msgspec.Raw(b"")


# Texts, times, streams and metadata, of one length.
Columns: TypeAlias = tuple[list[str], list[str], list[str | None], list[msgspec.Raw]]


class Table(NamedTuple):
    """Records as columns of one length; beside them how many had no text, and how many could not be read.

    `readable` is whether there was anything that could be read.
    """

    texts: list[str]
    times: list[str]
    streams: list[str | None]
    kubernetes: list[msgspec.Raw]
    skipped: int = 0
    lost: int = 0
    readable: bool = True


class Object(msgspec.Struct, gc=False):
    """Any object, without its members."""


class Codec(Protocol):
    """How the members of a row are encoded."""

    null: msgspec.Raw

    def strings(self, raws: Sequence[msgspec.Raw]) -> list[str | Object | None]:
        """Decode strings, objects without their members, and null. Raises what is in BROKEN, for other values too."""

    def texts(self, values: Sequence[msgspec.Raw | Row]) -> list[str] | None:
        """Return strings as they are, all else as JSON; None where that needs a closer look at each."""

    def as_json(self, raw: msgspec.Raw) -> msgspec.Raw:
        """Return a value as JSON."""


def pause() -> Table:
    """Return a table of nothing, which lets others have their turn."""
    return Table([], [], [], [], readable=False)


def lost(count: int) -> Table:
    """Return a table that says that so many records could not be read."""
    return Table([], [], [], [], lost=count, readable=False)


def of_rows(rows: list[Row], sent: list[str], codec: Codec, budget: Budget) -> Iterator[Table]:
    """Yield tables of records of any shape; `sent` are the times that stand beside them, "" where there is none."""
    start = size = 0
    for end, row in enumerate(rows, start=1):
        size += _MEMBERS_BESIDE + len(row)
        if size >= _A_TURN or end == len(rows):
            yield from _of_rows(rows[start:end], sent[start:end], codec, budget)
            start, size = end, 0


def _of_rows(rows: list[Row], sent: list[str], codec: Codec, budget: Budget) -> Iterator[Table]:
    texts, times, missed = _strings(rows, "log", codec), _own_times(rows, codec), 0
    streams = [stream if stream in _STREAMS else None for stream in _strings(rows, "stream", codec)]
    kubernetes = [row.get("kubernetes", NOTHING) for row in rows]
    if None in texts and any("logtag" in row for row in rows):
        texts = _texts_of_cri(texts, rows, codec)
    odd = [index for index, text in enumerate(texts) if text is None]
    apart = {index for index in odd if rows[index].get("log", codec.null) == codec.null}
    undated = [index for index, time in enumerate(times) if not time or index in apart]
    dates = dict(zip(undated, _dates([rows[index] for index in undated], codec), strict=True))
    if odd:
        known = {index: (times[index], streams[index], dates.get(index, "")) for index in odd}
        missed = yield from _find_texts(texts, rows, known, codec, budget)
    for index in undated:
        times[index] = times[index] or dates[index] or sent[index]
    has_text = [text is not None for text in texts]
    skipped = has_text.count(False) - missed
    if missed or skipped:
        times, streams = [*compress(times, has_text)], [*compress(streams, has_text)]
        kubernetes = [*compress(kubernetes, has_text)]
    found = [text for text in texts if text is not None]
    yield Table(found, times, streams, kubernetes, skipped, missed, readable=missed < len(rows))


def _texts_of_cri(texts: list[str | None], rows: list[Row], codec: Codec) -> list[str | None]:
    """Return texts with those that `Parser cri` puts under `message`, which an empty line has not."""
    messages = _strings(rows, "message", codec)
    return [
        message if text is None and "logtag" in row and row.get("log", codec.null) == codec.null else text
        for text, message, row in zip(texts, messages, rows, strict=True)
    ]


def _find_texts(
    texts: list[str | None],
    rows: list[Row],
    known: dict[int, tuple[str, str | None, str]],
    codec: Codec,
    budget: Budget,
) -> Generator[Table, None, int]:
    """Put in the texts that are no strings under `log`; return how many records could not be read.

    `known` has their own times, their streams and their dates, nothing for what they have not.
    """
    if budget.exhausted:
        return len(known)
    budget.spend(sum([_STEPS_A_ROW + len(rows[index]) for index in known]))
    missed = size = 0
    values: dict[int, msgspec.Raw | Row] = {}
    for index, (time, stream, date) in known.items():
        row = rows[index]
        log = row.get("log", codec.null)
        value = log if log != codec.null else record.merged(row, time, stream, date)
        if len(row) > _MOST_MEMBERS:
            missed += 1
        elif value is None:
            texts[index] = record.nothing(row, stream)
        else:
            values[index] = value
    found = codec.texts([*values.values()]) if values else []
    for index, text in zip(values, found or (), strict=found is not None):
        texts[index] = text
    for index, value in values.items() if found is None else ():
        try:
            texts[index] = _text(value, codec)
        except BROKEN:
            missed += 1
        size += _A_ROW + sum(map(len, rows[index].values()))
        if size > _BYTES_A_TURN:
            yield pause()
            size = 0
    return missed


def _text(value: msgspec.Raw | Row, codec: Codec) -> str:
    """Return one value as a text, whatever is in it. Raises what is in BROKEN."""
    if found := codec.texts([value]):
        return found[0]
    if isinstance(value, dict):
        return record.text({key: codec.as_json(raw) for key, raw in value.items()})
    return record.text(codec.as_json(value))


def _strings(rows: list[Row], key: str, codec: Codec) -> list[str | None]:
    """Return one member of all rows: strings as they are, None for all else."""
    raws = [row.get(key, codec.null) for row in rows]
    try:
        values = codec.strings(raws)
    except BROKEN:
        return [_string(raw, codec) for raw in raws]
    return [value if type(value) is str else None for value in values]


def _string(raw: msgspec.Raw, codec: Codec) -> str | None:
    try:
        [value] = codec.strings([raw])
    except BROKEN:
        return None
    return value if isinstance(value, str) else None


def _own_times(rows: list[Row], codec: Codec) -> list[str]:
    """Return the times that rows have themselves, "" where there is none."""
    times = [time or "" for time in _strings(rows, "time", codec)]
    return times if are_times(times) else [time_of_text(time) for time in times]


def _dates(rows: list[Row], codec: Codec) -> list[str]:
    """Return the dates that the output wrote first, "" where there is none."""
    keys = [next(iter(row), "") for row in rows]
    if record.CONTAINER_KEYS.issuperset(keys):
        return [""] * len(rows)
    if not record.DATE_KEYS.issuperset(keys):
        keys = [record.date_key(row) for row in rows]
    raws = [codec.as_json(row[key]) if key else NOTHING for row, key in zip(rows, keys, strict=True)]
    return times_of_dates(raws) or [_date(raw) for raw in raws]


def _date(raw: msgspec.Raw) -> str:
    try:
        return record.date(raw)
    except BROKEN:
        return ""
