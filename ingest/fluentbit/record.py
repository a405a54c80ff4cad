"""What one record says: its text, its time and its output stream, in the shapes that set-ups of Fluent Bit give it.

The text is under `log`; with `Parser cri` under `message`; with Merge_Log and Keep_Log Off the application's own keys
stand among those of Fluent Bit, and are put together again.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

import msgspec

from ingest.fluentbit import metadata, repair

if TYPE_CHECKING:
    from buffer.source import Source

LONGEST_TIME = 64
# Stricter than what a chunk takes for a time (`buffer.timestamp`): this decides whether a member is a time of Fluent
# Bit's or belongs to the application, and a date that no calendar has is not Fluent Bit's.
_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
# Json_date_format java_sql_timestamp: UTC, without saying so.
_SQL_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,9})?)", re.ASCII)
# What is written first when Json_date_key is not set, and what is often set.
_DATE_KEYS = frozenset(("date", "timestamp", "@timestamp"))
# What follows it in a record of a container.
_CONTAINER_KEYS = frozenset(("time", "stream", "_p", "logtag", "log", "message", "kubernetes"))
_ALWAYS_OURS = frozenset(("_p", "logtag", "kubernetes", "log"))
_STREAMS = frozenset(("stdout", "stderr"))
_LONGEST_NUMBER = 32
# The year 10000, which RFC 3339 does not have.
_END_OF_TIME = 253_402_300_800
# A larger value is made compact without being made into Python objects.
_LARGE = 256 << 10

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
# Floats stay as they were written.
_VALUE = msgspec.json.Decoder(float_hook=lambda literal: msgspec.Raw(literal.encode()))
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


class Line(NamedTuple):
    """One line, with its source; `time` is RFC 3339 or "", `stream` is stdout, stderr or None."""

    source: Source
    text: str
    time: str
    stream: str | None


_Time: TypeAlias = Annotated[str, msgspec.Meta(max_length=LONGEST_TIME)]
_Stream: TypeAlias = Literal["stdout", "stderr"] | None


class LogRecord(msgspec.Struct, gc=False, rename={"text": "log"}):
    """A record as the docker and cri multiline parsers and the docker parser make it."""

    text: str
    time: _Time
    stream: _Stream = None
    kubernetes: msgspec.Raw = msgspec.Raw(b"")


class CriRecord(msgspec.Struct, gc=False, rename={"text": "message"}):
    """A record as `Parser cri` makes it: an empty line has no `message`."""

    logtag: str
    time: _Time
    text: str = ""
    stream: _Stream = None
    kubernetes: msgspec.Raw = msgspec.Raw(b"")
    log: msgspec.UnsetType = msgspec.UNSET


class UnreadableError(ValueError):
    """A record that is no JSON object, even when mended."""


def line_of(data: bytes, sent: str, tagged: Source | None) -> Line | None:
    """Return the line of a record in JSON; None if it has no usable text or namespace. Raises UnreadableError.

    `sent` is the time that stands beside the record, `tagged` the source that the tag names.
    """
    if repair.is_crowded(data):
        return None
    try:
        return _read(_MEMBERS.decode(data), sent, tagged)
    except _BROKEN:
        pass
    try:
        return _read(_MEMBERS.decode(repair.mend(data)), sent, tagged)
    except _BROKEN as error:
        raise UnreadableError from error


def _read(members: dict[str, msgspec.Raw], sent: str, tagged: Source | None) -> Line | None:
    found = metadata.from_json(members["kubernetes"]) if "kubernetes" in members else None
    source = metadata.completed(found, tagged)
    if source is None:
        return None
    text = _text(members)
    if text is None:
        return None
    stream = _string(members.get("stream"))
    return Line(source, text, _time(members) or sent, stream if stream in _STREAMS else None)


def _text(members: dict[str, msgspec.Raw]) -> str | None:
    log = members.get("log")
    if log is not None and bytes(log) != b"null":
        return _compact(log)
    message = members.get("message")
    if "logtag" in members and message is not None and bytes(message).startswith(b'"'):
        return _TEXT.decode(message)
    return _merged(members)


def _merged(members: dict[str, msgspec.Raw]) -> str | None:
    """Put together again what Merge_Log took apart, without the keys of Fluent Bit."""
    others = {key: raw for key, raw in members.items() if not _is_ours(key, raw)}
    date = _date_key(members)
    others.pop(date, None)
    if not others:
        # An empty line of `Parser cri`; an empty object of the application.
        return "" if "logtag" in members else "{}" if "_p" in members else None
    if len(others) == 1:
        key, raw = others.popitem()
        if key in ("message", "msg", "log_processed"):
            return _compact(raw)
        others[key] = raw
    pairs = (msgspec.json.encode(key).decode() + ":" + _printed(raw) for key, raw in others.items())
    return "{" + ",".join(pairs) + "}"


def _is_ours(key: str, raw: msgspec.Raw) -> bool:
    if key == "time":
        return is_time(_string(raw))
    if key == "stream":
        return _string(raw) in _STREAMS
    return key in _ALWAYS_OURS


def _compact(raw: msgspec.Raw) -> str:
    """Return a string as it is, any other value as JSON without spaces."""
    return _TEXT.decode(raw) if bytes(raw).startswith(b'"') else _printed(raw)


def _printed(raw: msgspec.Raw) -> str:
    data = bytes(raw)
    if len(data) > _LARGE:
        return msgspec.json.format(data, indent=-1).decode()
    return msgspec.json.encode(_VALUE.decode(data)).decode()


def _string(raw: msgspec.Raw | None) -> str:
    """Return a short string; "" for anything else."""
    data = bytes(raw) if raw is not None and len(raw) <= 2 * LONGEST_TIME else b""
    return _TEXT.decode(data) if data.startswith(b'"') else ""


def all_times(times: list[str]) -> bool:
    """Tell whether all texts look like RFC 3339 times: quick, and wrong only about what looks very like one."""
    joined = "".join(times).encode()
    return joined.count(b"T") == len(times) and not joined.translate(None, b"0123456789-:.+TZ")


def is_time(text: str) -> bool:
    """Tell whether a text is an RFC 3339 time."""
    return len(text) <= LONGEST_TIME and _TIME.fullmatch(text) is not None


def _time(members: dict[str, msgspec.Raw]) -> str:
    time = _string(members.get("time"))
    if is_time(time):
        return time.upper()  # T and Z may be small; chunks, and many a reader, know them only as capitals
    date = _date_key(members)
    return _date(members[date]) if date else ""


def _date_key(members: dict[str, msgspec.Raw]) -> str:
    """Return the key that Fluent Bit's output plugin wrote first, "" if it wrote none."""
    keys = iter(members)
    first, second = next(keys, ""), next(keys, "")
    known = first in _DATE_KEYS or (second in _CONTAINER_KEYS and first not in _CONTAINER_KEYS)
    return first if known and _date(members[first]) else ""


def _date(raw: msgspec.Raw) -> str:
    """Return a date of any Json_date_format as RFC 3339, "" if it is none."""
    text = _string(raw)
    if is_time(text):
        return text.upper()
    if sql := _SQL_TIME.fullmatch(text):
        text = f"{sql[1]}T{sql[2]}Z"
        return text if is_time(text) else ""
    data = bytes(raw) if len(raw) <= _LONGEST_NUMBER else b""
    return rfc3339(data.decode()) if data[:1].isdigit() else ""


def rfc3339(literal: str) -> str:
    """Return a number since 1970 as RFC 3339 in UTC; its size tells seconds from milli-, micro- and nanoseconds."""
    try:
        number = Decimal(literal)
    except InvalidOperation:
        return ""  # JSON knows exponents of any length
    # A double of today has six digits after the point and noise behind them.
    digits = 6 if "." in literal or "e" in literal.lower() else 0
    for scale, bound in ((0, 10**11), (3, 10**14), (6, 10**17), (9, 10**20)):
        if number < bound:
            digits = max(digits, scale)
            count = int((number.scaleb(digits - scale)).to_integral_value())
            return timestamp(count // 10**digits, count % 10**digits, digits)
    return ""


def timestamp(seconds: int, fraction: int, digits: int) -> str:
    """Return seconds since 1970 and a fraction of so many digits as RFC 3339; "" if there is no such time."""
    if not 0 <= seconds < _END_OF_TIME or fraction >= 10**digits:
        return ""
    whole = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{fraction:0{digits}}Z" if digits else f"{whole}Z"
