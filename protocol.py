"""What both ends of the wire know: close codes, reasons of gaps, durations, times. docs/protocol.md has it in prose."""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple

VERSION = "0.1.0"


class Disconnect(NamedTuple):
    """Why a stream ends: a WebSocket close code (RFC 6455, section 7.4), its reason, and whether to come back."""

    code: int
    reason: str
    reconnect: bool


# RFC 6455, section 5.5: a control frame has 125 bytes, two of which are the code.
MAX_REASON_BYTES = 123

FINISHED = Disconnect(1000, "all sent", reconnect=False)
STOPPING = Disconnect(1001, "the server is stopping", reconnect=True)
BAD_MESSAGE = Disconnect(1008, "the message makes no sense", reconnect=False)
BAD_REQUEST = Disconnect(4400, "the request is wrong", reconnect=False)
EXPIRED = Disconnect(4401, "the token has expired", reconnect=False)
FORBIDDEN = Disconnect(4403, "this is not allowed", reconnect=False)
STALLED = Disconnect(4408, "nothing was read for too long", reconnect=True)
UNAVAILABLE = Disconnect(4503, "the server is busy", reconnect=True)
DISCONNECTS = (FINISHED, STOPPING, BAD_MESSAGE, BAD_REQUEST, EXPIRED, FORBIDDEN, STALLED, UNAVAILABLE)

# How a page is told what other clients get as an HTTP status, which browsers hide from a page that opens a WebSocket.
_REFUSALS = {400: BAD_REQUEST, 401: EXPIRED, 403: FORBIDDEN, 503: UNAVAILABLE}


def refusal(status: int, sentence: str) -> Disconnect | None:
    """Return the disconnect that stands for a refusal with this HTTP status; None if there is none."""
    disconnect = _REFUSALS.get(status)
    if disconnect is None:
        return None
    return disconnect._replace(reason=sentence.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))


# Why lines are missing from a stream.
GAP_REASONS = {
    "slow": "this reader was too slow",
    "evicted": "they left the buffer before they could be sent",
    "restarted": "the server has started anew since this reader left",
}


def gap_sentence(lost: int | None, reason: str) -> str:
    """Return the sentence that reports a gap of so many lines (None: nobody knows) in the text format."""
    lines = "an unknown number of lines" if lost is None else f"{lost} line{'' if lost == 1 else 's'}"
    return f"[logurt] {lines} lost: {GAP_REASONS.get(reason, reason)}"


_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)


def parse_duration(text: str) -> int | None:
    """Return a duration such as 90s, 5m, 1h30m or 2d in seconds; None for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


# RFC 3339, section 5.6; whether there is such a day is for the calendar to say.
_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)


def parse_time(text: str) -> float | None:
    """Return an RFC 3339 time in Unix seconds; None for anything else, and for a time that no calendar has."""
    if _TIME.fullmatch(text) is None:
        return None
    try:
        return dt.datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        return None
