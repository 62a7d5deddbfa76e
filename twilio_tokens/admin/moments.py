"""Moments as people read them: in their language, format and time zone."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format


def to_the_minute(moment: datetime) -> str:
    """In the format of Django's own columns."""
    return date_format(_local(moment), "DATETIME_FORMAT")


def to_the_second(moment: datetime) -> str:
    """Django's own formats leave out the seconds."""
    local = _local(moment)
    return f"{date_format(local, 'DATE_FORMAT')}, {date_format(local, 'H:i:s')}"


def _local(moment: datetime) -> datetime:
    """Without USE_TZ, the database holds naive moments, which are local already."""
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment
