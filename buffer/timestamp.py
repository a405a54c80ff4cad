"""Timestamps: RFC 3339 text and Unix seconds."""

from __future__ import annotations

import datetime as dt
import re

_IN_UTC = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"
_ANYWHERE = _IN_UTC.removesuffix(b"Z") + rb"(?:Z|[+-]\d\d:\d\d)"

# As chunks keep and send them: in capitals, and no calendar is asked whether there is such a day.
TIMESTAMP = re.compile(_ANYWHERE, re.ASCII)
# Several, joined by newlines; and several in UTC, which can be compared as text.
TIMESTAMPS = re.compile(rb"(?:%b\n)*%b" % (_ANYWHERE, _ANYWHERE), re.ASCII)
UTC_TIMESTAMPS = re.compile(rb"(?:%b\n)*%b" % (_IN_UTC, _IN_UTC), re.ASCII)


def rfc3339(seconds: float) -> str:
    """Return Unix seconds as RFC 3339 in UTC with microseconds."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unix_seconds(time: bytes) -> float:
    """Return an RFC 3339 time as Unix seconds; one that no calendar has counts as the beginning of time."""
    try:
        return dt.datetime.fromisoformat(time.decode()).timestamp()
    except (ValueError, OverflowError):
        return 0.0
