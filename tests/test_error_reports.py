"""A typed secret is in no error page and in no mail to ADMINS, whatever fails."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.backends import ModelBackend
from django.db.models.signals import post_save, pre_save
from django.test import Client
from django.urls import reverse
from django.utils.log import AdminEmailHandler

from twilio_tokens.error_reports import PostedSecretFilter
from twilio_tokens.forms import APIKeyForm
from twilio_tokens.models import Account, APIKey

from .conftest import new_secret, sid

#: All signs that a secret may have, among them those that repr() and HTML escape.
SIGNS = "".join(map(chr, range(ord("!"), ord("~") + 1)))

NAME = "Recognisable"


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no text")


def fail(*args: Any, **kwargs: Any) -> None:
    unprintable = Unprintable()  # noqa: F841 - an error page shows it
    raise RuntimeError("Something failed.")


# A site's own code, with the secret in its variables in one way or another.


def hold(typed: Any) -> None:
    nested = [{"value": typed}]
    said = f'it\'s "{nested}"'
    body = f"{'x' * 50}{typed}".encode()
    fail(said, body)


def receiver(instance: APIKey, **kwargs: Any) -> None:
    hold(instance.secret)


def clean(form: APIKeyForm) -> None:
    hold(form.data["sid"] if form.has_error("sid") else form.data["secret"])


@pytest.fixture
def failing_before_save() -> Iterator[None]:
    pre_save.connect(receiver, sender=APIKey)
    yield
    pre_save.disconnect(receiver, sender=APIKey)


@pytest.fixture
def failing_after_save() -> Iterator[None]:
    post_save.connect(receiver, sender=APIKey)
    yield
    post_save.disconnect(receiver, sender=APIKey)


@pytest.fixture
def failing_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(APIKeyForm, "clean", clean)


@pytest.fixture
def failing_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the database goes away: before the admin's view is reached."""
    monkeypatch.setattr(ModelBackend, "get_user", fail)


FAILURES = pytest.mark.parametrize(
    "failure", ["failing_before_save", "failing_after_save", "failing_clean", "failing_session"]
)
SECRETS = pytest.mark.parametrize("secret", [new_secret(), SIGNS], ids=["usual", "signs"])


@pytest.fixture
def mails() -> Iterator[list[str]]:
    """The texts and the HTML of the mails to ADMINS."""
    texts: list[str] = []

    class Handler(AdminEmailHandler):
        def send_mail(self, subject: str, message: str, *args: Any, **kwargs: Any) -> None:
            texts.extend([f"{subject}\n{message}", kwargs["html_message"]])

    handler = Handler(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    yield texts
    logger.removeHandler(handler)


def typed(**values: str) -> dict[str, Any]:
    return {
        "account": Account.objects.get().pk,
        "name": NAME,
        "sid": sid("SK", "1"),
        "region": "us1",
        **values,
    }


def error_page(
    client: Client, data: dict[str, Any], accept: str = "text/html", model: Any = APIKey
) -> str:
    client.raise_request_exception = False
    address = reverse(f"admin:twilio_tokens_{model._meta.model_name}_add")
    response = client.post(address, data, headers={"accept": accept})
    assert response.status_code == 500
    return response.content.decode()


def is_in(secret: str, text: str) -> bool:
    """Also as repr() and HTML escape it, and in pieces."""
    for escaped in ("\\", "&#x27;", "&quot;", "&lt;", "&gt;", "&amp;", "'", '"', "<", ">", "&"):
        secret, text = secret.replace(escaped, ""), text.replace(escaped, "")
    return any(secret[start : start + 12] in text for start in range(len(secret) - 11))


@FAILURES
@SECRETS
@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_the_error_page_of_debug_hides_the_secret(
    failure: str,
    secret: str,
    accept: str,
    account: Account,
    admin_client: Client,
    settings: Any,
    request: pytest.FixtureRequest,
) -> None:
    settings.DEBUG = True
    request.getfixturevalue(failure)
    page = error_page(admin_client, typed(secret=secret), accept)
    assert "Something failed." in page
    assert NAME in page
    assert not is_in(secret, page)


@FAILURES
@SECRETS
def test_without_debug_the_page_says_nothing_and_the_mail_to_admins_hides_the_secret(
    failure: str,
    secret: str,
    account: Account,
    admin_client: Client,
    mails: list[str],
    request: pytest.FixtureRequest,
) -> None:
    request.getfixturevalue(failure)
    assert NAME not in error_page(admin_client, typed(secret=secret))
    assert len(mails) == 2
    for text in mails:
        assert "Something failed." in text
        assert NAME in text
        assert not is_in(secret, text)


@pytest.mark.parametrize("debug", [True, False])
@SECRETS
def test_a_secret_typed_into_the_sid_field_is_hidden_too(
    debug: bool,
    secret: str,
    account: Account,
    admin_client: Client,
    failing_clean: None,
    mails: list[str],
    settings: Any,
) -> None:
    settings.DEBUG = debug
    page = error_page(admin_client, typed(sid=f" {secret} ", secret=sid("SK")))
    assert all(NAME in text for text in mails)
    assert not any(is_in(secret, text) for text in (page, *mails))


@pytest.mark.parametrize("name", ["Account", "ChatService", "TwiMLApp", "PushCredential"])
def test_so_it_is_in_the_forms_that_have_no_secret(
    name: str,
    account: Account,
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    model: Any = apps.get_model("twilio_tokens", name)
    monkeypatch.setattr(model, "clean", fail)
    settings.DEBUG = True
    secret = new_secret()
    page = error_page(admin_client, typed(sid=secret), model=model)
    assert NAME in page
    assert not is_in(secret, page)


def test_variables_without_a_secret_are_shown_and_those_without_a_text_are_not(
    account: Account, admin_client: Client, failing_after_save: None, settings: Any
) -> None:
    settings.DEBUG = True
    page = error_page(admin_client, typed(secret=new_secret()))
    shown = dict(re.findall(r'<td>(\w+)</td>\s*<td class="code"><pre>(.*?)</pre>', page, re.DOTALL))
    assert shown["form_validated"] == "True"
    assert PostedSecretFilter.cleansed_substitute in shown["unprintable"]


def test_without_a_request_there_is_nothing_to_show() -> None:
    assert PostedSecretFilter().get_post_parameters(None) == {}
