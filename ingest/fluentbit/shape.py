"""Shapes of records as usual set-ups of Fluent Bit make them: a body whose records are alike is decoded in one go."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec

from ingest.fluentbit.record import DATE_KEYS
from ingest.fluentbit.times import LONGEST_TIME, are_times, times_of_dates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.fluentbit.table import Columns

# A member that must not be there.
_ABSENT = (msgspec.UnsetType, msgspec.UNSET)
_COMMON = (
    ("stream", Literal["stdout", "stderr"] | None, None),
    ("kubernetes", msgspec.Raw, msgspec.Raw(b"")),
)
# The docker and cri multiline parsers and the docker parser put the text under `log`.
_LOG = (("text", str), *_COMMON)
# `Parser cri` puts it under `message`, which an empty line has not.
_CRI = (("logtag", str), ("text", str, ""), ("log", *_ABSENT), *_COMMON)


class Shape(NamedTuple):
    """How to decode records that are alike, and where their times are: None where one needs a closer look."""

    array: msgspec.json.Decoder[list[Any]]
    one: msgspec.json.Decoder[Any]
    entries: msgspec.msgpack.Decoder[list[tuple[msgspec.Raw, Any]]]
    times: Callable[[list[Any]], list[str] | None]


# Of records that have their text under `log`, and under `message`.
Shapes: TypeAlias = tuple[Shape, Shape]


def _shapes(*fields: Any, times: Callable[[list[Any]], list[str] | None], **rename: str) -> Shapes:
    def shape(text: Any, key: str) -> Shape:
        names = {"text": key, **rename}
        kind: Any = msgspec.defstruct("Record", (*text, *fields), kw_only=True, gc=False, rename=names)
        return Shape(
            msgspec.json.Decoder(list[kind]),
            msgspec.json.Decoder(kind),
            msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, kind]]),
            times,
        )

    return shape(_LOG, "log"), shape(_CRI, "message")


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


# Hardly anybody has more than one such key. To make shapes takes some 40 microseconds.
@lru_cache(16)
def dated(key: str) -> Shapes:
    """Return the shapes of records whose only time is the date that the output writes first, under this key."""
    return _shapes(
        ("date", msgspec.Raw),
        ("time", *_ABSENT),
        times=lambda records: times_of_dates([record.date for record in records]),
        date=key,
    )


def columns_of(records: Sequence[Any], times: list[str] | None) -> Columns | None:
    """Return decoded records as columns; None without their times, and without any."""
    if not times:
        return None
    return (
        [record.text for record in records],
        times,
        [record.stream for record in records],
        [record.kubernetes for record in records],
    )
