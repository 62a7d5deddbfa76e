"""Moments, as people read them: in their language, their format and their time zone."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format


def to_the_minute(moment: datetime) -> str:
    """As Django's own columns show it."""
    return date_format(_local(moment), "DATETIME_FORMAT")


def to_the_second(moment: datetime) -> str:
    """Django's own formats leave the seconds out."""
    local = _local(moment)
    return f"{date_format(local, 'DATE_FORMAT')}, {date_format(local, 'H:i:s')}"


def _local(moment: datetime) -> datetime:
    """The database of a site without USE_TZ holds naive ones, which are local already."""
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment
