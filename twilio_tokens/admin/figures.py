"""What the dashboard tells, read by a few queries that a million records make no slower.

What is counted is read from the counts. What is not yet is read from the records, unless there are
too many of them.
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

#: So many records that are not counted yet are read for the page.
MOST_UNCOUNTED = 5_000
#: Live tokens are counted no further.
MOST_LIVE = 100_000
#: Days of which the busiest are told, today not among them.
BUSIEST_DAYS = 30
#: After this time without counting, the page says how it is done.
COUNTED_LATE = timedelta(hours=3)

#: Counts by name, for each period by its number.
PerPeriod = defaultdict[str, Counter[int]]


@dataclass
class Figures:
    """Of ``periods``, except for what is live now and who was busiest."""

    periods: Periods
    #: By product; ``""`` is all tokens.
    issued: PerPeriod = field(default_factory=lambda: defaultdict(Counter))
    #: By code.
    refused: PerPeriod = field(default_factory=lambda: defaultdict(Counter))
    #: For each code, how many of each product.
    refused_of: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    busiest: dict[str, Counter[str]] = field(default_factory=dict)
    live: int = 0
    #: Until when all tokens are in the figures; None for until now.
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
    # What is counted between two queries of this page must not be told twice.
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
    """Of the records since then, the oldest: one more than the page would count, at most."""
    records = IssuedToken.objects.order_by("issued_at").values_list(*fields)
    if since is not None:
        records = records.filter(issued_at__gte=since)
    return list(records[: MOST_UNCOUNTED + 1])


def room_of(grants: Mapping[str, Any]) -> str:
    video = grants.get("video")
    room = video.get("room") if isinstance(video, dict) else None
    return room if isinstance(room, str) else ""
