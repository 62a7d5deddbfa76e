"""Counts issued tokens by hour, and the busiest users and rooms by day, from the records.

A step counts at most one day and moves ``RollUp.counted_until`` forward, in one transaction. Killed
halfway, it has counted nothing; of two steps that run at once, only one counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import router, transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.fields.json import KT
from django.utils import timezone

from .grants import registered
from .hours import DAY, day_of, hours_between, start_of_day, start_of_hour
from .models import BusiestOfDay, HourlyCount, IssuedToken, Kind, RollUp, number_of

#: How long after its end an hour is counted: a server's clock may be slow, and a token's record may
#: be written in a long transaction of the site.
GRACE = timedelta(minutes=10)

#: Users, and rooms, kept for each day.
KEPT = 50

#: Characters. No identity is longer, and no room requested here.
NAME_LENGTH = 256

#: The only row of ``RollUp``.
_ROW = 1


class Window(NamedTuple):
    """From one moment of a day to a later one, or to the end of the day."""

    start: datetime
    end: datetime


def counted_until() -> datetime | None:
    return _progress().values_list("counted_until", flat=True).first()


def count_ahead(records: QuerySet[IssuedToken]) -> None:
    """Count the records that no step has counted yet, because they are about to be deleted.

    Call it in a transaction, which then does the counting alone: of two purges, only one counts a
    record.
    """
    # SQLite fails a transaction that reads first if another one has written in the meantime.
    _progress().update(counted_until=F("counted_until"))
    until = counted_until()
    uncounted = records if until is None else records.filter(issued_at__gte=until)
    counts: Counter[tuple[datetime, str]] = Counter()
    for issued_at, grants in uncounted.order_by().values_list("issued_at", "grants"):
        counts.update((start_of_hour(issued_at), product) for product in ("", *grants))
    for (hour, product), count in counts.items():
        HourlyCount.objects.add(hour, product, "", count)


def count_tokens() -> Iterator[tuple[datetime, int]]:
    """Count all hours that are over. Tells for each step until when it has counted, how many."""
    closed = start_of_hour(timezone.now() - GRACE)
    until = counted_until() or _begin()
    while until is not None and (window := _next_window(until, closed)):
        count = _step(until, window)
        if count is not None:
            yield window.end, count
        until = counted_until()


def _progress() -> QuerySet[RollUp]:
    return RollUp.objects.using(router.db_for_write(RollUp)).filter(pk=_ROW)


def _records() -> QuerySet[IssuedToken]:
    """Not from a replica: records that it does not have yet would never be counted."""
    return IssuedToken.objects.using(router.db_for_write(IssuedToken)).order_by()


def _begin() -> datetime | None:
    oldest = _oldest(_records())
    if oldest is None:
        return None
    rows = RollUp.objects.using(router.db_for_write(RollUp))
    row, _created = rows.get_or_create(
        pk=_ROW, defaults={"counted_until": start_of_day(day_of(oldest))}
    )
    return row.counted_until


def _oldest(records: QuerySet[IssuedToken]) -> datetime | None:
    return records.order_by("issued_at").values_list("issued_at", flat=True).first()


def _next_window(until: datetime, closed: datetime) -> Window | None:
    """At most the rest of a day. Days without tokens are skipped."""
    start = until
    if start == start_of_day(day_of(start)):
        oldest = _oldest(_records().filter(issued_at__gte=start))
        if oldest is None:
            return None
        start = start_of_day(day_of(oldest))
    end = min(start_of_day(day_of(start) + DAY), closed)
    return Window(start, end) if start < end else None


def _step(until: datetime, window: Window) -> int | None:
    """Return how many were counted, or None if another process was faster."""
    counts, busiest = list(_by_hour(window)), list(_busiest_until(window.end))
    using = router.db_for_write(RollUp)
    with transaction.atomic(using=using):
        # Only the process that finds it where the counting began may move it.
        if not _progress().filter(counted_until=until).update(counted_until=window.end):
            return None
        _add(counts, window)
        days = BusiestOfDay.objects.using(using)
        days.filter(day__in={each.day for each in busiest}).delete()
        days.bulk_create(busiest)
    return sum(each.count for each in counts if not each.product)


def _add(counts: list[HourlyCount], window: Window) -> None:
    """Add to what a purge has already counted."""
    rows = HourlyCount.objects.using(router.db_for_write(HourlyCount))
    ahead = rows.filter(code="", hour__gte=window.start, hour__lt=window.end)
    known = set(ahead.values_list("hour", "product"))
    rows.bulk_create(each for each in counts if (each.hour, each.product) not in known)
    for each in counts:
        if (each.hour, each.product) in known:
            HourlyCount.objects.add(each.hour, each.product, "", each.count)


def _by_hour(window: Window) -> Iterator[HourlyCount]:
    hours = hours_between(*window)
    of_product = {
        f"product_{number}": (product, Count("pk", filter=Q(grants__has_key=product)))
        for number, product in enumerate(registered())
    }
    rows: Any = (
        _between(window)
        .annotate(number=number_of("issued_at", [*hours[1:], window.end]))
        .values("number")
        .annotate(total=Count("pk"), **{name: count for name, (_, count) in of_product.items()})
    )
    for row in rows:
        hour = hours[row["number"]]
        yield HourlyCount(hour=hour, product="", code="", count=row["total"])
        for name, (product, _count) in of_product.items():
            if row[name]:
                yield HourlyCount(hour=hour, product=product, code="", count=row[name])


def _between(window: Window) -> QuerySet[IssuedToken]:
    return _records().filter(issued_at__gte=window.start, issued_at__lt=window.end)


def _busiest_until(end: datetime) -> Iterator[BusiestOfDay]:
    """The busiest of the day that ends at this moment, if one does."""
    if end != start_of_day(day_of(end)):
        return
    day = day_of(end - timedelta(microseconds=1))
    records = _between(Window(start_of_day(day), end))
    in_rooms = records.filter(grants__video__room__isnull=False)
    in_rooms = in_rooms.exclude(grants__video__room=None)  # JSON's null
    named: dict[str, Any] = {
        Kind.USER: records.annotate(name=F("identity")),
        Kind.ROOM: in_rooms.annotate(name=KT("grants__video__room")),
    }
    for kind, rows in named.items():
        most = rows.values_list("name").annotate(total=Count("pk")).order_by("-total", "name")
        for name, total in most[:KEPT]:
            if name:
                yield BusiestOfDay(day=day, kind=kind, name=str(name)[:NAME_LENGTH], count=total)
