"""Refusals are counted: few writes, few rows, none twice, and none in the way of a request."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from threading import Barrier, Thread
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.core.signals import request_finished
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from twilio_tokens.models import HourlyCount
from twilio_tokens.refusals import EVERY, Refusals, count_refusals, refusals
from twilio_tokens.signals import access_token_refused

from .databases import disconnect

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture(autouse=True)
def _refusals_are_written(_refusals_are_not_written: None) -> Iterator[None]:
    count_refusals()  # see conftest.py
    yield
    request_finished.disconnect(refusals.write_if_due)


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch, clock: time_machine.Traveller) -> None:
    """The time since the machine was started goes with it."""
    monkeypatch.setattr("twilio_tokens.refusals.time", SimpleNamespace(monotonic=time.time))


def refuse(*products: str, code: str = "throttled") -> None:
    access_token_refused.send(sender=None, user=None, products=products, code=code)


def finish_a_request() -> None:
    assert Client().get("/nowhere/").status_code == 404


def counts() -> dict[tuple[str, str], int]:
    rows = HourlyCount.objects.order_by("product", "code")
    return {(each.product, each.code): each.count for each in rows}


def test_a_refusal_counts_once_for_each_product_and_once_in_all() -> None:
    refuse("video", "chat")
    refuse("video")
    refuse(code="not_authenticated")
    finish_a_request()
    assert counts() == {
        ("", "not_authenticated"): 1,
        ("", "throttled"): 2,
        ("chat", "throttled"): 1,
        ("video", "throttled"): 2,
    }
    assert {each.hour for each in HourlyCount.objects.all()} == {NOW.replace(minute=0)}


def test_each_hour_has_counts_of_its_own(clock: time_machine.Traveller) -> None:
    refuse()
    clock.move_to(NOW.replace(hour=13))
    refuse()
    refuse()
    finish_a_request()
    rows = HourlyCount.objects.order_by("hour").values_list("hour", "count")
    assert [(hour.hour, count) for hour, count in rows] == [(12, 1), (13, 2)]


def test_whatever_is_sent_the_counts_are_of_few_names() -> None:
    for number in range(50):
        refuse(f"product-{number}", "Video", "other", code=f"code-{number}")
    finish_a_request()
    assert counts() == {("", "other"): 50, ("other", "other"): 50}


def test_the_first_is_written_at_once_and_others_every_ten_seconds(
    clock: time_machine.Traveller,
) -> None:
    refuse()
    finish_a_request()
    assert counts() == {("", "throttled"): 1}
    for _each in range(1_000):
        refuse()
        with CaptureQueriesContext(connection) as queries:
            finish_a_request()
        assert not queries.captured_queries
    clock.shift(EVERY - 0.1)
    finish_a_request()
    assert counts() == {("", "throttled"): 1}
    clock.shift(0.2)
    with CaptureQueriesContext(connection) as queries:
        finish_a_request()
    assert len([each for each in queries if "twilio_tokens" in each["sql"]]) == 1
    assert counts() == {("", "throttled"): 1_001}


def test_a_request_after_which_nothing_is_to_be_written_asks_nothing(client: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        client.get("/nowhere/")
    assert not queries.captured_queries


def test_where_the_database_fails_the_site_goes_on_and_nothing_is_lost(
    clock: time_machine.Traveller, caplog: pytest.LogCaptureFixture, client: Client
) -> None:
    def fail(execute: Any, sql: str, params: Any, *args: Any) -> Any:
        if "twilio_tokens" in sql and "unknown_field" in str(params):
            raise OperationalError("the disk is full: secret")
        return execute(sql, params, *args)

    refuse("video")
    refuse(code="unknown_field")
    with connection.execute_wrapper(fail):
        assert client.get("/nowhere/").status_code == 404
    assert caplog.record_tuples[-1][1:] == (
        logging.WARNING,
        "Refusals are not stored yet: OperationalError",
    )
    assert "secret" not in caplog.text
    refuse("video")
    clock.shift(EVERY + 1)
    finish_a_request()
    assert counts() == {
        ("", "throttled"): 2,
        ("", "unknown_field"): 1,
        ("video", "throttled"): 2,
    }


def test_what_another_process_has_begun_meanwhile_is_added_to() -> None:
    hour = NOW.replace(minute=0)
    others = iter([True])

    def race(execute: Any, sql: str, *args: Any) -> Any:
        result = execute(sql, *args)
        if sql.startswith("UPDATE") and next(others, False):
            HourlyCount.objects.create(hour=hour, product="", code="throttled", count=5)
        return result

    refuse()
    with connection.execute_wrapper(race):
        finish_a_request()
    assert counts() == {("", "throttled"): 6}


@pytest.mark.django_db(transaction=True)
def test_processes_that_write_at_once_lose_none() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("A database in memory is of one connection.")
    hour, start = NOW.replace(minute=0), Barrier(4)

    def work() -> None:
        start.wait()
        for _each in range(25):
            for code in ("invalid", "throttled"):
                HourlyCount.objects.add(hour, "", code, 2)
        disconnect()

    threads = [Thread(target=work) for _each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert counts() == {("", "invalid"): 200, ("", "throttled"): 200}


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_not_kept_is_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    # Django keeps one to a database in memory, whoever closes it.
    monkeypatch.setattr(connection, "close", lambda: closed.append(connection))
    refuse()
    finish_a_request()
    assert closed == [connection]
    assert counts() == {("", "throttled"): 1}


def test_a_process_that_has_refused_nothing_writes_nothing() -> None:
    Refusals().write_if_due()
    assert counts() == {}


def test_they_are_counted_as_soon_as_the_app_is_ready() -> None:
    request_finished.disconnect(refusals.write_if_due)
    apps.get_app_config("twilio_tokens").ready()
    assert request_finished.disconnect(refusals.write_if_due)
