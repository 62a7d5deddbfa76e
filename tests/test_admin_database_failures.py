"""What the console answers where the database fails. ``tests/security`` breaks real ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import Error, InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client
from django.utils.log import AdminEmailHandler

from twilio_tokens.models import Account, APIKey, IssuedToken

from .console import filled, url
from .rows import new_secret
from .test_error_reports import is_in

FAILURES = [
    OperationalError("the disk is full"),
    InterfaceError("connection already closed"),
    ProgrammingError("no such table"),
]


def failing(error: Error) -> Callable[..., Any]:
    def fail(execute: Any, sql: str, *args: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "page",
    [
        url(Account, "changelist"),
        url(APIKey, "add"),
        url(IssuedToken, "changelist"),
        url(IssuedToken, "test"),
        url(IssuedToken, "decode"),
        url(IssuedToken, "dashboard"),
    ],
)
def test_each_page_says_so_and_the_reason_is_in_the_log(
    page: str, error: Error, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for ask in (admin_client.get, admin_client.post):
        with connection.execute_wrapper(failing(error)):
            response = ask(page)
        assert response.status_code == 503
        assert type(error).__name__ in response.content.decode()
        assert str(error) not in response.content.decode()
        assert response["Cache-Control"] == "no-store"
        assert str(error) in caplog.text
        caplog.clear()


def test_a_developer_sees_djangos_own_page(admin_client: Client, settings: Any) -> None:
    settings.DEBUG = True
    admin_client.raise_request_exception = False
    with connection.execute_wrapper(failing(OperationalError("the disk is full"))):
        response = admin_client.get(url(Account, "changelist"))
    assert response.status_code == 500
    assert "the disk is full" in response.content.decode()


@pytest.fixture
def mails() -> Iterator[list[str]]:
    """To ADMINS, of what is logged."""
    texts: list[str] = []

    class Handler(AdminEmailHandler):
        def send_mail(self, subject: str, message: str, *args: Any, **kwargs: Any) -> None:
            texts.extend([f"{subject}\n{message}", kwargs["html_message"]])

    logger, handler = logging.getLogger("twilio_tokens"), Handler(include_html=True)
    logger.addHandler(handler)
    yield texts
    logger.removeHandler(handler)


def test_a_mail_about_it_shows_no_secret(
    account: Account, admin_client: Client, mails: list[str]
) -> None:
    def fail(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("INSERT"):
            raise OperationalError("the disk is full")
        return execute(sql, *args)

    secret = new_secret()
    with connection.execute_wrapper(fail):
        response = admin_client.post(url(APIKey, "add"), filled(APIKey, secret=secret))
    assert response.status_code == 503
    assert len(mails) == 2
    for text in mails:
        assert "the disk is full" in text
        assert not is_in(secret, text)
