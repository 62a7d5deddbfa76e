"""Where hours and days begin, in zones whose clocks are odd."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from twilio_tokens.hours import HOUR, day_of, hours_between, start_of_day, start_of_hour

UTC = timezone.utc


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("UTC", utc(2026, 3, 1, 12)),
        ("Asia/Kolkata", utc(2026, 3, 1, 12, 30)),
        ("Asia/Kathmandu", utc(2026, 3, 1, 12, 15)),
        ("America/St_Johns", utc(2026, 3, 1, 12, 30)),
        ("Europe/Berlin", utc(2026, 3, 1, 12)),
    ],
)
def test_an_hour_begins_when_the_clocks_of_the_zone_say_so(
    zone: str, start: datetime, settings: Any
) -> None:
    moment = utc(2026, 3, 1, 12, 59, 59)
    assert start_of_hour(moment, ZoneInfo(zone)) == start
    assert start_of_hour(moment.astimezone(ZoneInfo("Asia/Tokyo")), ZoneInfo(zone)) == start
    settings.TIME_ZONE = zone
    assert start_of_hour(moment) == start
    assert start_of_hour(start) == start


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 28), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Asia/Beirut", date(2026, 3, 29), 23),  # midnight is left out
        ("America/Havana", date(2026, 11, 1), 25),  # midnight comes twice
        ("Asia/Kathmandu", date(2026, 3, 29), 24),
    ],
)
def test_a_day_has_as_many_hours_as_its_clocks_strike(zone: str, day: date, hours: int) -> None:
    tz = ZoneInfo(zone)
    start, end = start_of_day(day, tz), start_of_day(day + timedelta(days=1), tz)
    found = hours_between(start, end, tz)
    assert len(found) == hours
    assert found[0] == start
    assert found[-1] + HOUR == end
    assert day_of(start, tz) == day_of(end - timedelta(seconds=1), tz) == day
    assert day_of(end, tz) == day + timedelta(days=1)


def test_clocks_that_are_put_back_by_half_an_hour_go_on() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    start, end = (start_of_day(date(2026, 4, each), lord_howe) for each in (5, 6))
    hours = hours_between(start, end, lord_howe)
    assert hours == sorted(set(hours))
    assert len(hours) == 25


def test_without_time_zones_the_clock_counts(settings: Any) -> None:
    settings.USE_TZ = False
    moment = datetime(2026, 3, 1, 12, 59)  # noqa: DTZ001
    assert start_of_hour(moment) == datetime(2026, 3, 1, 12)  # noqa: DTZ001
    assert day_of(moment) == date(2026, 3, 1)
    assert start_of_day(date(2026, 3, 1)) == datetime(2026, 3, 1)  # noqa: DTZ001
