"""Django's error pages and its mails to ADMINS, whatever fails, and whatever is logged then."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils.log import AdminEmailHandler
from rest_framework.test import APIClient

from tests.console import filled, url
from tests.issued import signed
from twilio_tokens.models import Account, APIKey, IssuedToken

from .canaries import leaked
from .failures import ISSUING, TYPING, Failing, Step, middleware
from .story import API, every_logger

pytestmark = pytest.mark.django_db


@pytest.fixture
def mails() -> Iterator[list[str]]:
    texts: list[str] = []

    class Handler(AdminEmailHandler):
        def send_mail(self, subject: str, message: str, *args: Any, **kwargs: Any) -> None:
            texts.append(f"{subject}\n{message}\n{kwargs['html_message']}")

    handler, logger = Handler(include_html=True), logging.getLogger("django.request")
    logger.addHandler(handler)
    yield texts
    logger.removeHandler(handler)


def reports(client: Client, settings: Any, mails: list[str], ask: Any) -> str:
    """The pages, as HTML and as text, the mails and all logs, with DEBUG on and off."""
    client.raise_request_exception = False
    answers = []
    with every_logger() as records:
        for settings.DEBUG in (True, False):
            for accept in ("text/html", "text/plain, application/json"):
                answers.append(ask(headers={"accept": accept}))
    pages = [each.content.decode() for each in answers if each.status_code != 201]
    logs = [f"{each.getMessage()} {each.exc_info}" for each in records]
    assert any("RuntimeError" in text for text in logs)
    if any(answer.status_code == 500 for answer in answers):
        assert all("Something failed." in text for text in (*pages[:2], *mails))
        assert len(mails) >= 4
    return "\n".join([*pages, *mails, *logs])


@pytest.mark.parametrize("step", ISSUING)
def test_a_request_for_a_token_that_fails_tells_of_nothing(
    step: Step,
    mails: list[str],
    api: APIClient,
    api_key: APIKey,
    secret: str,
    settings: Any,
    failing: Failing,
) -> None:
    keys = settings.TWILIO_TOKENS_ENCRYPTION_KEYS
    failing(step)

    def ask(**kwargs: Any) -> Any:
        return api.post(f"{API}video/", {"room": "A"}, "json", **kwargs)

    text = reports(api, settings, mails, ask)
    assert leaked(text, secrets=[secret], tokens=failing.tokens, keys=keys) == set()


@pytest.mark.parametrize("step", TYPING)
def test_nor_does_a_key_that_fails_to_be_saved(
    step: Step,
    mails: list[str],
    account: Account,
    admin_client: Client,
    settings: Any,
    failing: Failing,
) -> None:
    keys = settings.TWILIO_TOKENS_ENCRYPTION_KEYS
    failing(step)
    typed = filled(APIKey)

    def ask(**kwargs: Any) -> Any:
        return admin_client.post(url(APIKey, "add"), typed, **kwargs)

    text = reports(admin_client, settings, mails, ask)
    assert leaked(text, secrets=[typed["secret"]], tokens=[], keys=keys) == set()


def test_nor_do_the_pages_of_tokens(
    mails: list[str],
    admin_client: Client,
    api_key: APIKey,
    secret: str,
    user: Any,
    settings: Any,
    failing: Failing,
) -> None:
    keys = settings.TWILIO_TOKENS_ENCRYPTION_KEYS
    failing(middleware)
    pasted = signed({"jti": "x"})

    def ask(**kwargs: Any) -> Any:
        admin_client.post(url(IssuedToken, "test"), {"username": "anna", "video": "on"}, **kwargs)
        return admin_client.post(url(IssuedToken, "decode"), {"token": pasted}, **kwargs)

    text = reports(admin_client, settings, mails, ask)
    assert len(failing.tokens) == 4
    tokens = [*failing.tokens, pasted]
    assert leaked(text, secrets=[secret], tokens=tokens, keys=keys) == set()
