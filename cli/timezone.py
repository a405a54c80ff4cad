"""Times as the server sends them, converted to a time zone."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo

from cli.errors import BadInput

LOCAL = "local"

# An RFC 3339 time: whole seconds, their fraction, the offset.
_TIME = re.compile(r"([0-9-]{10}T[0-9:]{8})(\.[0-9]+)?(Z|[+-][0-9:]{5})")
_MOST_SECONDS = 1000


class TimeZone:
    """A time zone of the IANA database, or this machine's own for None."""

    def __init__(self, zone: dt.tzinfo | None) -> None:
        self._zone = zone
        self._seconds: dict[tuple[str, str], tuple[str, str]] = {}  # lines of the same second differ in its fraction

    @classmethod
    def parse(cls, name: str) -> TimeZone:
        """Read a name such as Europe/Berlin, or `local`. Raises BadInput."""
        if name.lower() == LOCAL:
            return cls(None)
        try:
            return cls(zoneinfo.ZoneInfo(name))
        except (KeyError, ValueError, OSError):
            pass
        if not zoneinfo.available_timezones():
            raise BadInput("this machine has no time zones: install its package tzdata, or `pip install tzdata`")
        raise BadInput(f"--timezone must be a name such as Europe/Berlin or UTC, or local, not {name!r}")

    def shown(self, timestamp: str) -> str:
        """Return an RFC 3339 time in this zone, to the same fraction of a second; anything else as it is."""
        match = _TIME.fullmatch(timestamp)
        if match is None:
            return timestamp
        second, fraction, offset = match.groups(default="")
        converted = self._seconds.get((second, offset))
        if converted is None:
            try:
                time = dt.datetime.fromisoformat(f"{second}{offset}").astimezone(self._zone).isoformat()
            except (ValueError, OverflowError):
                return timestamp
            converted = time[:19], time[19:]
            if len(self._seconds) >= _MOST_SECONDS:
                self._seconds.clear()
            self._seconds[second, offset] = converted
        return f"{converted[0]}{fraction}{converted[1]}"
