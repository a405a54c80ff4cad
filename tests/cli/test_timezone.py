from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING

import pytest

from cli.errors import BadInput
from cli.timezone import TimeZone

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("zone", "timestamp", "shown"),
    [
        ("Europe/Berlin", "2026-11-22T19:50:01.123456789Z", "2026-11-22T20:50:01.123456789+01:00"),
        ("Europe/Berlin", "2026-07-22T23:50:01Z", "2026-07-23T01:50:01+02:00"),
        ("Asia/Kolkata", "2026-11-22T19:50:01.5+02:00", "2026-11-22T23:20:01.5+05:30"),
        ("UTC", "2026-11-22T19:50:01.5-05:00", "2026-11-23T00:50:01.5+00:00"),
    ],
)
def test_a_time_is_shown_in_a_zone_to_the_nanosecond(zone: str, timestamp: str, shown: str) -> None:
    zoned = TimeZone.parse(zone)
    assert [zoned.shown(timestamp), zoned.shown(timestamp)] == [shown, shown]


def test_local_is_the_zone_of_this_machine() -> None:
    assert TimeZone.parse("Local").shown("2026-11-22T12:00:00Z").startswith("2026-11-2")


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "yesterday",
        "2026-13-22T19:50:01Z",
        "2016-12-31T23:59:60Z",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+23:00",
    ],
)
def test_what_is_no_time_is_shown_as_it_is(timestamp: str) -> None:
    assert TimeZone.parse("America/New_York").shown(timestamp) == timestamp


def test_many_different_seconds_are_shown() -> None:
    zoned = TimeZone.parse("Asia/Kolkata")
    shown = [
        zoned.shown(f"2026-11-22T{second // 3600:02}:{second // 60 % 60:02}:00Z") for second in range(0, 66_000, 30)
    ]
    assert (shown[0], shown[-1]) == ("2026-11-22T05:30:00+05:30", "2026-11-22T23:49:00+05:30")


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "Europe", "../etc/passwd", "/etc/passwd", "a\0b", "\ud800"])
def test_a_zone_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="--timezone must be a name such as Europe/Berlin or UTC, or local, not"):
        TimeZone.parse(name)


@pytest.fixture
def _no_zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without a time zone database."""
    before = zoneinfo.TZPATH
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    zoneinfo.reset_tzpath(["/nowhere"])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath(before)


@pytest.mark.usefixtures("_no_zones")
def test_a_machine_without_time_zones_needs_tzdata() -> None:
    with pytest.raises(BadInput, match="install its package tzdata"):
        TimeZone.parse("Europe/Paris")
