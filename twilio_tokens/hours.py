"""When hours and days begin, in the site's time zone or in another."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone, tzinfo

from django.conf import settings as django_settings
from django.utils.timezone import get_default_timezone, is_naive

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def start_of_hour(moment: datetime, zone: tzinfo | None = None) -> datetime:
    """In UTC, where an hour in India, for example, begins at half past.

    Without USE_TZ, all moments are naive and in the site's time zone.
    """
    if is_naive(moment):
        return moment.replace(minute=0, second=0, microsecond=0)
    utc = moment.astimezone(timezone.utc)
    offset = utc.astimezone(zone or get_default_timezone()).utcoffset() or timedelta()
    return utc - (utc - _EPOCH + offset) % HOUR


def hours_between(start: datetime, end: datetime, zone: tzinfo | None = None) -> list[datetime]:
    """The starts of the hours from ``start``, which is one itself, to before ``end``."""
    hours = []
    while start < end:
        hours.append(start)
        start = start_of_hour(start + HOUR, zone)
    return hours


def day_of(moment: datetime, zone: tzinfo | None = None) -> date:
    return (
        moment if is_naive(moment) else moment.astimezone(zone or get_default_timezone())
    ).date()


def start_of_day(day: date, zone: tzinfo | None = None) -> datetime:
    """Midnight in UTC. If clocks go forward at midnight, the moment when they do."""
    midnight = datetime.combine(day, time.min)
    if not django_settings.USE_TZ:
        return midnight
    return midnight.replace(tzinfo=zone or get_default_timezone()).astimezone(timezone.utc)
