"""The dashboard's figures, read by a few queries that a million records do not slow down.

Counted tokens are read from the counts. Tokens that are not counted yet are read from the records,
unless there are too many of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, Sum
from django.utils import timezone

from twilio_tokens.admin.periods import Periods
from twilio_tokens.hours import DAY, day_of, start_of_day, start_of_hour
from twilio_tokens.models import BusiestOfDay, HourlyCount, IssuedToken, Kind, RollUp

#: At most this many uncounted records are read for the page.
MOST_UNCOUNTED = 5_000
#: Live tokens are counted up to this number.
MOST_LIVE = 100_000
#: Days over which the busiest are added up, not counting today.
BUSIEST_DAYS = 30
#: If nothing has been counted for this long, the page says how to count.
COUNTED_LATE = timedelta(hours=3)

#: By name, the counts for each period's number.
PerPeriod = defaultdict[str, Counter[int]]


@dataclass
class Figures:
    """For ``periods``, except for the live tokens and the busiest."""

    periods: Periods
    #: By product; ``""`` is all tokens.
    issued: PerPeriod = field(default_factory=lambda: defaultdict(Counter))
    #: By code.
    refused: PerPeriod = field(default_factory=lambda: defaultdict(Counter))
    #: By code, the count for each product.
    refused_of: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    busiest: dict[str, Counter[str]] = field(default_factory=dict)
    live: int = 0
    #: The moment up to which the figures are complete; None if they are up to date.
    until: datetime | None = None

    @property
    def is_late(self) -> bool:
        return self.until is not None and self.until < timezone.now() - COUNTED_LATE


def figures(periods: Periods) -> Figures:
    told = Figures(periods)
    counted = RollUp.objects.values_list("counted_until", flat=True).first()
    _read_counts(told, counted)
    _read_uncounted(told, counted)
    _read_busiest(told, counted)
    told.live = IssuedToken.objects.live().order_by().values("pk")[: MOST_LIVE + 1].count()
    return told


def _read_counts(told: Figures, counted: datetime | None) -> None:
    # What is counted between two queries of this page must not be included twice.
    issued = Q(code="", hour__lt=counted) if counted else Q(pk=None)
    rows: Any = (
        HourlyCount.objects.filter(hour__gte=told.periods.start, hour__lt=told.periods.end)
        .filter(issued | ~Q(code=""))
        .annotate(number=told.periods.number("hour"))
        .values_list("number", "product", "code")
        .annotate(total=Sum("count"))
        .order_by()
    )
    for number, product, code, total in rows:
        if not code:
            told.issued[product][number] += total
        elif product:
            told.refused_of[code][product] += total
        else:
            told.refused[code][number] += total


def _read_uncounted(told: Figures, counted: datetime | None) -> None:
    records = _uncounted(counted, "issued_at", "grants")
    if len(records) > MOST_UNCOUNTED:
        told.until = start_of_hour(records[0][0])
        return
    for issued_at, grants in records:
        if told.periods.start <= issued_at < told.periods.end:
            number = told.periods.place(issued_at)
            for product in ("", *grants):
                told.issued[product][number] += 1


def _read_busiest(told: Figures, counted: datetime | None) -> None:
    told.busiest = {kind: Counter() for kind in Kind.values}
    first = day_of(timezone.now()) - DAY * BUSIEST_DAYS
    days = BusiestOfDay.objects.filter(day__gte=first)
    for kind, name, count in days.values_list("kind", "name", "count"):
        told.busiest[kind][name] += count
    today = _uncounted(counted and start_of_day(day_of(counted)), "identity", "grants")
    for identity, grants in today if len(today) <= MOST_UNCOUNTED else ():
        told.busiest[Kind.USER][identity] += 1
        if room := room_of(grants):
            told.busiest[Kind.ROOM][room] += 1


def _uncounted(since: datetime | None, *fields: str) -> list[Any]:
    """The oldest records since then: at most one more than the page would count."""
    records = IssuedToken.objects.order_by("issued_at").values_list(*fields)
    if since is not None:
        records = records.filter(issued_at__gte=since)
    return list(records[: MOST_UNCOUNTED + 1])


def room_of(grants: Mapping[str, Any]) -> str:
    video = grants.get("video")
    room = video.get("room") if isinstance(video, dict) else None
    return room if isinstance(room, str) else ""
