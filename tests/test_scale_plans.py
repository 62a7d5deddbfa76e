"""The numbers and the Python of ``docs/scale.md``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from twilio_tokens.grants import Video
from twilio_tokens.issuing import REFRESH_MARGIN, issue_access_token
from twilio_tokens.models import APIKey, IssuedToken
from twilio_tokens.signals import access_token_issued

from .prose import blocks
from .security.private_servers import Redis

PAGE = (Path(__file__).parent.parent / "docs/scale.md").read_text()
BATCHES, ROUTER = blocks("docs/scale.md")

#: Of a token, as the tables say: seconds of CPU, bytes.
APPLICATION, POSTGRESQL, REDIS, LOG, RECORD, KEYS = 2.3e-3, 0.6e-3, 0.12e-3, 1.3e3, 555, 362
DAY, LOAD = 86_400, 0.6

PLAN = re.findall(
    r"^\| (\d+) million \| (\d+) hours? \| ([\d,]+) \| (\d+) \| ([\d,]+) %, ([\d.]+) MB/s"
    r" \| ([\d,.]+) million \| ([\d.]+) (.)B \| (\d+) %, ([\d.]+) (.)B \|$",
    PAGE,
    re.MULTILINE,
)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_costs_are_those_of_the_tables() -> None:
    for text in ("| 2.3 ms |", "| 0.6 ms |", "| 0.12 ms |", "| 1.3 kB and", "| 555 bytes |"):
        assert text in PAGE
    assert "362 bytes" in PAGE
    assert f"(lifetime - {REFRESH_MARGIN.seconds} s)" in PAGE


@pytest.mark.parametrize("row", PLAN, ids=lambda row: f"{row[0]} million, {row[1]} h")
def test_the_plan_follows_from_the_costs(row: tuple[str, ...]) -> None:
    users, hours = number(row[0]) * 1e6, number(row[1])
    rate = users / (hours * 3_600 - REFRESH_MARGIN.seconds)
    unit = {"M": 1e6, "G": 1e9, "T": 1e12}
    stated = [number(row[at]) for at in (2, 4, 5, 6, 9)]
    assert stated == pytest.approx(
        [rate, 100 * rate * POSTGRESQL, rate * LOG / 1e6, rate * DAY / 1e6, 100 * rate * REDIS],
        rel=0.06,
        abs=0.5,
    )
    assert number(row[3]) == ceil(rate * APPLICATION / LOAD)
    assert number(row[7]) * unit[row[8]] == pytest.approx(rate * DAY * RECORD * 90, rel=0.03)
    memory = rate * 2 * 60 * KEYS
    assert number(row[10]) * unit[row[11]] == pytest.approx(memory, rel=0.03, abs=0.5e6)


def test_six_cases_are_planned() -> None:
    assert len(PLAN) == 6


@pytest.mark.django_db(transaction=True)
def test_a_token_costs_the_statements_that_are_stated(
    django_assert_num_queries: Any, api_key: APIKey, user: User, settings: Any
) -> None:
    """Beside that which says who asks."""
    issue_access_token(user=user, grants=[Video()])
    for audit, statements in ((True, 1), (False, 0)):
        settings.TWILIO_TOKENS_AUDIT = audit
        with django_assert_num_queries(statements):
            issue_access_token(user=user, grants=[Video()])


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


def calls(redis: Redis) -> dict[str, int]:
    statistics = redis.control.info("commandstats")
    names = ("get", "exists", "incrby", "set")
    return {name: statistics.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names}


def test_a_token_costs_the_commands_that_are_stated(
    redis: Redis, api: APIClient, api_key: APIKey, settings: Any
) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": redis.url,
        }
    }
    redis.execute("FLUSHALL")
    redis.execute("CONFIG", "RESETSTAT")
    counts = []
    for _ in range(3):
        before = sum(calls(redis).values())
        assert api.post("/twilio/tokens/video/").status_code == 201
        counts.append(sum(calls(redis).values()) - before)
    assert counts == [6, 3, 3]
    assert redis.control.dbsize() == 2


# Batches, and another database


@pytest.fixture
def audit(redis: Redis, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the page."""
    redis.execute("FLUSHALL")
    settings.REDIS_URL = redis.url
    settings.TWILIO_TOKENS_AUDIT = False
    module = ModuleType("mysite.audit")
    monkeypatch.setitem(sys.modules, "mysite.audit", module)
    exec(BATCHES, vars(module))  # noqa: S102 - the page's own
    yield module
    access_token_issued.disconnect(vars(module)["enqueue"])
    vars(module)["queue"].close()


def test_records_are_written_in_batches(
    audit: Any, api: APIClient, user: User, api_key: APIKey, django_assert_num_queries: Any
) -> None:
    issued = [
        issue_access_token(user=user, grants=[Video(room="Zoë")], issued_by=user) for _ in range(5)
    ]
    assert not IssuedToken.objects.exists()
    with django_assert_num_queries(1):
        audit.store()
    assert {record.jti for record in IssuedToken.objects.all()} == {each.jti for each in issued}
    record = IssuedToken.objects.get(jti=issued[0].jti)
    assert (record.user, record.issued_by, record.api_key) == (user, user, api_key)
    assert (record.identity, record.grants) == (issued[0].identity, issued[0].grants)
    assert (record.issued_at, record.expires_at) == (issued[0].issued_at, issued[0].expires_at)


def test_a_batch_that_was_cut_off_is_written_once(
    audit: Any, user: User, api_key: APIKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        issue_access_token(user=user, grants=[Video()])
    with monkeypatch.context() as patch:

        def die(*args: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(audit.queue, "ltrim", die)
        with pytest.raises(KeyboardInterrupt):
            audit.store(size=2)
    assert IssuedToken.objects.count() == 2
    audit.store(size=2)
    assert IssuedToken.objects.count() == 3
    assert audit.queue.llen(audit.QUEUE) == 0


def test_without_the_queue_a_token_is_issued_all_the_same(
    audit: Any, user: User, api_key: APIKey, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise ConnectionError

    audit.queue = type("Gone", (), {"rpush": fail, "close": lambda self: None})()
    assert issue_access_token(user=user, grants=[Video()]).token
    assert "enqueue" in caplog.text


def test_the_router_sends_the_copy_elsewhere_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(ROUTER, names)  # noqa: S102 - the page's own
    router = names["AuditRouter"]()
    copy = type("Copy", (), {"_meta": type("Meta", (), {"app_label": "audit"})})
    assert (router.db_for_read(copy), router.db_for_write(copy)) == ("audit", "audit")
    assert {router.db_for_write(model) for model in apps.get_models()} == {None}
    assert router.allow_migrate("audit", "audit") is True
    assert router.allow_migrate("default", "audit") is False
    assert router.allow_migrate("audit", "twilio_tokens") is False
    assert router.allow_migrate("default", "twilio_tokens") is None
