from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from twilio_tokens.management.commands import twilio_purge
from twilio_tokens.models import APIKey, BusiestOfDay, HourlyCount, IssuedToken


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, list[str]]]:
    def run(*arguments: str, **options: Any) -> tuple[str, list[str]]:
        call_command("twilio_purge", *arguments, **options)
        output = capsys.readouterr()
        return output.out, output.err.splitlines()

    return run


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(twilio_purge, "BATCH", 3)
    return 3


def record(key: APIKey, count: int, *, expired_for: timedelta) -> None:
    expires_at = timezone.now() - expired_for
    before = IssuedToken.objects.count()
    IssuedToken.objects.bulk_create(
        IssuedToken(
            jti=f"{before + number}",
            identity="anna",
            api_key=key,
            grants={},
            issued_at=expires_at - timedelta(hours=1),
            expires_at=expires_at,
        )
        for number in range(count)
    )


def ages() -> list[int]:
    """Days since expiry."""
    now = timezone.now()
    expiries: list[datetime] = list(IssuedToken.objects.values_list("expires_at", flat=True))
    return sorted((now - each).days for each in expiries)


def deletes(queries: CaptureQueriesContext) -> list[str]:
    """The statements that delete records."""
    found = [each["sql"] for each in queries if each["sql"].startswith("DELETE")]
    return [sql for sql in found if "twilio_tokens_issuedtoken" in sql]


@pytest.fixture
def records(api_key: APIKey) -> APIKey:
    record(api_key, 4, expired_for=timedelta(days=400))
    record(api_key, 3, expired_for=timedelta(days=90, hours=12))
    record(api_key, 2, expired_for=timedelta(days=89))
    record(api_key, 1, expired_for=timedelta(days=-1))
    return api_key


def test_what_expired_ninety_days_ago_is_deleted(run: Callable[..., Any], records: APIKey) -> None:
    assert run() == ("Deleted 7 audit records.\n", ["7 of 7"])
    assert ages() == [-1, 89, 89]
    assert run() == ("Deleted 0 audit records.\n", [])


@pytest.mark.parametrize(
    ("days", "left"), [("100", 6), ("88", 1), ("0", 1), ("401", 10), ("700000", 10)]
)
def test_the_number_of_days_is_an_option(
    days: str, left: int, run: Callable[..., Any], records: APIKey
) -> None:
    run("--days", days)
    assert len(ages()) == left


def test_a_live_token_is_never_deleted(run: Callable[..., Any], api_key: APIKey) -> None:
    record(api_key, 1, expired_for=timedelta(seconds=-60))
    run("--days=0")
    assert len(ages()) == 1


def test_what_is_deleted_was_counted_before(run: Callable[..., Any], records: APIKey) -> None:
    run()
    counts = HourlyCount.objects.filter(product="").values_list("count", flat=True)
    assert sorted(counts) == [2, 3, 4]


def test_so_is_what_is_deleted_before_its_hour_is_over(
    run: Callable[..., Any], api_key: APIKey
) -> None:
    def counts() -> list[int]:
        return list(HourlyCount.objects.filter(product="").values_list("count", flat=True))

    with time_machine.travel(timezone.now().replace(hour=18, minute=50), tick=False) as clock:
        record(api_key, 5, expired_for=timedelta(minutes=-30))
        IssuedToken.objects.update(issued_at=timezone.now() - timedelta(minutes=2))
        few = IssuedToken.objects.values_list("pk", flat=True)[:2]
        IssuedToken.objects.filter(pk__in=list(few)).update(expires_at=timezone.now())
        clock.shift(timedelta(minutes=1))
        assert run("--days=0")[0] == "Deleted 2 audit records.\n"
        assert counts() == [2]
        clock.shift(timedelta(hours=2))
        assert run("--days=0")[0] == "Deleted 3 audit records.\n"
        assert counts() == [5]


def test_the_names_of_the_busiest_go_with_their_records(
    run: Callable[..., Any], api_key: APIKey
) -> None:
    for days in (400, 92, 88):
        record(api_key, 2, expired_for=timedelta(days=days))
    run()
    today = timezone.localdate()
    days_left = [(today - day).days for day in BusiestOfDay.objects.values_list("day", flat=True)]
    assert len(days_left) == 1
    assert 88 <= days_left[0] <= 89


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ("-1", "--days must be 0 or more."),
        ("800000", "--days is too large."),
        ("9" * 30, "--days is too large."),
        ("1.5", "Error: argument --days: invalid int value: '1.5'"),
        ("x", "Error: argument --days: invalid int value: 'x'"),
    ],
)
def test_an_impossible_number_of_days_is_refused(
    days: str, message: str, run: Callable[..., Any], records: APIKey
) -> None:
    with pytest.raises(CommandError) as caught:
        run("--days", days)
    assert str(caught.value) == message
    assert len(ages()) == 10


def test_records_are_deleted_in_batches_oldest_first(
    run: Callable[..., Any], records: APIKey, small_batches: int
) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert run() == ("Deleted 7 audit records.\n", ["3 of 7", "6 of 7", "7 of 7"])
    assert len(deletes(queries)) == 3
    assert ages() == [-1, 89, 89]


def test_an_interrupted_purge_has_deleted_whole_batches_of_the_oldest(
    run: Callable[..., Any], records: APIKey, small_batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("django.core.management.base.OutputWrapper.write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert ages() == [-1, 89, 89, 90, 90, 90, 400]


def test_progress_is_shown_once_a_percent_and_not_at_all_if_unwanted(
    run: Callable[..., Any], api_key: APIKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_purge, "BATCH", 1)
    for verbosity, lines in ((1, 101), (0, 0)):
        record(api_key, 300, expired_for=timedelta(days=100))
        output, progress = run(verbosity=verbosity)
        assert output == "Deleted 300 audit records.\n"
        assert len(progress) == lines
        assert progress[-1:] == ["300 of 300"][:lines]


def test_progress_is_shown_from_the_first_batch_on(
    run: Callable[..., Any], api_key: APIKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_purge, "BATCH", 1)
    record(api_key, 100, expired_for=timedelta(days=100))
    assert run()[1][:2] == ["1 of 100", "2 of 100"]


def test_a_batch_fits_into_the_parameters_that_every_database_takes(
    run: Callable[..., Any], api_key: APIKey
) -> None:
    record(api_key, 2000, expired_for=timedelta(days=100))
    with CaptureQueriesContext(connection) as queries:
        run()
    assert len(deletes(queries)) == 3
    assert max(sql.count(",") for sql in deletes(queries)) < 999


def test_memory_does_not_grow_with_the_number_of_records(
    run: Callable[..., Any], api_key: APIKey, small_batches: int
) -> None:
    """No query brings more than a batch, and none a whole record."""
    record(api_key, 30, expired_for=timedelta(days=100))
    with CaptureQueriesContext(connection) as queries:
        run()
    selects = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    selects = [sql for sql in selects if "twilio_tokens_issuedtoken" in sql]
    batches = [sql for sql in selects if "LIMIT 3" in sql]
    assert len(batches) == 11  # the last is empty
    assert all("COUNT" in sql or "LIMIT" in sql or "IN (" in sql for sql in selects)
    assert not any("identity" in sql for sql in batches)


class Replica:
    """Reads elsewhere than it writes."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


def test_a_lagging_replica_is_not_asked(
    run: Callable[..., Any], records: APIKey, settings: Any
) -> None:
    settings.DATABASE_ROUTERS = [Replica()]
    assert run()[0] == "Deleted 7 audit records.\n"


def test_records_that_another_purge_deletes_meanwhile_are_not_counted(
    run: Callable[..., Any], records: APIKey, small_batches: int
) -> None:
    rivals = iter([True])

    def race(execute: Any, sql: str, *args: Any) -> Any:
        result = execute(sql, *args)
        if "LIMIT 3" in sql and next(rivals, False):
            IssuedToken.objects.order_by("expires_at", "pk").first().delete()  # type: ignore[union-attr]
        return result

    with connection.execute_wrapper(race):
        assert run() == ("Deleted 6 audit records.\n", ["2 of 7", "5 of 7", "6 of 7"])
    assert ages() == [-1, 89, 89]
