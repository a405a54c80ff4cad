"""Times as Fluent Bit sends them, in text, numbers or MessagePack, as RFC 3339."""

from __future__ import annotations

import datetime as dt
import re
import struct
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING

from buffer.timestamp import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

LONGEST_TIME = 64
_LONGEST_NUMBER = 32
# The year 10000, which RFC 3339 does not have.
_END_OF_TIME = 253_402_300_800
# Json_date_format java_sql_timestamp: UTC, without saying so.
_SQL = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,9})?)", re.ASCII)
# Seconds of this age, as Fluent Bit writes a double or an integer.
_NUMBER = re.compile(r"([1-9][0-9]{9})((?:\.[0-9]{1,6})?+)")
# Columns of dates, a line each: a double as Fluent Bit writes it, or seconds to nanoseconds; both of this age.
_DOUBLES = re.compile(r"(?:[1-9][0-9]{9}\.[0-9]{1,6}\n)*+")
_INTEGERS = re.compile(r"(?:[1-9][0-9]{9}(?:[0-9]{3}){0,3}\n)*+")
_SQLS = re.compile(r'(?:"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?+"\n)*+')
# Fluentd's EventTime in MessagePack, extension type 0 of eight bytes; it may be the first of two items.
_EVENT_TIME = b"\xd7\x00"
_BEFORE_EVENT_TIME = (b"", b"\x92", b"\xdc\x00\x02", b"\xdd\x00\x00\x00\x02")


def are_times(texts: Sequence[str]) -> bool:
    """Tell whether all texts look like RFC 3339 times: quick, and wrong only about what looks very like one."""
    joined = "".join(texts).encode()
    return joined.count(b"T") == len(texts) and not joined.translate(None, b"0123456789-:.+TZ")


def time_of_text(text: str) -> str:
    """Return RFC 3339 in capitals, as chunks and many a reader want it; "" for what is no time."""
    time = text.upper() if len(text) <= LONGEST_TIME else ""
    return time if TIMESTAMP.fullmatch(time.encode()) else ""


def time_of_sql(text: str) -> str:
    """Return a java_sql_timestamp as RFC 3339; "" for what is none."""
    sql = _SQL.fullmatch(text)
    return time_of_text(f"{sql[1]}T{sql[2]}Z") if sql else ""


def time_of_number(literal: str) -> str:
    """Return a number since 1970 as RFC 3339 in UTC; its size tells seconds from milli-, micro- and nanoseconds."""
    if found := _NUMBER.fullmatch(literal):
        return f"{_second(found[1])}{found[2].ljust(7, '0')}Z" if found[2] else f"{_second(found[1])}Z"
    try:
        number = Decimal(literal if len(literal) <= _LONGEST_NUMBER else "")
    except InvalidOperation:
        return ""  # JSON knows exponents of any length
    # A double of today has six digits after the point and noise behind them.
    digits = 6 if "." in literal or "e" in literal.lower() else 0
    for scale, bound in ((0, 10**11), (3, 10**14), (6, 10**17), (9, 10**20)):
        if number < bound:
            digits = max(digits, scale)
            count = int((number.scaleb(digits - scale)).to_integral_value())
            return time_of(count // 10**digits, count % 10**digits, digits)
    return ""


def time_of(seconds: int, fraction: int, digits: int) -> str:
    """Return seconds since 1970 and a fraction of so many digits as RFC 3339; "" if there is no such time."""
    if not 0 <= seconds < _END_OF_TIME or fraction >= 10**digits:
        return ""
    return f"{_second(seconds)}.{fraction:0{digits}}Z" if digits else f"{_second(seconds)}Z"


def times_of_dates(dates: Sequence[msgspec.Raw]) -> list[str] | None:
    """Return a column of dates in JSON, all in one of Fluent Bit's formats, as RFC 3339; None for any others."""
    column = b"\n".join(dates).decode("utf-8", "replace") + "\n"
    texts = column.split("\n")[:-1]
    if _DOUBLES.fullmatch(column):
        return [f"{_second(text[:10])}{text[10:].ljust(7, '0')}Z" for text in texts]
    if _INTEGERS.fullmatch(column):
        return [f"{_second(text[:10])}{'.' if text[10:] else ''}{text[10:]}Z" for text in texts]
    if _SQLS.fullmatch(column):
        column = column.replace(" ", "T").replace('"\n', 'Z"\n')
    texts = column.replace('"', "").split("\n")[:-1]
    return texts if len(texts) == len(dates) and are_times(texts) else None


def times_of_events(heads: Sequence[bytes | msgspec.Raw]) -> list[str] | None:
    """Return the EventTimes that entries in MessagePack begin with as RFC 3339; None unless all begin alike."""
    first, joined = bytes(heads[0]) if heads else b"", b"".join(heads)
    size, before = len(first), first.find(_EVENT_TIME) + len(_EVENT_TIME)
    after = before + 8
    if first[: before - len(_EVENT_TIME)] not in _BEFORE_EVENT_TIME or size < after or len(joined) != size * len(heads):
        return None
    if any(joined[at::size].strip(first[at : at + 1]) for at in (*range(before), *range(after, size))):
        return None
    parts = list(struct.iter_unpack(f">{before}x2I{size - after}x", joined))
    if max(nanoseconds for _, nanoseconds in parts) >= 10**9:
        return None
    return [f"{_second(seconds)}.{nanoseconds:09}Z" for seconds, nanoseconds in parts]


@lru_cache(1024)
def _second(seconds: int | str) -> str:
    """Return a second since 1970 without its zone; lines of a body share a few of them."""
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
