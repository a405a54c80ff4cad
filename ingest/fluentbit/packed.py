"""Values in MessagePack, of which Fluent Bit says little: strings may hold any bytes, and keys be of any type."""

from __future__ import annotations

import struct
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack
import msgspec

from ingest.fluentbit.budget import LARGE
from ingest.fluentbit.mend import text_of
from ingest.fluentbit.record import printed
from ingest.fluentbit.table import BROKEN, Object
from ingest.fluentbit.times import time_of, time_of_number, times_of_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.fluentbit.table import Row

# What the library raises of bytes that are not MessagePack, and msgspec of values that are no JSON.
MALFORMED = (ValueError, TypeError, msgpack.UnpackException, RecursionError)

# A larger value that is no string is not mended.
_SMALL = 32 << 10
# Headers of byte strings; text of some languages has these bytes as well, so this only rules them out.
_OF_BYTES = (b"\xc4", b"\xc5", b"\xc6")
# The seconds of the markers around a group of records (Fluent Bit's log groups): -1 and -2.
_MARKERS, _OF_MARKERS = frozenset((0xFFFFFFFF, 0xFFFFFFFE)), b"\xff\xff\xff"
_EVENT_TIME = struct.Struct(">II")

_STRINGS, _STRING = msgspec.msgpack.Decoder(list[str | Object | None]), msgspec.msgpack.Decoder(str)
_VALUE = msgspec.msgpack.Decoder(ext_hook=lambda _code, _data: None)


class Codec:
    """How members of a row in MessagePack are encoded."""

    null = msgspec.Raw(b"\xc0")

    def strings(self, raws: Sequence[msgspec.Raw]) -> list[str | Object | None]:
        """Decode strings, objects without their members, and null. Raises what is in BROKEN, for other values too."""
        return _STRINGS.decode(array_of(b"".join(raws), len(raws)))

    def texts(self, values: Sequence[msgspec.Raw | Row]) -> list[str] | None:
        """Return strings as they are, all else as JSON; None where that needs a closer look at each."""
        data = msgspec.msgpack.encode(values)
        try:
            decoded: list[Any] | None = _decoded(data)
            return printed(decoded) if decoded is not None else None
        except MALFORMED:
            return None

    def as_json(self, raw: msgspec.Raw) -> msgspec.Raw:
        """Return a value as JSON."""
        return msgspec.Raw(as_json(bytes(raw)))


def as_json(data: bytes) -> bytes:
    """Return a value as JSON, whatever its strings hold; null if it is malformed, a notice if it is large and odd."""
    try:
        return msgspec.json.encode(_STRING.decode(data))
    except BROKEN:
        pass
    try:
        value = _decoded(data)
        if value is not None:
            return msgspec.json.encode(value)
    except MALFORMED:
        pass
    if len(data) > _SMALL and not _is_string(data[0]):
        return b'"[logurt] %d bytes left out: the value is too large"' % len(data)
    try:
        return msgspec.json.encode(_clean(_unpacked(data)))
    except MALFORMED:
        return b"null"


def _decoded(data: bytes) -> Any:
    """Decode a value; None if it is null or large, or holds bytes, which are text. Raises what is in MALFORMED."""
    value = _VALUE.decode(data) if len(data) <= LARGE else None
    return None if any(header in data for header in _OF_BYTES) and _holds_bytes(value) else value


def _holds_bytes(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_bytes, value)) or any(map(_holds_bytes, value.values()))
    return any(map(_holds_bytes, value)) if isinstance(value, list) else isinstance(value, bytes)


def row_of(record: bytes) -> Row | None:
    """Return the members of a record whose keys are not all strings; None if it is no map, malformed or large."""
    try:
        members = _unpacked(record) if len(record) <= _SMALL else None
    except MALFORMED:
        return None
    if not isinstance(members, dict):
        return None
    return {key: msgspec.Raw(msgspec.msgpack.encode(value)) for key, value in members.items()}


def may_mark_groups(heads: list[msgspec.Raw]) -> bool:
    """Tell whether any of these heads of entries may be that of one that only marks a group."""
    return _OF_MARKERS in b"".join(heads)


def times_of(heads: list[msgspec.Raw]) -> list[str | None]:
    """Return the times of entries as RFC 3339, "" where there is none, and None for those that mark a group."""
    times = None if may_mark_groups(heads) else times_of_events(heads)
    return [*times] if times else [_time(bytes(head)) for head in heads]


def _time(head: bytes) -> str | None:
    try:
        value = _unpacked(head) if head else None
    except MALFORMED:
        return ""
    value = value[0] if isinstance(value, list) and value else value
    if isinstance(value, _EventTime):
        return None if value.seconds in _MARKERS else time_of(value.seconds, value.nanoseconds, 9)
    is_number = isinstance(value, int | float) and isfinite(value)
    return time_of_number(repr(value)) if is_number else ""


class _EventTime(NamedTuple):
    seconds: int
    nanoseconds: int


def _unpacked(data: bytes) -> Any:
    """Unpack a value; bytes and keys become text, what JSON has not becomes None. Raises what is in MALFORMED."""
    return msgpack.unpackb(
        data, raw=True, strict_map_key=False, object_pairs_hook=_dict, list_hook=_list, ext_hook=_extension
    )


def _dict(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    return {str(_clean(key)): _clean(value) for key, value in pairs}


def _list(items: list[Any]) -> list[Any]:
    return [item if isinstance(item, _EventTime) else _clean(item) for item in items]


def _extension(code: int, data: bytes) -> _EventTime | None:
    return _EventTime(*_EVENT_TIME.unpack(data)) if code == 0 and len(data) == _EVENT_TIME.size else None


def _clean(value: Any) -> Any:
    if isinstance(value, bytes):
        return text_of(value)
    return None if isinstance(value, _EventTime | msgpack.Timestamp) else value


def array_of(values: bytes | memoryview, count: int) -> bytes:
    """Return so many values, one after the other, as one array."""
    return b"".join((b"\xdd", count.to_bytes(4, "big"), values))


def is_map(first: int) -> bool:
    """Tell whether a value with this first byte is a map."""
    return 0x80 <= first <= 0x8F or first in (0xDE, 0xDF)


def _is_string(first: int) -> bool:
    return 0xA0 <= first <= 0xBF or first in (0xC4, 0xC5, 0xC6, 0xD9, 0xDA, 0xDB)
