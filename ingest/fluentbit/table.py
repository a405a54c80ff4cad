"""Records side by side: columns of texts, times, streams and metadata, which is how they are read quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import msgspec

from ingest.fluentbit import record
from ingest.fluentbit.mend import text_of
from ingest.fluentbit.times import are_times, time_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        if text is None or time is None:
            try:
                text, time = _look_closer(row, text, time, beside, codec=codec, budget=budget)  # noqa: PLW2901
            except Unreadable:
                missed += 1
                continue
            if text is None:
                skipped += 1
                continue
        found.texts.append(text)
        found.times.append(time)
        found.streams.append(stream if stream in _STREAMS else None)
        found.kubernetes.append(row.get("kubernetes", _NOTHING))
    return found._replace(skipped=skipped, lost=missed, readable=bool(found.texts or skipped))


def _look_closer(
    row: Row, text: str | None, time: str | None, sent: str, *, codec: Codec, budget: Budget
) -> tuple[str | None, str]:
    """Look for what is not known yet of a record's line; return its text, None if it has none, and its time.

    Raises Unreadable.
    """
    budget.spend(_STEPS_A_ROW + len(row))
    if budget.exhausted or len(row) > _MOST_MEMBERS:
        raise Unreadable
    members = codec.as_json(row)
    try:
        return _found(members, text, time, sent)
    except BROKEN:
        pass
    try:
        # Fluent Bit before 3.2 sends bytes that are no UTF-8, which msgspec finds only in what it is asked for.
        return _found(_ROW.decode(text_of(record.json_of(members)).encode()), text, time, sent)
    except BROKEN as error:
        raise Unreadable from error


def _found(members: Row, text: str | None, time: str | None, sent: str) -> tuple[str | None, str]:
    text = record.text(members) if text is None else text
    return text, (record.time(members) or sent) if time is None else time


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
