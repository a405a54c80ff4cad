"""Shapes of records as usual set-ups of Fluent Bit make them: a body whose records are alike is decoded in one go."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec

from ingest.fluentbit.record import DATE_KEYS
from ingest.fluentbit.times import AFTER, BEFORE, DATE_TEXT, LONGEST_TIME, are_times, times_of_dates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ingest.fluentbit.table import Codec, Columns

# A member that must not be there.
_ABSENT = (msgspec.UnsetType, msgspec.UNSET)
_STREAM = Literal["stdout", "stderr"]
# What only looks like one is text of the application: an empty line has no other.
_DATE = Annotated[float, msgspec.Meta(gt=AFTER, lt=BEFORE)] | Annotated[str, msgspec.Meta(pattern=DATE_TEXT)]
_METADATA = ("kubernetes", msgspec.Raw, msgspec.Raw(b""))
_COMMON = (("stream", _STREAM | None, None), _METADATA)
# The docker and cri multiline parsers and the docker parser put the text under `log`.
_LOG = (("text", str), *_COMMON)
# Something else does that for applications that log objects (Merge_Log Off, Decode_Field json log).
_VALUES = (("text", msgspec.Raw), *_COMMON)
# `Parser cri` puts it under `message`, which an empty line has not; but if there are members of others, they are text.
_CRI = (("logtag", str), ("text", str), ("log", *_ABSENT), *_COMMON)
_BARE_CRI = (("logtag", str), ("text", str, ""), ("stream", _STREAM, None), _METADATA)


class Shape(NamedTuple):
    """How to decode records that are alike, and where their times are: None where one needs a closer look."""

    array: msgspec.json.Decoder[list[Any]]
    one: msgspec.json.Decoder[Any]
    entries: msgspec.msgpack.Decoder[list[tuple[msgspec.Raw, Any]]]
    times: Callable[[list[Any]], list[str] | None]
    has_values: bool  # whether texts may be objects as well, and are still encoded
    dates: Mapping[str, bytes]  # what may be a date beside an empty line: members, by what a record begins with then


# Of records that have their text under `log`; under `message`, with an empty line or two; with members of others; and
# those that have an object under `log`.
Shapes: TypeAlias = tuple[Shape, Shape, Shape, Shape]


def _shapes(*fields: Any, times: Callable[[list[Any]], list[str] | None], **rename: str) -> Shapes:
    others = {f"other{number}": key for number, key in enumerate(DATE_KEYS.difference(rename.values()))}
    bare_cri = (*_BARE_CRI, *((name, _DATE, None) for name in others))

    def shape(text: Any, key: str, *, is_bare: bool = False) -> Shape:
        kind: Any = msgspec.defstruct(
            "Record",
            (*text, *fields),
            rename={"text": key, **rename, **others},
            forbid_unknown_fields=is_bare,
            kw_only=True,
            gc=False,
        )
        return Shape(
            msgspec.json.Decoder(list[kind]),
            msgspec.json.Decoder(kind),
            msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, kind]]),
            times,
            text is _VALUES,
            {name: f'{{"{key}"'.encode() for name, key in others.items()} if is_bare else {},
        )

    bare = shape(bare_cri, "message", is_bare=True)
    return shape(_LOG, "log"), bare, shape(_CRI, "message"), shape(_VALUES, "log")


def _own_times(records: list[Any]) -> list[str] | None:
    times = [record.time for record in records]
    return times if are_times(times) else None


# With the time that a parser keeps; without it (Time_Keep Off), and without a date of the output.
TIMED = _shapes(("time", Annotated[str, msgspec.Meta(max_length=LONGEST_TIME)]), times=_own_times)
UNTIMED = _shapes(
    *((f"date{number}", *_ABSENT) for number in range(len(DATE_KEYS))),
    ("time", *_ABSENT),
    times=lambda records: [""] * len(records),
    **{f"date{number}": key for number, key in enumerate(DATE_KEYS)},
)


# Few set-ups have more than one such key. Making shapes takes a tenth of a millisecond.
@lru_cache(16)
def dated(key: str) -> Shapes:
    """Return the shapes of records whose only time is the date that the output writes first, under this key."""
    return _shapes(
        ("date", msgspec.Raw),
        ("time", *_ABSENT),
        times=lambda records: times_of_dates([record.date for record in records]),
        date=key,
    )


def columns_of(
    shape: Shape, records: Sequence[Any], times: list[str] | None, codec: Codec, opening: bytes = b""
) -> Columns | None:
    """Return decoded records as columns; None without their times, without any, and where a text has to be found.

    `opening` is what JSON begins with.
    """
    if not times:
        return None
    texts: list[Any] = [record.text for record in records]
    if shape.has_values:
        found = None if codec.null in texts else codec.texts(texts)
        if found is None:
            return None
        texts = found
    elif shape.dates and "" in texts and _may_hide_text(shape, records, opening):
        return None
    return (
        texts,
        times,
        [record.stream for record in records],
        [record.kubernetes for record in records],
    )


def _may_hide_text(shape: Shape, records: Sequence[Any], opening: bytes) -> bool:
    """Tell whether what passes for the date of an empty line may be the application's: its records begin otherwise."""
    names = [name for name, beginning in shape.dates.items() if beginning not in opening]
    return any(getattr(record, name) is not None for record in records if not record.text for name in names)
