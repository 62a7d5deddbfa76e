"""The issued tokens, counted by hour, and who was busiest on a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from threading import Barrier, Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from twilio_tokens import counting
from twilio_tokens.counting import count_ahead, count_tokens, counted_until
from twilio_tokens.models import APIKey, BusiestOfDay, HourlyCount, IssuedToken, RollUp

from .databases import NoReplica, disconnect
from .issued import record

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=timezone.utc)
VIDEO = {"video": {"room": "Lobby"}}
THREE = {"video": {}, "chat": {}, "voice": {}}


@pytest.fixture(autouse=True)
def clock(settings: Any) -> Iterator[time_machine.Traveller]:
    settings.TIME_ZONE = "UTC"
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def issued(when: str, number: int = 1, **values: Any) -> None:
    moment = datetime.fromisoformat(f"2026-{when}+00:00")
    for _each in range(number):
        record(issued_at=moment, expires_at=moment + timedelta(hours=1), **values)


def count() -> int:
    return sum(number for _until, number in count_tokens())


def counts() -> dict[str, dict[str, int]]:
    """By hour, then by product."""
    found: dict[str, dict[str, int]] = {}
    for each in HourlyCount.objects.filter(code="").order_by("hour", "product"):
        found.setdefault(f"{each.hour:%m-%d %H:%M}", {})[each.product] = each.count
    return found


def busiest(day: date, kind: str) -> dict[str, int]:
    rows = BusiestOfDay.objects.filter(day=day, kind=kind).order_by("-count", "name")
    return dict(rows.values_list("name", "count"))


def test_a_token_counts_once_for_each_of_its_products_and_once_in_all(api_key: APIKey) -> None:
    issued("03-09 08:00:00", 2, grants=VIDEO)
    issued("03-09 08:59:59", grants=THREE)
    issued("03-09 09:00:00", grants={"chat": {}, "fax": {}})
    assert count() == 4
    assert counts() == {
        "03-09 08:00": {"": 3, "video": 3, "chat": 1, "voice": 1},
        "03-09 09:00": {"": 1, "chat": 1},
    }


def test_an_hour_is_counted_when_it_is_over_and_ten_minutes_more(
    api_key: APIKey, clock: time_machine.Traveller
) -> None:
    issued("03-10 11:59:00")
    issued("03-10 12:01:00")
    clock.move_to(NOW.replace(minute=9))
    assert count() == 0
    clock.move_to(NOW.replace(minute=10))
    assert count() == 1
    assert counted_until() == NOW.replace(minute=0)
    clock.move_to(NOW.replace(hour=13, minute=9))
    assert count() == 0
    clock.move_to(NOW.replace(hour=13, minute=10))
    assert count() == 1
    assert list(counts()) == ["03-10 11:00", "03-10 12:00"]


def test_what_is_recorded_too_late_is_not_counted(api_key: APIKey) -> None:
    issued("03-10 10:00:00")
    count()
    issued("03-10 10:30:00")
    issued("03-10 12:05:00")
    assert count() == 0
    assert counts() == {"03-10 10:00": {"": 1, "video": 1}}


def test_what_is_counted_is_not_counted_again(api_key: APIKey) -> None:
    issued("03-01 08:00:00", 3)
    issued("03-10 08:00:00", 2)
    assert count() == 5
    before = counts()
    assert count() == 0
    assert counts() == before
    assert RollUp.objects.get().pk == 1  # as it is stored where this has run before


def test_without_tokens_there_is_nothing_to_count(db: None) -> None:
    assert count() == 0
    assert counted_until() is None


def test_each_step_counts_at_most_a_day_and_leaves_out_those_without_tokens(
    api_key: APIKey,
) -> None:
    issued("01-01 08:00:00")
    issued("03-01 23:59:59")
    issued("03-02 00:00:00")
    issued("03-10 01:00:00")
    midnights = [datetime(2026, *each, tzinfo=timezone.utc) for each in ((1, 2), (3, 2), (3, 3))]
    assert list(count_tokens()) == [
        *((each, 1) for each in midnights),
        (NOW.replace(minute=0), 1),
    ]


def test_a_day_that_ends_without_tokens_has_its_busiest_all_the_same(
    api_key: APIKey, clock: time_machine.Traveller
) -> None:
    issued("03-10 09:00:00", 2, identity="anna")
    assert count() == 2
    assert not BusiestOfDay.objects.exists()
    clock.move_to(NOW + timedelta(days=3))
    assert count() == 0
    assert busiest(date(2026, 3, 10), "user") == {"anna": 2}


def test_the_busiest_of_a_day_are_told_and_no_more_than_are_kept(
    api_key: APIKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "KEPT", 2)
    for identity, number in (("anna", 3), ("berta", 1), ("carla", 2), ("dora", 1)):
        issued("03-08 10:00:00", number, identity=identity, grants={"video": {"room": identity}})
    issued("03-08 23:59:59", identity="berta", grants=THREE)
    issued("03-09 00:00:00", 5, identity="dora", grants={"chat": {"room": "Lobby"}})
    count()
    assert busiest(date(2026, 3, 8), "user") == {"anna": 3, "berta": 2}
    assert busiest(date(2026, 3, 8), "room") == {"anna": 3, "carla": 2}
    assert busiest(date(2026, 3, 9), "user") == {"dora": 5}
    assert busiest(date(2026, 3, 9), "room") == {}


def test_odd_rooms_of_a_sites_own_are_no_trouble(api_key: APIKey) -> None:
    for room in (None, "", 7, "x" * 300, "Größe “A”"):
        issued("03-08 10:00:00", grants={"video": {"room": room}})
    issued("03-08 10:00:00", grants={"video": True})
    assert count() == 6
    assert busiest(date(2026, 3, 8), "room") == {"7": 1, "x" * 256: 1, "Größe “A”": 1}


def test_hours_and_days_are_those_of_the_sites_time_zone(api_key: APIKey, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"  # half past five in front of UTC
    issued("03-08 18:29:59", identity="anna")
    issued("03-08 18:30:00", 2, identity="berta")
    assert count() == 3
    assert counts() == {"03-08 17:30": {"": 1, "video": 1}, "03-08 18:30": {"": 2, "video": 2}}
    assert busiest(date(2026, 3, 8), "user") == {"anna": 1}
    assert busiest(date(2026, 3, 9), "user") == {"berta": 2}


def test_a_day_that_ends_again_in_another_time_zone_has_its_busiest_once(
    api_key: APIKey, settings: Any, clock: time_machine.Traveller
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    issued("03-08 10:00:00", identity="anna")
    clock.move_to(datetime(2026, 3, 8, 23, 30, tzinfo=timezone.utc))
    assert count() == 1
    assert busiest(date(2026, 3, 8), "user") == {"anna": 1}
    settings.TIME_ZONE = "UTC"
    issued("03-08 23:40:00", identity="anna")
    clock.move_to(NOW)
    assert count() == 1
    assert busiest(date(2026, 3, 8), "user") == {"anna": 2}


def test_hours_are_right_where_clocks_are_changed(
    api_key: APIKey, settings: Any, clock: time_machine.Traveller
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    clock.move_to(datetime(2026, 10, 26, 12, tzinfo=ZoneInfo("Europe/Berlin")))
    for hour in ("00:30", "01:30", "02:30"):  # half past two twice, half past three
        issued(f"10-25 {hour}:00")
    issued("10-24 22:00:00")
    issued("10-25 22:59:59", 2)
    assert count() == 6
    assert list(counts()) == [
        "10-24 22:00",
        "10-25 00:00",
        "10-25 01:00",
        "10-25 02:00",
        "10-25 22:00",
    ]
    assert busiest(date(2026, 10, 25), "user") == {"anna": 6}


def test_without_time_zones_it_counts_as_well(api_key: APIKey, settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "UTC"
    moment = datetime(2026, 3, 9, 8, 15)  # noqa: DTZ001
    record(issued_at=moment, expires_at=moment)
    assert count() == 1
    assert counts() == {"03-09 08:00": {"": 1, "video": 1}}


def test_what_is_counted_ahead_is_added_to_and_never_counted_twice(api_key: APIKey) -> None:
    issued("03-09 23:00:00")
    issued("03-10 11:20:00", 2)
    count()
    count_ahead(IssuedToken.objects.all())
    assert counts() == {"03-09 23:00": {"": 1, "video": 1}, "03-10 11:00": {"": 2, "video": 2}}


def test_what_is_left_of_an_hour_is_added_to_what_was_counted_ahead(api_key: APIKey) -> None:
    issued("03-10 11:20:00", 2)
    with CaptureQueriesContext(connection) as queries:
        count_ahead(IssuedToken.objects.all())
    # It writes before it reads: otherwise, SQLite would fail it where another process has written.
    assert queries[0]["sql"].startswith("UPDATE")
    IssuedToken.objects.all().delete()
    issued("03-10 11:40:00", 3, grants=THREE)
    assert count() == 3
    assert counts() == {"03-10 11:00": {"": 5, "video": 5, "chat": 3, "voice": 3}}


def test_before_anything_is_counted_all_is_counted_ahead(api_key: APIKey) -> None:
    issued("03-10 12:04:00", 2)
    count_ahead(IssuedToken.objects.all())
    assert counts() == {"03-10 12:00": {"": 2, "video": 2}}


def test_a_step_that_fails_has_counted_nothing_and_is_taken_again(api_key: APIKey) -> None:
    issued("03-08 10:00:00")
    issued("03-09 10:00:00")

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT") and "busiestofday" in sql and BusiestOfDay.objects.exists():
            raise OperationalError("the disk is full")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        count()
    assert counts() == {"03-08 10:00": {"": 1, "video": 1}}
    assert count() == 1
    assert counts() == {f"03-0{n} 10:00": {"": 1, "video": 1} for n in (8, 9)}
    assert busiest(date(2026, 3, 9), "user") == {"anna": 1}


def test_of_two_that_count_at_once_one_does(api_key: APIKey) -> None:
    """What the other has counted meanwhile is not counted a second time."""
    issued("03-08 10:00:00", 2)
    issued("03-09 10:00:00")
    others: list[int] = []

    def race(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("SAVEPOINT") and RollUp.objects.exists() and not others:
            others.append(0)
            others.append(count())
        return execute(sql, *args)

    with connection.execute_wrapper(race):
        assert count() == 0
    assert others == [0, 3]
    assert counts() == {"03-08 10:00": {"": 2, "video": 2}, "03-09 10:00": {"": 1, "video": 1}}
    assert busiest(date(2026, 3, 8), "user") == {"anna": 2}


@pytest.mark.django_db(transaction=True)
def test_two_processes_count_each_token_once(api_key: APIKey) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("A database in memory is of one connection.")
    for day in range(1, 10):
        issued(f"03-0{day} 10:00:00", day)
    start, told = Barrier(2), []

    def work() -> None:
        start.wait()
        told.append(count())
        disconnect()

    threads = [Thread(target=work) for _each in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(told) == 45
    assert [each[""] for each in counts().values()] == list(range(1, 10))
    assert BusiestOfDay.objects.count() == 9


def test_refusals_of_the_same_hour_stay(api_key: APIKey) -> None:
    issued("03-09 10:00:00")
    hour = datetime(2026, 3, 9, 10, tzinfo=timezone.utc)
    HourlyCount.objects.add(hour, "video", "throttled", 3)
    count()
    assert HourlyCount.objects.get(code="throttled").count == 3


def test_a_lagging_replica_is_not_asked(api_key: APIKey, settings: Any) -> None:
    issued("03-09 10:00:00")
    settings.DATABASE_ROUTERS = [NoReplica()]
    assert count() == 1


def test_a_day_of_many_tokens_takes_as_many_queries_as_one_of_few(api_key: APIKey) -> None:
    numbers = []
    for day, many in (("07", 1), ("08", 60)):
        for minute in range(many):
            issued(f"03-{day} {minute % 24:02}:{minute:02}:00", identity=f"user-{minute}")
        with CaptureQueriesContext(connection) as queries:
            next(count_tokens())
        numbers.append(len(queries))
    assert numbers[0] >= numbers[1]


def test_the_counts_have_texts_for_who_debugs(api_key: APIKey) -> None:
    issued("03-09 10:00:00")
    count()
    assert [
        str(each) for each in (*HourlyCount.objects.order_by("product"), RollUp.objects.get())
    ] == [
        "2026-03-09 10:00  : 1",
        "2026-03-09 10:00 video : 1",
        "2026-03-10 00:00",
    ]
    assert str(BusiestOfDay.objects.get()) == "2026-03-09 user: 1"
