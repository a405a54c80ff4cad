"""Bodies whose records have the application's members among Fluent Bit's, decoded in one go.

Merge_Log puts them there, and with Keep_Log Off nothing else says what the application wrote. The first records show
which members there are, and in what order. Since a text must not depend on which records come together, a body in which
anything is not as these let expect, the order of members included, is read a record at a time instead.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec

from ingest.fluentbit.packed import may_mark_groups, times_of
from ingest.fluentbit.record import CONTAINER_KEYS, DATE_KEYS, TEXT_KEYS
from ingest.fluentbit.table import BROKEN, NOTHING
from ingest.fluentbit.times import LONGEST_TIME, are_dates, are_times, times_of_dates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.fluentbit.table import Codec, Columns, Row

# A smaller body is read a record at a time before a type for its records is made.
WORTHWHILE = 8 << 10
# Records that are looked at to learn what members they have.
SAMPLES = 4
_MOST_KEYS, _LONGEST_KEY = 64, 128
# Characters of which msgspec takes no key.
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
# More take too long in one go.
_MOST_RECORDS = 4096
# How long the heads of arrays are in MessagePack that have as many entries as this, and of those with 32 bits.
_FEWEST_ENTRIES, _ARRAY_16, _ARRAY_32 = 16, 3, 5
_UNSET = msgspec.UNSET
_OPTIONAL = msgspec.Raw | msgspec.UnsetType
# Fluent Bit's own members, and what they are called here. Records that are alike have the same of these, but for `log`.
_OURS: dict[str, tuple[str, Any]] = {
    "time": ("time", Annotated[str, msgspec.Meta(max_length=LONGEST_TIME)]),
    "stream": ("stream", Literal["stdout", "stderr"]),
    "_p": ("partial", msgspec.Raw),
    "log": ("log", str | msgspec.UnsetType),
    "kubernetes": ("kubernetes", msgspec.Raw),
}
# What tells that the member before it is a date, or that it is one itself.
_TELLING = CONTAINER_KEYS | DATE_KEYS


class _Layout(NamedTuple):
    """How such records are decoded, which of Fluent Bit's members they have, and what holds the others, by key."""

    records: msgspec.json.Decoder[list[Any]]
    entries: msgspec.msgpack.Decoder[list[tuple[msgspec.Raw, Any]]]
    ours: frozenset[str]
    is_dated: bool
    others: dict[str, str]


def columns_of_merged(body: bytes, first: Sequence[Row], codec: Codec) -> Columns | None:
    """Decode an array of records in JSON of which the first are known; None if they are not all of that layout."""
    layout = _layout_of(first)
    try:
        records = layout.records.decode(body) if layout else []
    except BROKEN:
        return None
    # Encoded again they are what was sent, unless there is something that the type does not show.
    if layout is None or not 0 < len(records) <= _MOST_RECORDS or msgspec.json.encode(records) != body:
        return None
    return _columns(layout, records, [""] * len(records), codec)


def columns_of_merged_entries(array: bytes, first: Sequence[Row], codec: Codec) -> Columns | None:
    """Do the same with entries in MessagePack, in an array of 32 bits (see `array_of`); None if one marks a group."""
    layout = _layout_of(first)
    try:
        entries = layout.entries.decode(array) if layout and not layout.is_dated else []
    except BROKEN:
        return None
    if layout is None or not _FEWEST_ENTRIES <= len(entries) <= _MOST_RECORDS:
        return None
    heads = [head for head, _ in entries]
    sent = [""] * len(entries) if "time" in layout.ours and not may_mark_groups(heads) else times_of(heads)
    if None in sent or msgspec.msgpack.encode(entries)[_ARRAY_16:] != array[_ARRAY_32:]:
        return None
    return _columns(layout, [record for _, record in entries], [time or "" for time in sent], codec)


def _columns(layout: _Layout, records: Sequence[Any], sent: list[str], codec: Codec) -> Columns | None:
    """Return decoded records as columns; `sent` are the times that stand beside them, "" where there is none."""
    times = _times(layout, records, sent)
    streams = [record.stream for record in records] if "stream" in layout.ours else [None] * len(records)
    kubernetes = [record.kubernetes for record in records] if "kubernetes" in layout.ours else [NOTHING] * len(records)
    texts = _texts(layout, records, codec) if times else None
    return None if texts is None or times is None else (texts, times, streams, kubernetes)


def _layout_of(first: Sequence[Row]) -> _Layout | None:
    keys = _in_order(first)
    return _layout(keys) if keys else None


def _in_order(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the keys of some records, each before those that follow it; none if there are very many."""
    keys = list[str]()
    for row in rows:
        place = len(keys)
        for key in reversed(row):
            if key not in keys:
                keys.insert(place, key)
            place = keys.index(key)
        if len(keys) > _MOST_KEYS:
            return ()
    is_unusual = not keys or "logtag" in keys or any(len(key) > _LONGEST_KEY or _ESCAPED.search(key) for key in keys)
    return () if is_unusual or not _begin_alike(keys) else tuple(keys)


def _begin_alike(keys: Sequence[str]) -> bool:
    """Tell whether all such records begin with the same member, or none with what may be a date where it stands."""
    first = keys[0]
    return first in DATE_KEYS or (first in _OURS and first != "log") or _TELLING.isdisjoint(keys)


@lru_cache(64)
def _layout(keys: tuple[str, ...]) -> _Layout:
    date = {keys[0]: ("date", msgspec.Raw)} if keys[0] in DATE_KEYS else {}
    ours = date | _OURS
    others = {key: f"other{number}" for number, key in enumerate(keys) if key not in ours}
    required = [(name, kind) for key, (name, kind) in ours.items() if key in keys and key != "log"]
    types = {ours[key][0] if key in ours else others[key]: _OPTIONAL for key in keys}
    types |= {"log": _OURS["log"][1]} | dict(required)
    fields = [(name, kind) if (name, kind) in required else (name, kind, _UNSET) for name, kind in types.items()]
    # What they have not is there to be set to nothing as well.
    absent = [(name, msgspec.UnsetType, _UNSET) for name, _ in _OURS.values() if name not in types]
    kind: Any = msgspec.defstruct(
        "Record",
        [*fields, *absent],
        rename={name: key for key, (name, _) in ours.items()} | {name: key for key, name in others.items()},
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )
    entries = msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, kind]])
    return _Layout(msgspec.json.Decoder(list[kind]), entries, frozenset(keys), bool(date), others)


def _times(layout: _Layout, records: Sequence[Any], sent: list[str]) -> list[str] | None:
    """Return their own times or dates, or those beside them where there is neither; None if one of them is none."""
    dates = [record.date for record in records] if layout.is_dated else []
    if "time" not in layout.ours:
        return times_of_dates(dates) if dates else sent
    times = [record.time for record in records]
    return times if are_times(times) and (not dates or are_dates(dates)) else None


def _texts(layout: _Layout, records: Sequence[Any], codec: Codec) -> list[str] | None:
    """Return the texts: what is under `log`, or else the application's members together, which is all that is kept."""
    merged = [record for record in records if record.log is _UNSET]
    nothing, is_dated = _UNSET, layout.is_dated
    for record in merged:
        record.time = record.stream = record.partial = record.kubernetes = nothing
        if is_dated:
            record.date = nothing
    values = merged
    if layout.others.keys() <= TEXT_KEYS:
        if len(layout.others) != 1:
            return None
        [name] = layout.others.values()
        values = [getattr(record, name) for record in merged]
        if any(value is nothing for value in values):
            return None
    elif not TEXT_KEYS.isdisjoint(layout.others):
        # One that has nothing else would be the text by itself.
        names = [name for key, name in layout.others.items() if key not in TEXT_KEYS]
        if not any(all(getattr(record, name) is not nothing for record in merged) for name in names):
            return None
    found = codec.texts(values)
    if found is None or "{}" in found:
        return None
    if len(found) == len(records):
        return found
    texts = iter(found)
    return [next(texts) if record.log is _UNSET else record.log for record in records]
