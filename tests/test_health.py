"""Readiness by django-health-check: yes or no for a stranger, the reason for the site's log."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path
from health_check.views import HealthCheckView

from twilio_tokens.crypto import generate_key, load_key_ring, reseal
from twilio_tokens.models import Account, APIKey, IssuedToken
from twilio_tokens.throttles import TokenRateThrottle

from . import unavailable as reasons

urlpatterns = [
    path("health/", HealthCheckView.as_view(checks=["twilio_tokens.health.TokensCanBeIssued"]))
]
pytestmark = pytest.mark.django_db

NO = "TokensCanBeIssued(): Unavailable: No access token can be issued.\n"


def ask(client: Client | None = None) -> HttpResponse:
    with override_settings(ROOT_URLCONF=__name__):
        return (client or Client()).get("/health/", headers={"accept": "text/plain"})


def assert_down(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    answer = ask()
    assert (answer.status_code, answer.content.decode()) == (500, NO)
    assert reason in caplog.text


def test_a_site_that_can_issue_says_so_to_anybody(api_key: APIKey) -> None:
    answer = ask()
    assert (answer.status_code, answer.content.decode()) == (200, "TokensCanBeIssued(): OK\n")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db(transaction=True)
def test_asking_issues_nothing_and_records_nothing(api_key: APIKey) -> None:
    ask()
    with CaptureQueriesContext(connection) as queries:
        ask()
    assert len(queries) == 1
    assert queries[0]["sql"].startswith("SELECT 1 ")
    assert not IssuedToken.objects.exists()


@pytest.mark.parametrize(
    "make",
    [
        reasons.no_account,
        reasons.no_default_account,
        reasons.no_key,
        reasons.only_inactive_keys,
        reasons.newest_key_not_us1,
        reasons.unusable_setting,
        reasons.no_key_ring,
        reasons.malformed_key_ring,
        reasons.other_key_ring,
        reasons.damaged_secret,
        reasons.secret_of_another_row,
    ],
    ids=lambda make: make.__name__,
)
def test_a_site_that_cannot_issue_tells_a_stranger_no_reason(
    make: Any, api_key: APIKey, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make(settings)
    assert_down(caplog, "No access token can be issued: ")


def test_the_reason_is_in_the_log(
    api_key: APIKey, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reasons.only_inactive_keys(settings)
    assert_down(caplog, f"Account {api_key.account.sid} has no active API key.")


def test_a_database_that_fails_is_down(
    api_key: APIKey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    with connection.execute_wrapper(fail):
        assert_down(caplog, "The database failed: OperationalError.")
    assert ask().status_code == 200


def fail(*arguments: Any) -> None:
    raise OperationalError("gone")


def test_a_cache_that_counts_nothing_is_down_unless_there_is_no_limit(
    api_key: APIKey, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert_down(caplog, "The cache does not keep the request counts.")
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    assert ask().status_code == 200


def test_asking_without_end_takes_from_nobodys_limit(
    api_key: APIKey, settings: Any, user: Any
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/hour"
    assert [ask().status_code for _ in range(3)] == [200, 200, 200]
    assert TokenRateThrottle().allow_user(user)


@pytest.mark.django_db(transaction=True)
def test_a_secret_that_opens_again_is_up_again_at_once(
    api_key: APIKey, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process has encrypted it anew; this one remembers the row as it was."""
    ask()
    stored = APIKey.objects.get()
    new = generate_key()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new, *settings.TWILIO_TOKENS_ENCRYPTION_KEYS]
    secret = reseal(stored.secret, ring=load_key_ring(), row=stored.pk, sid=stored.sid)
    APIKey.objects.update(secret=secret)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new]
    assert_down(caplog, "which is not in TWILIO_TOKENS_ENCRYPTION_KEYS")
    assert ask().status_code == 200


def test_where_each_user_has_an_account_no_account_speaks_for_all(
    api_key: APIKey, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: None
    Account.objects.all().delete()
    assert ask().status_code == 200
    reasons.no_key_ring(settings)
    assert_down(caplog, "TWILIO_TOKENS_ENCRYPTION_KEYS is not set.")
