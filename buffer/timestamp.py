"""Timestamps: RFC 3339 text and Unix seconds."""

from __future__ import annotations

import datetime as dt
import re

# As chunks keep and send them: in capitals. No calendar is asked whether a month has such a day.
_IN_UTC = (
    rb"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?+Z"
)
_ANYWHERE = _IN_UTC.removesuffix(b"Z") + rb"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

TIMESTAMP = re.compile(_ANYWHERE)
# Several, joined by newlines; and several in UTC, which can be compared as text.
TIMESTAMPS = re.compile(rb"(?:%b\n)*%b" % (_ANYWHERE, _ANYWHERE))
UTC_TIMESTAMPS = re.compile(rb"(?:%b\n)*%b" % (_IN_UTC, _IN_UTC))


def rfc3339(seconds: float) -> str:
    """Return Unix seconds as RFC 3339 in UTC with microseconds."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unix_seconds(time: bytes) -> float:
    """Return an RFC 3339 time as Unix seconds; one that no calendar has counts as the beginning of time."""
    try:
        return dt.datetime.fromisoformat(time.decode()).timestamp()
    except (ValueError, OverflowError):
        return 0.0
