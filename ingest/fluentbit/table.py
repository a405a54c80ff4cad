"""Records side by side: columns of texts, times, streams and metadata, which is how they are read quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from ingest.fluentbit import record
from ingest.fluentbit.mend import text_of
from ingest.fluentbit.times import are_times, time_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from ingest.fluentbit.budget import Budget

    # The members of a record, each as it was sent.
    Row: TypeAlias = dict[str, msgspec.Raw]

# What msgspec raises of what it cannot decode.
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# Rows that are read before others get their turn.
_ROWS_A_TURN = 128
# A record with more members is not read one member at a time.
_MOST_MEMBERS = 20_000
# Steps of the budget that reading a row by itself takes, beside one for each of its members.
_STEPS_A_ROW = 3
_STREAMS = frozenset(("stdout", "stderr"))
_NOTHING = msgspec.Raw(b"")
_ROW = msgspec.json.Decoder(dict[str, msgspec.Raw])


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


class Codec(Protocol):
    """How the members of a row are encoded."""

    def strings(self, raws: Sequence[msgspec.Raw]) -> list[str]:
        """Decode strings. Raises what is in BROKEN, for any other values too."""

    def string(self, raw: msgspec.Raw) -> str:
        """Decode one string. Raises likewise."""

    def as_json(self, row: Row) -> Row:
        """Return the members of a row as JSON, but for its metadata."""


class Unreadable(Exception):
    """A record that cannot be read, even when mended."""


def pause() -> Table:
    """Return a table of nothing, which lets others have their turn."""
    return Table([], [], [], [], readable=False)


def lost(count: int) -> Table:
    """Return a table that says that so many records could not be read."""
    return Table([], [], [], [], lost=count, readable=False)


def of_rows(rows: list[Row], sent: list[str], codec: Codec, budget: Budget) -> Iterator[Table]:
    """Yield tables of records of any shape; `sent` are the times that stand beside them, "" where there is none."""
    for start in range(0, len(rows), _ROWS_A_TURN):
        yield _of_rows(rows[start : start + _ROWS_A_TURN], sent[start : start + _ROWS_A_TURN], codec, budget)


def _of_rows(rows: list[Row], sent: list[str], codec: Codec, budget: Budget) -> Table:
    texts, times, streams = _column(rows, "log", codec), _times(rows, sent, codec), _column(rows, "stream", codec)
    found, skipped, missed = Table([], [], [], []), 0, 0
    for row, text, time, stream, beside in zip(rows, texts, times, streams, sent, strict=True):
        line: tuple[str, str] | None
        try:
            line = (text, time) if text is not None and time is not None else _line(row, beside, codec, budget)
        except Unreadable:
            missed += 1
            continue
        if line is None:
            skipped += 1
            continue
        found.texts.append(line[0])
        found.times.append(line[1] if time is None else time)
        found.streams.append(stream if stream in _STREAMS else None)
        found.kubernetes.append(row.get("kubernetes", _NOTHING))
    return found._replace(skipped=skipped, lost=missed, readable=bool(found.texts or skipped))


def _line(row: Row, sent: str, codec: Codec, budget: Budget) -> tuple[str, str] | None:
    """Return the text and the time of a record by itself; None if it has no text. Raises Unreadable."""
    budget.spend(_STEPS_A_ROW + len(row))
    if budget.exhausted or len(row) > _MOST_MEMBERS:
        raise Unreadable
    members = codec.as_json(row)
    try:
        return _text_and_time(members, sent)
    except BROKEN:
        pass
    try:
        # Fluent Bit before 3.2 sends bytes that are no UTF-8, which msgspec finds only in what it is asked for.
        return _text_and_time(_ROW.decode(text_of(record.json_of(members)).encode()), sent)
    except BROKEN as error:
        raise Unreadable from error


def _text_and_time(members: Row, sent: str) -> tuple[str, str] | None:
    text = record.text(members)
    return None if text is None else (text, record.time(members) or sent)


def _column(rows: list[Row], key: str, codec: Codec) -> list[str | None]:
    """Return one member of all rows: strings as they are, None for all else."""
    raws = [row.get(key) for row in rows]
    if None not in raws:
        try:
            return [*codec.strings([raw for raw in raws if raw is not None])]
        except BROKEN:
            pass
    return [_string(raw, codec) for raw in raws]


def _string(raw: msgspec.Raw | None, codec: Codec) -> str | None:
    try:
        return codec.string(raw) if raw is not None else None
    except BROKEN:
        return None


def _times(rows: list[Row], sent: list[str], codec: Codec) -> list[str | None]:
    """Return the times of all rows, None for those that have to be looked for elsewhere in their rows."""
    times = _column(rows, "time", codec)
    if None not in times and are_times([time for time in times if time is not None]):
        return times
    for index, (row, time) in enumerate(zip(rows, times, strict=True)):
        if "time" in row or next(iter(row), "") not in record.CONTAINER_KEYS:
            times[index] = time_of_text(time or "") or None
        else:
            times[index] = sent[index]  # without a date key before them
    return times
