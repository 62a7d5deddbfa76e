"""The hours, days or months that a chart covers, in the viewer's time zone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import Case
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from twilio_tokens.hours import DAY, HOUR, day_of, hours_between, start_of_day, start_of_hour
from twilio_tokens.models import number_of

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: How many of each a chart shows. The last one is not over yet. The titles in UNITS repeat them.
HOURS, DAYS, MONTHS = 48, 31, 12


@dataclass(frozen=True)
class Period:
    start: datetime
    #: Below the chart, and in its table, respectively.
    short: str
    long: str


@dataclass(frozen=True)
class Periods:
    all: list[Period]
    end: datetime

    @property
    def start(self) -> datetime:
        return self.all[0].start

    def number(self, field: str) -> Case:
        """The number of the period that contains a row's moment."""
        return number_of(field, [*(each.start for each in self.all[1:]), self.end])

    def place(self, moment: datetime) -> int:
        """The same for one moment, which is not before the first period."""
        found = bisect_right(self.all, moment, key=lambda each: each.start)
        return found - 1


def _hours(now: datetime, zone: tzinfo) -> Periods:
    end = start_of_hour(start_of_hour(now, zone) + HOUR, zone)
    start = start_of_hour(end - HOURS * HOUR, zone)
    hours = hours_between(start, end, zone)
    return Periods([Period(each, *_hour(each)) for each in hours], end)


def _hour(start: datetime) -> tuple[str, str]:
    local = timezone.localtime(start) if timezone.is_aware(start) else start
    short = date_format(local, "H:i")
    # When clocks go back, two hours differ only in the name of the time zone.
    return (
        short,
        f"{date_format(local, 'SHORT_DATE_FORMAT')}, {short} {local.tzname() or ''}".strip(),
    )


def _days(now: datetime, zone: tzinfo) -> Periods:
    today = day_of(now, zone)
    days = [today - DAY * ago for ago in reversed(range(DAYS))]
    return _of_dates([*days, today + DAY], zone, "j M", "DATE_FORMAT")


def _months(now: datetime, zone: tzinfo) -> Periods:
    today = day_of(now, zone)
    this = 12 * today.year + today.month - 1
    numbers = range(this - MONTHS + 1, this + 2)
    months = [date(number // 12, number % 12 + 1, 1) for number in numbers]
    return _of_dates(months, zone, "M", "YEAR_MONTH_FORMAT")


def _of_dates(dates: list[date], zone: tzinfo, short: str, long: str) -> Periods:
    *starts, end = (start_of_day(each, zone) for each in dates)
    periods = zip(starts, dates, strict=False)
    return Periods(
        [Period(start, date_format(day, short), date_format(day, long)) for start, day in periods],
        end,
    )


class Unit(NamedTuple):
    """Whole titles, since not every language can put the period into a sentence unchanged."""

    label: _StrOrPromise
    issued: _StrOrPromise
    refused: _StrOrPromise
    reasons: _StrOrPromise
    periods: Callable[[datetime, tzinfo], Periods]


#: By their names in the page's address.
UNITS = {
    "hours": Unit(
        _("Hours"),
        _("Tokens by product in the last 48 hours"),
        _("Refusals by reason in the last 48 hours"),
        _("Reasons for refusals in the last 48 hours"),
        _hours,
    ),
    "days": Unit(
        _("Days"),
        _("Tokens by product in the last 31 days"),
        _("Refusals by reason in the last 31 days"),
        _("Reasons for refusals in the last 31 days"),
        _days,
    ),
    "months": Unit(
        _("Months"),
        _("Tokens by product in the last 12 months"),
        _("Refusals by reason in the last 12 months"),
        _("Reasons for refusals in the last 12 months"),
        _months,
    ),
}
