"""Times as Fluent Bit sends them, in text, numbers or MessagePack, as RFC 3339."""

from __future__ import annotations

import datetime as dt
import re
import struct
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from buffer.timestamp import TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_TIME = 64
_LONGEST_NUMBER = 32
# No number with so few characters is beyond what `time_of_number` knows.
_LONGEST_DATE = 20
# The year 10000, which RFC 3339 does not have.
_END_OF_TIME = 253_402_300_800
# Json_date_format java_sql_timestamp: UTC, without saying so.
_SQL = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,9})?)", re.ASCII)
# All texts that are dates in capitals: RFC 3339, or the former without a zone.
DATE_TEXT = rf"^(?:{TIMESTAMP.pattern.decode()}|{TIMESTAMP.pattern.decode().partition('(?:Z')[0].replace('T', ' ')})\Z"
# Any number between these is a date.
AFTER, BEFORE = 0, 10**20
# What is left of dates without their digits: numbers, iso8601, java_sql_timestamp.
_DIGITS = b"0123456789"
_INTEGER, _DOUBLE, _ISO, _SQL_TIME = b"", b".", b'"--T::.Z"', b'"-- ::."'
# Digits of seconds of this age, of a double's fraction, and of integers in any unit.
_SECONDS, _FRACTION, _UNITS = 10, 6, ({10}, {13}, {16}, {19})
# A body has lines of a few seconds. Each takes more than a microsecond.
_MOST_SECONDS = 2048
# Fluentd's EventTime in MessagePack, extension type 0 of eight bytes; it may be the first of two items.
_EVENT_TIME = b"\xd7\x00"
_BILLION = 10**9
_BEFORE_EVENT_TIME = (b"", b"\x92", b"\xdc\x00\x02", b"\xdd\x00\x00\x00\x02")


def are_times(texts: Sequence[str]) -> bool:
    """Tell whether all texts look like RFC 3339 times: quick, and wrong only about what looks very like one."""
    return "".join(texts).encode().translate(None, b"0123456789-:.+Z") == b"T" * len(texts)


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
    column, form = _column(dates)
    if form == _DOUBLE:
        parts = column.replace(b".", b"\n").decode().split("\n")
        seconds, fractions = parts[::2], [fraction.ljust(_FRACTION, "0") for fraction in parts[1::2]]
        is_usual = {*map(len, seconds)} == {_SECONDS} and {*map(len, fractions)} == {_FRACTION}
        return _times(seconds, fractions) if is_usual else None
    if form == _INTEGER:
        texts = column.decode().split("\n")
        if {*map(len, texts)} not in _UNITS:
            return None
        return _times([text[:_SECONDS] for text in texts], [text[_SECONDS:] for text in texts])
    if form == _SQL_TIME:
        return (column[1:-1].replace(b" ", b"T").replace(b'"\n"', b"Z\n") + b"Z").decode().split("\n")
    return column[1:-1].decode().split('"\n"') if form == _ISO else None


def are_dates(dates: Sequence[msgspec.Raw]) -> bool:
    """Tell whether all dates are in one of Fluent Bit's formats; False if that has to be looked at closely."""
    _, form = _column(dates)
    return form in (_ISO, _SQL_TIME) or (form in (_INTEGER, _DOUBLE) and len(max(dates, key=len)) <= _LONGEST_DATE)


def _column(dates: Sequence[msgspec.Raw]) -> tuple[bytes, bytes | None]:
    """Return dates in JSON as lines, and what all have in common beside their digits; None if they differ."""
    column = b"\n".join(dates)
    forms = column.translate(None, _DIGITS)
    form = forms.partition(b"\n")[0]
    return column, form if forms == b"\n".join([form] * len(dates)) else None


def _times(seconds: Sequence[int | str], fractions: Sequence[str]) -> list[str] | None:
    """Return seconds since 1970 and as many digits behind each as RFC 3339; None if that takes long."""
    point, different = "." if fractions[0] else "", set(seconds)
    if len(different) > _MOST_SECONDS:
        return None
    texts = {second: _second(second) + point for second in different}
    return [f"{texts[second]}{fraction}Z" for second, fraction in zip(seconds, fractions, strict=True)]


def times_of_events(heads: Sequence[bytes | msgspec.Raw]) -> list[str] | None:
    """Return the EventTimes that entries in MessagePack begin with as RFC 3339; None unless all begin alike."""
    first, joined = bytes(heads[0]) if heads else b"", b"".join(heads)
    size, before = len(first), first.find(_EVENT_TIME) + len(_EVENT_TIME)
    after = before + 8
    if first[: before - len(_EVENT_TIME)] not in _BEFORE_EVENT_TIME or size < after or len(joined) != size * len(heads):
        return None
    if any(joined[at::size].strip(first[at : at + 1]) for at in (*range(before), *range(after, size))):
        return None
    seconds, nanoseconds = zip(*struct.iter_unpack(f">{before}x2I{size - after}x", joined), strict=True)
    if max(nanoseconds) >= _BILLION:
        return None
    # A billion is added for the zeros in front; JSON is the quickest way to write many numbers.
    fractions = msgspec.json.encode([_BILLION + number for number in nanoseconds])[2:-1].decode().split(",1")
    return _times(seconds, fractions)


@lru_cache(_MOST_SECONDS)
def _second(seconds: int | str) -> str:
    """Return a second since 1970 without its zone; lines of a body share a few of them."""
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
