"""Shapes of records as usual set-ups of Fluent Bit make them: a body whose records are alike is decoded in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec

from ingest.fluentbit.record import CONTAINER_KEYS, DATE_KEYS
from ingest.fluentbit.table import Table
from ingest.fluentbit.times import LONGEST_TIME, are_times, times_of_dates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
_TIME = ("time", Annotated[str, msgspec.Meta(max_length=LONGEST_TIME)])


class Shape(NamedTuple):
    """How to decode records that are alike, and where their times are: None where one needs a closer look."""

    array: msgspec.json.Decoder[list[Any]]
    one: msgspec.json.Decoder[Any]
    entries: msgspec.msgpack.Decoder[list[tuple[msgspec.Raw, Any]]]
    has_time: bool
    times: Callable[[list[Any]], list[str] | None]


def _shapes(
    *fields: Any, times: Callable[[list[Any]], list[str] | None], rename: dict[str, str] | None = None
) -> tuple[Shape, Shape]:
    """Return the shapes of records that have their text under `log` and under `message`."""
    shapes = []
    for text, key in ((_LOG, "log"), (_CRI, "message")):
        names = {"text": key, **(rename or {})}
        kind: Any = msgspec.defstruct("Record", (*text, *fields), kw_only=True, gc=False, rename=names)
        shapes.append(
            Shape(
                msgspec.json.Decoder(list[kind]),
                msgspec.json.Decoder(kind),
                msgspec.msgpack.Decoder(list[tuple[msgspec.Raw, kind]]),
                _TIME in fields,
                times,
            )
        )
    return shapes[0], shapes[1]


def _own_times(records: list[Any]) -> list[str] | None:
    times = [record.time for record in records]
    return times if are_times(times) else None


# With the time that a parser keeps; without it (Time_Keep Off), with the date that the output writes first, or alone.
_TIMED = _shapes(_TIME, times=_own_times)
_DATED = {
    key: _shapes(
        ("date", msgspec.Raw),
        ("time", *_ABSENT),
        times=lambda records: times_of_dates([record.date for record in records]),
        rename={"date": key},
    )
    for key in DATE_KEYS
}
_UNTIMED = _shapes(
    *((f"date{number}", *_ABSENT) for number in range(len(DATE_KEYS))),
    ("time", *_ABSENT),
    times=lambda records: [""] * len(records),
    rename={f"date{number}": key for number, key in enumerate(DATE_KEYS)},
)


def shapes_after(first_key: str) -> Sequence[Shape]:
    """Return the shapes that records may have whose first key is this one."""
    if first_key in _DATED:
        return _TIMED + _DATED[first_key]
    return _TIMED + _UNTIMED if first_key in CONTAINER_KEYS else _TIMED


def table_of(records: Sequence[Any], times: list[str] | None) -> Table | None:
    """Return decoded records as a table; None without their times."""
    if times is None:
        return None
    return Table(
        [record.text for record in records],
        times,
        [record.stream for record in records],
        [record.kubernetes for record in records],
        readable=bool(records),
    )
