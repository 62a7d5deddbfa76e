"""The dashboard: what it tells, to whom, and of what it never asks the database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from html import unescape
from pathlib import Path
from typing import Any

import html5lib
import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from twilio_tokens import counting
from twilio_tokens.admin import dashboard, figures, periods
from twilio_tokens.admin.charts import Chart, Series, round_up
from twilio_tokens.counting import count_tokens
from twilio_tokens.models import (
    APIKey,
    ChatService,
    HourlyCount,
    IssuedToken,
    Outcome,
)
from twilio_tokens.refusals import EVERY

from .console import staff, url
from .issued import record
from .rows import add_key

DOCS = Path(__file__).parent.parent / "docs" / "console.md"
UTC = timezone.utc
NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
PAGE = url(IssuedToken, "dashboard")


@pytest.fixture(autouse=True)
def clock(settings: Any) -> Iterator[time_machine.Traveller]:
    settings.TIME_ZONE = "UTC"
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def shown(client: Client, by: str = "days") -> str:
    response = client.get(f"{PAGE}?by={by}")
    assert response.status_code == 200
    return response.content.decode()


def text(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page))).strip()


def section(page: str, name: str) -> str:
    [found] = re.findall(
        rf'<section [^>]*aria-labelledby="twilio-{name}-heading">(.*?)</section>', page, re.DOTALL
    )
    return found


def table(page: str, name: str) -> list[list[str]]:
    """The rows of the section's table, without its head."""
    body = section(page, name).split("<tbody>")[1]
    rows = [re.findall(r"<t[hd][ >].*?</t[hd]>", row, re.DOTALL) for row in body.split("<tr>")[1:]]
    return [[text(cell) for cell in row] for row in rows]


def issued(at: datetime = NOW - timedelta(days=1), number: int = 1, **values: Any) -> None:
    for _each in range(number):
        record(**{"issued_at": at, "expires_at": at + timedelta(hours=1)} | values)


def refused(code: str, count: int, product: str = "", at: datetime = NOW) -> None:
    HourlyCount.objects.add(at.replace(minute=0), product, code, count)


def count_all() -> None:
    for _step in count_tokens():
        pass


# Tokens and refusals over time


def test_a_site_on_which_nothing_has_happened_has_a_page_too(operator: Client) -> None:
    for by in ("hours", "days", "months"):
        page = text(shown(operator, by))
        assert "Live tokens 0" in page
        assert page.count("None.") == 4


@pytest.mark.parametrize("is_counted", [False, True])
def test_tokens_are_shown_by_product_whether_they_are_counted_yet_or_not(
    is_counted: bool, api_key: APIKey, operator: Client
) -> None:
    issued(NOW - timedelta(days=1), 2)
    issued(NOW - timedelta(days=1), grants={"video": {}, "chat": {}})
    issued(NOW - timedelta(days=30), grants={"chat": {}})
    issued(NOW - timedelta(days=31), grants={"chat": {}})
    if is_counted:
        count_all()
        IssuedToken.objects.all().delete()
    page = shown(operator)
    assert "Tokens by product in the last 31 days 4 " in text(page)
    rows = table(page, "issued")
    assert len(rows) == 31
    assert rows[:2] == [["March 10, 2026", "0", "0", "0"], ["March 9, 2026", "3", "3", "1"]]
    assert rows[-1] == ["Feb. 8, 2026", "1", "0", "1"]


@pytest.mark.parametrize(
    ("by", "length", "newest", "oldest", "seen"),
    [
        ("hours", 48, "03/10/2026, 12:00 UTC", "03/08/2026, 13:00 UTC", 2),
        ("days", 31, "March 10, 2026", "Feb. 8, 2026", 3),
        ("months", 12, "March 2026", "April 2025", 4),
    ],
)
def test_hours_days_and_months_are_a_link_away(
    by: str,
    length: int,
    newest: str,
    oldest: str,
    seen: int,
    api_key: APIKey,
    operator: Client,
) -> None:
    for days in (0, 1, 20, 200, 500):
        issued(NOW - timedelta(days=days))
    count_all()
    issued(NOW - timedelta(days=600))  # too late to be counted, and too early to be shown
    page = shown(operator, by)
    rows = table(page, "issued")
    assert (len(rows), rows[0][0], rows[-1][0]) == (length, newest, oldest)
    assert sum(int(row[1]) for row in rows) == seen
    assert f'<a href="?by={by}" aria-current="page">' in page
    assert all(f'href="?by={each}"' in page for each in ("hours", "days", "months"))


def test_without_a_choice_it_is_days_and_an_odd_one_leads_there(operator: Client) -> None:
    assert '<a href="?by=days" aria-current="page">' in operator.get(PAGE).content.decode()
    for odd in ("years", "", "%00", "days%20"):
        response = operator.get(f"{PAGE}?by={odd}")
        assert (response.status_code, response["Location"]) == (302, PAGE)


def test_refusals_are_told_by_reason_with_their_products(operator: Client) -> None:
    refused("throttled", 1_200)
    refused("throttled", 1_000, "video")
    refused("throttled", 200, "other")
    refused("not_configured", 3, at=NOW - timedelta(days=2))
    refused("not_configured", 9, at=NOW - timedelta(days=40))
    page = shown(operator)
    assert table(page, "reasons") == [
        ["throttled", "1,200", "Video 1,000, other 200"],
        ["not_configured", "3", ""],
    ]
    assert table(page, "refused")[:3] == [
        ["March 10, 2026", "1,200", "1,200", "0"],
        ["March 9, 2026", "0", "0", "0"],
        ["March 8, 2026", "3", "0", "3"],
    ]


def test_of_many_reasons_the_rarest_are_one_column(operator: Client) -> None:
    for number, code in enumerate("abcdefgh", start=1):
        refused(code, number)
    page = shown(operator)
    heads = re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', section(page, "refused"))
    assert heads == ["From", "All", "h", "g", "f", "e", "d", "others"]
    assert table(page, "refused")[0] == ["March 10, 2026", "36", "8", "7", "6", "5", "4", "6"]
    assert len(table(page, "reasons")) == 8


def test_a_product_that_the_site_no_longer_has_is_shown_by_its_key(
    api_key: APIKey, operator: Client
) -> None:
    issued(grants={"fax\u202e": {}})
    assert "fax\\u202e" in text(section(shown(operator), "issued"))


def test_a_column_tells_what_is_in_it(api_key: APIKey, operator: Client) -> None:
    issued(number=2, grants={"video": {}, "chat": {}})
    assert "<title>March 9, 2026: 2 (Video 2, Chat 2)</title>" in shown(operator)


# Time zones


def test_days_are_those_of_who_looks(api_key: APIKey, operator: Client, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.test_admin_moments.in_tokyo"]
    issued(NOW.replace(day=8, hour=14))
    issued(NOW.replace(day=8, hour=15), 2)
    for _time in range(2):
        days = {row[0]: row[1] for row in table(shown(operator), "issued")}
        assert (days["March 8, 2026"], days["March 9, 2026"]) == ("1", "2")
        assert "03/10/2026, 21:00 JST" in shown(operator, "hours")
        count_all()


def test_where_clocks_are_put_back_both_hours_are_told(
    api_key: APIKey, operator: Client, settings: Any, clock: time_machine.Traveller
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    clock.move_to(datetime(2026, 10, 25, 12, tzinfo=UTC))
    operator.force_login(User.objects.get())
    issued(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    issued(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 2)
    issued(datetime(2026, 10, 24, 21, 59, tzinfo=UTC), 5)
    for _time in range(2):
        hours = {row[0]: row[1] for row in table(shown(operator, "hours"), "issued")}
        assert hours["10/25/2026, 02:00 CEST"] == "1"
        assert hours["10/25/2026, 02:00 CET"] == "2"
        days = {row[0]: row[1] for row in table(shown(operator), "issued")}
        assert (days["Oct. 25, 2026"], days["Oct. 24, 2026"]) == ("3", "5")
        count_all()


def test_a_site_without_time_zones_has_the_page_as_well(
    api_key: APIKey, operator: Client, settings: Any
) -> None:
    settings.USE_TZ = False
    yesterday = datetime.now() - timedelta(days=1)  # noqa: DTZ005
    record(issued_at=yesterday, expires_at=yesterday)
    for _time in range(2):
        for by in ("hours", "days", "months"):
            assert sum(int(row[1]) for row in table(shown(operator, by), "issued")) == 1
        count_all()


# What is not counted yet


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST_UNCOUNTED", 2)


def test_what_is_too_much_to_count_on_the_page_is_said_with_the_command(
    few: None, api_key: APIKey, operator: Client
) -> None:
    issued(number=3)
    page = text(shown(operator))
    assert "Run “manage.py twilio_rollup”" in page
    assert "Tokens by product in the last 31 days 0" in page
    call_command("twilio_rollup", verbosity=0)
    page = text(shown(operator))
    assert "twilio_rollup" not in page
    assert "Tokens by product in the last 31 days 3" in page


def test_where_the_last_hours_are_too_much_it_says_until_when_it_has_counted(
    few: None, api_key: APIKey, operator: Client, clock: time_machine.Traveller
) -> None:
    issued(number=3)
    count_all()
    issued(NOW, 3)
    page = text(shown(operator))
    assert "Tokens are counted up to March 10, 2026, noon." in page
    assert "Tokens by product in the last 31 days 3" in page
    assert "twilio_rollup" not in page
    clock.move_to(NOW.replace(hour=15, minute=1))
    assert "twilio_rollup" in text(shown(operator))
    count_all()
    page = text(shown(operator))
    assert "Tokens are counted up to" not in page
    assert "Tokens by product in the last 31 days 6" in page


def test_a_token_that_is_counted_while_the_page_is_made_is_shown_once(
    api_key: APIKey, operator: Client
) -> None:
    issued(NOW - timedelta(days=2))
    count_all()
    issued(NOW - timedelta(days=1))

    def race(execute: Any, sql: str, *args: Any) -> Any:
        result = execute(sql, *args)
        if "rollup" in sql and not done:
            done.append(True)
            count_all()
        return result

    done: list[bool] = []
    with connection.execute_wrapper(race):
        page = text(shown(operator))
    assert done
    assert "Tokens by product in the last 31 days 2" in page


def test_with_the_audit_off_it_says_that_nothing_is_counted(
    operator: Client, settings: Any
) -> None:
    assert "TWILIO_TOKENS_AUDIT" not in shown(operator)
    settings.TWILIO_TOKENS_AUDIT = False
    assert "TWILIO_TOKENS_AUDIT is off" in text(shown(operator))


def test_live_tokens_are_counted_so_far(
    api_key: APIKey, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MOST_LIVE", 2)
    monkeypatch.setattr(dashboard, "MOST_LIVE", 2)
    issued(NOW, 2)
    issued()
    assert "Live tokens 2" in text(shown(operator))
    issued(NOW)
    assert "Live tokens more than 2" in text(shown(operator))


@pytest.mark.parametrize("by", ["hours", "days", "months"])
def test_the_queries_are_as_many_for_many_tokens_and_each_is_bounded(
    by: str,
    api_key: APIKey,
    operator: Client,
    clock: time_machine.Traveller,
    every_row: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figures, "MOST_UNCOUNTED", 20)
    numbers = set()
    for number in (0, 1, 60):
        for day in range(3):
            issued(NOW - timedelta(days=day), number, identity=f"user-{number}")
        count_all()
        clock.shift(3_600)
        issued(NOW, number)
        with CaptureQueriesContext(connection) as queries:
            shown(operator, by)
        numbers.add(len(queries))
        of_records = [each["sql"] for each in queries if "twilio_tokens_issuedtoken" in each["sql"]]
        assert len(of_records) == 3
        assert all(" LIMIT " in each for each in of_records)
    assert len(numbers) == 1
    assert numbers.pop() <= 20


# Who, which, and what failed


def test_the_busiest_are_told_of_thirty_days_and_today(api_key: APIKey, operator: Client) -> None:
    for days, identity, number in (
        (1, "anna", 2),
        (30, "anna", 1),
        (31, "anna", 9),
        (1, "bert", 4),
    ):
        at = NOW - timedelta(days=days)
        issued(at, number, identity=identity, grants={"video": {"room": f"of {identity}"}})
    count_all()
    issued(NOW, 3, identity="carla", grants={"chat": {}, "video": {"room": 7}})
    page = shown(operator)
    assert table(page, "users") == [["bert", "4", ""], ["anna", "3", ""], ["carla", "3", ""]]
    assert table(page, "rooms") == [["of bert", "4", ""], ["of anna", "3", ""]]
    assert f'<a href="{url(IssuedToken, "changelist")}?q=bert">bert</a>' in page


def test_no_more_than_ten_are_told_and_their_names_deceive_nobody(
    api_key: APIKey, operator: Client
) -> None:
    for number in range(12):
        issued(
            number=1,
            identity=f"<b>\u202e{number:02}",
            grants={"video": {"room": f"\u202e{number:02}"}},
        )
    page = shown(operator)
    assert [row[0] for row in table(page, "rooms")] == [f"\\u202e{n:02}" for n in range(10)]
    assert "&lt;b&gt;\\u202e00" in page
    assert "\u202e" not in page


def test_keys_are_told_by_age_and_which_to_replace_soon(api_key: APIKey, operator: Client) -> None:
    for name, days, is_active in (("old", 335, True), ("fresh", 334, True), ("gone", 700, False)):
        key = add_key(api_key.account, name=name, is_active=is_active)
        APIKey.objects.filter(pk=key.pk).update(created_at=NOW - timedelta(days=days))
    APIKey.objects.filter(pk=api_key.pk).update(created_at=NOW + timedelta(days=1))
    page = shown(operator)
    assert [[row[0].split(" ")[0], *row[1:]] for row in table(page, "keys")] == [
        ["old", "335", "replace soon"],
        ["fresh", "334", ""],
        ["Key", "0", ""],
    ]
    assert f'href="{url(APIKey, "change", api_key.pk)}"' in page


def test_checks_that_failed_are_told(
    api_key: APIKey, chat_service: ChatService, operator: Client
) -> None:
    assert "None that you may see." in text(section(shown(operator), "failed"))
    api_key.record_check(Outcome.REFUSED, "Deleted at Twilio.")
    page = section(shown(operator), "failed")
    assert "Deleted at Twilio." in text(page)
    assert f'href="{url(APIKey, "change", api_key.pk)}"' in page


# Who may see it


def test_who_may_view_issued_tokens_sees_no_more_than_that_of_keys(
    api_key: APIKey, settings: Any
) -> None:
    api_key.record_check(Outcome.REFUSED, "Deleted at Twilio.")
    page = shown(staff("view_issuedtoken"))
    assert "twilio-keys-heading" not in page
    assert api_key.sid[-6:] not in text(page)
    assert "Deleted at Twilio." not in page


@pytest.mark.django_db
def test_the_way_to_it_is_shown_to_who_may_go_it(operator: Client) -> None:
    overview = "/admin/twilio_tokens/"
    assert f'href="{PAGE}"' in operator.get(overview).content.decode()
    assert f'href="{PAGE}"' in operator.get(url(IssuedToken, "changelist")).content.decode()
    keys_only = staff("view_apikey")
    assert PAGE not in keys_only.get(overview).content.decode()
    assert keys_only.get(PAGE).status_code == 403


# How it is drawn


def test_the_numbers_in_the_docs_are_those_of_the_page() -> None:
    docs = DOCS.read_text().split("## The dashboard")[1].split("\n## ")[0]
    for text in (
        f"over the last {periods.HOURS} hours, {periods.DAYS} days or {periods.MONTHS} months",
        f"up to {figures.MOST_LIVE:,}",
        f"no more than {figures.MOST_UNCOUNTED:,}",
        f"in the {figures.BUSIEST_DAYS} days before today",
        f"From {dashboard.REPLACE_SOON.days} days on",
        f"the {counting.KEPT} busiest users",
    ):
        assert text in docs
    assert dashboard.MOST_ROWS == EVERY == 10
    assert timedelta(minutes=10) == counting.GRACE


@pytest.mark.parametrize("by", ["hours", "days", "months"])
def test_it_is_valid_has_nothing_inline_and_a_table_for_each_chart(
    by: str, api_key: APIKey, operator: Client
) -> None:
    issued(NOW)
    refused("throttled", 2)
    page = shown(operator, by)
    html5lib.HTMLParser(strict=True).parse(page)
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for name in ("issued", "refused"):
        drawn = section(page, name)
        assert f'role="img" width="100%" height="200" aria-labelledby="twilio-{name}-title' in drawn
        assert f'<title id="twilio-{name}-title">' in drawn
        assert f'<desc id="twilio-{name}-description">' in drawn
        assert drawn.count("<table") == 1
    labels = re.findall(r'aria-labelledby="([^"]+)"', page)
    assert {each for label in labels for each in label.split()} <= set(ids)


def test_a_language_with_a_decimal_comma_changes_no_size(
    api_key: APIKey, operator: Client, settings: Any
) -> None:
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = "de", True
    refused("throttled", 1_234)
    page = shown(operator)
    assert "1.234" in text(section(page, "reasons"))
    drawn = "".join(re.findall('<svg class="twilio.*?</svg>', page, re.DOTALL))
    sizes = re.findall(r'\s(?:x|y|x1|x2|y1|y2|width|height)="([^"]+)"', drawn)
    assert len(sizes) > 100
    assert [each for each in sizes if not re.fullmatch(r"-?\d+(\.\d+)?%?", each)] == []


def rectangles(*values: int) -> list[tuple[str, str]]:
    labels = [str(number) for number in range(len(values))]
    chart = Chart("c", "t", "d", labels, labels, values, [Series("s", values, 1)])
    return re.findall(r'series-1" x="[^"]+" y="([^"]+)" width="[^"]+" height="([^"]+)"', chart.svg)


def test_columns_are_as_high_as_their_numbers_and_the_smallest_can_be_seen() -> None:
    assert rectangles(100, 50, 0, 1) == [("16", "160"), ("96", "80"), ("174.4", "1.6")]
    assert rectangles(100_000, 1)[1] == ("176", "1")


def test_series_stand_one_upon_the_other() -> None:
    series = [Series("a", [60], 1), Series("b", [40], 2)]
    svg = Chart("c", "t", "d", ["x"], ["x"], [80], series).svg
    assert re.findall(
        r'series-(\d)" x="[^"]+" y="([^"]+)" width="[^"]+" height="([^"]+)"', svg
    ) == [
        ("1", "80", "96"),
        ("2", "16", "64"),
    ]


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (1, 1), (2, 2), (3, 5), (5, 5), (6, 10), (10, 10), (11, 20), (999_999, 1_000_000)],
)
def test_an_axis_ends_at_a_round_number(value: int, top: int) -> None:
    assert round_up(value) == top
