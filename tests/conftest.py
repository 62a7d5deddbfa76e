"""What most tests start from: a key ring, an account that can sign, and a user."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache as django_cache
from django.core.signals import request_finished
from django.db import models
from django.db.models.signals import pre_save
from django.test import Client
from rest_framework.test import APIClient

from twilio_tokens.credential_cache import cache as credential_cache
from twilio_tokens.crypto import generate_key
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)
from twilio_tokens.refusals import refusals

from . import twilio_server
from .rows import PREFIXES, new_secret, sid
from .twilio_server import TwilioServer
from .unavailable import UNAVAILABLE, fail_to_write


def pytest_configure(config: pytest.Config) -> None:
    """The same examples at each run, but with ``--hypothesis-seed``."""
    hypothesis.settings.register_profile(
        "tests",
        derandomize=config.getoption("--hypothesis-seed") is None,
        database=None,
        deadline=None,
        # What the fixtures make, all examples of a test may share.
        suppress_health_check=[*hypothesis.HealthCheck],
    )
    hypothesis.settings.register_profile(
        "first_failure",
        hypothesis.settings.get_profile("tests"),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    hypothesis.settings.load_profile(config.getoption("--hypothesis-profile") or "tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a server, take only the tests that use its database."""
    if "DATABASE_URL" in os.environ:
        config.hook.pytest_deselected(items=[each for each in items if not uses_database(each)])
        items[:] = filter(uses_database, items)


def uses_database(test: Any) -> bool:
    fixtures = {"db", "transactional_db", "live_server"}
    return bool(test.get_closest_marker("django_db") or fixtures & {*test.fixturenames})


@pytest.fixture(autouse=True)
def _empty_caches() -> None:
    credential_cache.clear()
    django_cache.clear()
    refusals.clear()


@pytest.fixture(autouse=True)
def _refusals_are_not_written() -> None:
    """They would be after the answer, when the test may be over, and the threads of a server share
    one connection to a database in memory. ``test_refusals.py`` has them written.

    A test that changes INSTALLED_APPS makes the app ready again, and so has them written.
    """
    request_finished.disconnect(refusals.write_if_due)


@pytest.fixture(autouse=True)
def key_ring(settings: Any) -> list[str]:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    return settings.TWILIO_TOKENS_ENCRYPTION_KEYS


@pytest.fixture
def secret() -> str:
    """The plaintext of ``api_key``."""
    return new_secret()


@pytest.fixture
def account(db: None) -> Account:
    return Account.objects.create(name="Main", sid=sid("AC"))


@pytest.fixture
def api_key(account: Account, secret: str) -> APIKey:
    return APIKey.objects.create(
        account=account, name="Key", sid=sid("SK"), region="us1", secret=secret
    )


@pytest.fixture
def chat_service(account: Account) -> ChatService:
    return ChatService.objects.create(
        account=account, name="support", sid=sid("IS"), is_default=True
    )


@pytest.fixture
def twiml_app(account: Account) -> TwiMLApp:
    return TwiMLApp.objects.create(
        account=account, name="phone", sid=sid("AP"), is_default=True, allow_incoming=True
    )


@pytest.fixture
def push_credential(account: Account) -> PushCredential:
    return PushCredential.objects.create(account=account, name="ios", sid=sid("CR"), platform="apn")


@pytest.fixture
def every_row(
    api_key: APIKey,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
    make: Callable[..., Any],
) -> None:
    """One row of each model that operators edit."""
    make(SyncService, "0", is_default=True)
    make(Workspace, "0", is_default=True)


@pytest.fixture
def other(account: Account) -> Account:
    """A second account, with all but a key, and no defaults."""
    other = Account.objects.create(name="Other", sid=sid("AC", "1"))
    ChatService.objects.create(account=other, name="theirs", sid=sid("IS", "1"))
    TwiMLApp.objects.create(account=other, name="their-phone", sid=sid("AP", "1"))
    PushCredential.objects.create(account=other, name="their-ios", sid=sid("CR", "1"))
    return other


@pytest.fixture
def twilio(settings: Any) -> Iterator[TwilioServer]:
    with twilio_server.running(settings) as server:
        yield server


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("anna", "anna@example.com", "password")


@pytest.fixture
def api(user: User) -> APIClient:
    """An HTTP client, signed in as ``user`` by session."""
    client = APIClient()
    client.force_login(user)
    return client


@pytest.fixture
def make(db: None) -> Callable[..., Any]:
    """Save a row; its SID and name are made from ``digit``."""

    def save(model: type[models.Model], digit: str, **values: Any) -> Any:
        if model is not Account:
            values.setdefault("account", Account.objects.first() or save(Account, "0"))
        if model is PushCredential:
            values.setdefault("platform", "apn")
        row = {"name": f"row-{digit}", "sid": sid(PREFIXES[model], digit), **values}
        return model._default_manager.create(**row)

    return save


@pytest.fixture(params=UNAVAILABLE, ids=lambda make: make.__name__)
def unavailable(
    request: pytest.FixtureRequest, settings: Any, api_key: APIKey, chat_service: ChatService
) -> Iterator[str]:
    """A site that cannot issue the token for ``Chat()``, for each reason: the code of its error."""
    request.param(settings)
    yield UNAVAILABLE[request.param]
    pre_save.disconnect(fail_to_write, sender=IssuedToken)


@pytest.fixture
def signed_in(user: User) -> Client:
    """Signed in as ``user``, with the CSRF token that Django asks for."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    client.cookies["csrftoken"] = client.defaults["HTTP_X_CSRFTOKEN"] = "c" * 32
    return client
