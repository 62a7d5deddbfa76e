from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tests.rows import add_key, sid
from twilio_tokens.exceptions import PermissionDenied
from twilio_tokens.grants import Sync
from twilio_tokens.models import Account, APIKey, ChatService, Workspace
from twilio_tokens.offers import MOST_TRIED, offers


def sids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number:032x}" for number in range(1, count + 1)]


def services_of_as_many_accounts(count: int) -> None:
    Account.objects.bulk_create(
        Account(name=f"Account {number}", sid=sid) for number, sid in enumerate(sids("AC", count))
    )
    ChatService.objects.bulk_create(
        ChatService(account=account, name=f"service-{account.pk}", sid=f"IS{account.sid[2:]}")
        for account in Account.objects.all()
    )


def statements(user: User) -> int:
    with CaptureQueriesContext(connection) as captured:
        offers(user)
    return len(captured)


@pytest.mark.parametrize("keys", [0, 300])
def test_what_one_may_ask_for_takes_no_more_statements_with_more_services(
    user: User, settings: Any, keys: int
) -> None:
    """Of accounts without a key, or with keys whose secrets do not open."""
    services_of_as_many_accounts(10)
    few = statements(user)
    Account.objects.all().delete()
    services_of_as_many_accounts(300)
    for number, account in enumerate(Account.objects.all()[:keys]):
        add_key(account, sid=f"SK{number:032x}")
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    assert statements(user) <= few + 2 * MOST_TRIED
    offer = offers(user, ["chat"])["chat"]
    assert len(offer.resources["service"]) == 300
    assert offer.problem is not None
    assert offer.problem.code == ("secret_unavailable" if keys else "not_configured")


def test_one_account_of_many_that_can_sign_is_found(user: User, api: APIClient) -> None:
    services_of_as_many_accounts(50)
    last = Account.objects.order_by("-pk")[0]
    add_key(last)
    assert offers(user, ["chat"])["chat"].problem is None
    body = {"service": f"service-{last.pk}"}
    assert api.post("/twilio/tokens/chat/", body, format="json").status_code == 201


@pytest.mark.parametrize("position", [0, MOST_TRIED + 1])
def test_of_many_accounts_those_that_have_an_active_key_are_tried(
    user: User, position: int
) -> None:
    services_of_as_many_accounts(MOST_TRIED + 2)
    services = [*ChatService.objects.order_by("name")]
    signs = services.pop(position)
    add_key(services[0].account, sid=sid("SK", "1"), is_active=False)
    add_key(signs.account, sid=sid("SK", "2"))
    assert offers(user)["chat"].problem is None


def test_why_a_token_cannot_be_had_is_logged_and_louder_where_something_is_broken(
    user: User, account: Account, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "twilio_tokens.offers")
    offers(user, ["video"])
    add_key(account)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    offers(user, ["video"])
    assert [each.levelno for each in caplog.records] == [logging.INFO, logging.WARNING]
    assert all("No access token can be issued: " in each.getMessage() for each in caplog.records)


def test_who_is_no_worker_is_told_so(user: User, api_key: APIKey, settings: Any) -> None:
    Workspace.objects.create(
        account=api_key.account, name="support", sid=sid("WS"), is_default=True
    )
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: None
    problem = offers(user, ["taskrouter"])["taskrouter"].problem
    assert problem is not None
    assert problem.code == "permission_denied"


@pytest.mark.parametrize(
    ("error", "code", "logged"),
    [
        (ZeroDivisionError("a mistake of the site"), "not_configured", ["The grant sync failed."]),
        (DjangoPermissionDenied("Not on Sundays."), "permission_denied", []),
        (PermissionDenied("Not on Sundays."), "permission_denied", []),
    ],
)
def test_a_grant_that_raises_is_a_problem_of_its_own_product_only(
    api: APIClient,
    every_row: None,
    error: Exception,
    code: str,
    logged: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(Sync, "to_twilio", fail)
    told = api.get("/twilio/tokens/").json()
    assert told["sync"]["problem"]["code"] == code
    assert "problem" not in told["video"]
    assert [each.getMessage() for each in caplog.records if each.exc_info] == logged
    if code == "permission_denied":
        assert told["sync"]["problem"]["detail"] == "Not on Sundays."
